# Class-conditional models: trained on the labels of the data, sampled by class, the same samples on any number of ranks.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

expect_exit 0 "$TWEEDIE" import modes.h5 --format modes --count 4000 --test-fraction 0.1
cat >vp.ini <<END
[data]
path = modes.h5
[network]
kind = mlp
width = 64
depth = 2
classes = 2
label_dropout = 0.1
[process]
kind = vp
[train]
steps = 600
batch = 256
[optimizer]
learning_rate = 0.005
decay = cosine
[ema]
rates = 0.98
[log]
validate_every = 300
grid_every = 0
[sample]
kind = dpmpp
batch = 64
END
expect_exit 0 "$TWEEDIE" train vp.ini --run vp

# the share of samples with x > 0, and the labels of the file
points() { h5dump -d points -m %.7g -y -w 0 "$1" | sed -n '/^ *DATA {/,/}/p' | grep -E '^ +-?[0-9]' | tr -d , | head -n 128; }
labels() { h5dump -d labels -y -w 1 "$1" | sed -n '/^ *DATA {/,/}/p' | grep -E '^ +-?[0-9]' | tr -d ' ,'; }
positive() { points "$1" | awk '{ n += $1 > 0 } END { printf "%d\n", n }'; }
expect_exit 0 "$TWEEDIE" sample vp --count 128 --out zero.h5 sample.class=0
expect_exit 0 "$TWEEDIE" sample vp --count 128 --out one.h5 sample.class=1
expect_exit 0 "$TWEEDIE" sample vp --count 128 --out all.h5
expect_exit 0 "$TWEEDIE" sample vp --count 128 --out none.h5 sample.class=none
zero=$(positive zero.h5) one=$(positive one.h5)
case "$zero $one" in "128 0" | "0 128") ;; *) fail "class 0: $zero of 128 right of 0, class 1: $one" ;; esac
expect_equal "labels of class 1" "$(labels one.h5 | sort | uniq -c | tr -s ' ')" " 128 1"
expect_equal "labels in turn" "$(labels all.h5 | head -n 4 | tr '\n' ' ')" "0 1 0 1 "
# one of class k is the one that its class alone gives: sample 5 is of class 1
expect_equal "sample 5" "$(points all.h5 | sed -n 6p)" "$(points one.h5 | sed -n 6p)"
# of no class: both modes, the heavy one more often (0.8; five standard deviations of 128 are 0.18)
[ $zero -eq 128 ] && heavy=$(positive none.h5) || heavy=$((128 - $(positive none.h5)))
[ "$heavy" -gt 79 ] && [ "$heavy" -lt 126 ] || fail "of no class: $heavy of 128 in the heavy mode"
if h5dump -d labels none.h5 >/dev/null 2>&1; then fail "none.h5 has labels"; fi
expect_exit 0 mpirun -n 2 "$TWEEDIE" sample vp --count 128 --out ranks.h5
cmp all.h5 ranks.h5 || fail "another number of ranks, other samples"

# log p(x | y): a class has one mode, N(m, I) in data units; both are as probable to their own
expect_exit 0 "$TWEEDIE" likelihood vp --data modes.h5 --count 64 --out l.h5 likelihood.batch=16
expect_exit 0 "$TWEEDIE" encode vp --data modes.h5 --count 32 --out z.h5 likelihood.batch=16
expect_exit 0 "$TWEEDIE" decode vp --codes z.h5 --out x.h5 likelihood.batch=16
expect_equal "labels after encoding and decoding" "$(labels x.h5 | tr '\n' ' ')" "$(labels modes.h5 | head -n 32 | tr '\n' ' ')"

expect_exit 78 "$TWEEDIE" sample vp --count 2 --out no.h5 sample.class=2
expect_message "sample.class: 2; 0 to 1, all or none was expected"
expect_exit 78 "$TWEEDIE" train vp.ini --run three network.classes=3
expect_message "modes.h5 has 2 classes"
awk 'BEGIN { for (i = 0; i < 600; i++) print cos(i), sin(i) }' >ring.txt
expect_exit 0 "$TWEEDIE" import ring.h5 --format points ring.txt
expect_exit 78 "$TWEEDIE" train vp.ini --run none data.path=ring.h5
expect_message "have no labels"
