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

# ---- guidance ----
# classifier-free: 1 is the class itself, 0 is of no class, to the last bit; and more goes on in any split
for w in 0 1 3; do
    expect_exit 0 "$TWEEDIE" sample vp --count 128 --out w$w.h5 --class 1 --scale $w guidance.kind=classifier_free
done
expect_equal "scale 1" "$(points w1.h5)" "$(points one.h5)"
expect_equal "scale 0" "$(points w0.h5)" "$(points none.h5)"
[ "$(points w3.h5)" != "$(points one.h5)" ] || fail "scale 3 changes nothing"
expect_exit 0 mpirun -n 2 "$TWEEDIE" sample vp --count 128 --out ranks3.h5 --class 1 --scale 3 guidance.kind=classifier_free
cmp w3.h5 ranks3.h5 || fail "another number of ranks, other guided samples"
expect_exit 0 "$TWEEDIE" sample vp --first 64 --count 64 --out cut.h5 --join --class 1 --scale 3 guidance.kind=classifier_free
expect_equal "the second half alone" "$(points cut.h5 | head -n 64)" "$(points w3.h5 | tail -n 64)"
# what a set was guided by is part of what it is
expect_exit 64 "$TWEEDIE" sample vp --count 128 --out w3.h5 --class 1 --scale 2 guidance.kind=classifier_free
expect_message "guidance=classifier_free scale=2"
echo "0 1 1" >list
expect_exit 0 "$TWEEDIE" sample vp --count 6 --class list --out list.h5
expect_equal "labels of a list" "$(labels list.h5 | tr '\n' ' ')" "0 1 1 0 1 1 "

# a classifier of points with noise, the same bits on two ranks, guides a network that was told no classes
sed 's/^label_dropout.*//; s/= mlp/= mlp_classifier/; s/^steps = 600/steps = 200/' vp.ini >classifier.ini
printf '[objective]\nkind = classify\n' >>classifier.ini
sed 's/^label_dropout.*//; s/^classes.*//; s/^steps = 600/steps = 400/' vp.ini >plain.ini
one_tree="train.rank_independent=yes train.microbatch=64"
expect_exit 0 "$TWEEDIE" train classifier.ini --run classifier $one_tree log.validate_every=200
expect_message "next         tweedie evaluate samples.h5 --reference"
expect_message "accuracy"
grep -q '"accuracy_by_noise": \[' classifier/metrics.jsonl || fail "no accuracy by noise level in metrics.jsonl"
expect_exit 0 mpirun -n 2 "$TWEEDIE" train classifier.ini --run classifier2 $one_tree log.validate_every=200
expect_exit 0 "$TWEEDIE" checkpoint diff classifier classifier2
accuracies() { sed -n 's/.*"accuracy": \(.*\), "restart.*/\1/p' "$1/metrics.jsonl"; }
expect_equal "accuracies on two ranks" "$(accuracies classifier2)" "$(accuracies classifier)"
expect_exit 0 "$TWEEDIE" train plain.ini --run plain
expect_exit 0 "$TWEEDIE" sample plain --guide classifier --scale 1 --count 128 --out guided.h5
expect_equal "labels of guided samples" "$(labels guided.h5 | head -n 4 | tr '\n' ' ')" "0 1 0 1 "
# 9 of 10 are of the class that they were guided to, by the label and by the classifier
expect_exit 0 "$TWEEDIE" evaluate guided.h5 --reference modes.h5 --by-class --classifier classifier --json
accuracy=$(json_value classifier_accuracy "$OUT")
awk "BEGIN { exit !($accuracy >= 0.9) }" || fail "accuracy of guided samples: $accuracy"
cp "$OUT" one.json
expect_exit 0 mpirun -n 2 "$TWEEDIE" evaluate guided.h5 --reference modes.h5 --by-class --classifier classifier --json
cmp one.json "$OUT" || fail "another number of ranks, another evaluation"
expect_exit 0 "$TWEEDIE" evaluate guided.h5 --reference modes.h5 --by-class --classifier classifier
expect_output "accuracy of the classifier"

expect_exit 78 "$TWEEDIE" sample classifier --count 2 --out no.h5
expect_message "tweedie sample RUN --guide CLASSIFIER_RUN"
expect_exit 78 "$TWEEDIE" sample plain --guide vp --count 2 --out no.h5
expect_message "neither a classifier (objective.kind = classify) nor an energy model"
expect_exit 78 "$TWEEDIE" sample plain --count 2 --out no.h5 guidance.kind=classifier_free
expect_message "network.label_dropout above 0"
expect_exit 78 "$TWEEDIE" sample plain --count 2 --out no.h5 guidance.kind=classifier
expect_message "needs a second network"
expect_exit 78 "$TWEEDIE" sample plain --guide classifier --class none --count 2 --out no.h5
expect_message "sample.class: none"
expect_exit 64 "$TWEEDIE" likelihood vp --data modes.h5 --count 2 --out no.h5 guidance.kind=classifier_free
expect_message "a guided model has no likelihoods and no codes"
expect_exit 64 "$TWEEDIE" encode vp --data modes.h5 --count 2 --out no.h5 guidance.scale=2
expect_exit 65 "$TWEEDIE" evaluate none.h5 --reference modes.h5 --by-class
expect_message "none.h5: holds no labels"
expect_exit 0 "$TWEEDIE" train classifier.ini --run other train.steps=2 process.beta_max=10
expect_exit 78 "$TWEEDIE" sample plain --guide other --count 2 --out no.h5
expect_message "was trained on another process"
expect_exit 78 "$TWEEDIE" train classifier.ini --run no objective.kind=denoising
expect_message "objective.kind = classify trains it"

# a class without samples
expect_exit 0 "$TWEEDIE" evaluate w1.h5 --reference modes.h5 --by-class
expect_output "no samples"
LAST="evaluate w1.h5 --reference modes.h5 --by-class"
! grep -q nan "$OUT" || fail "something is not a number"

# ---- restoring ----
# a measurement that says next to nothing: the class alone decides, of all or of each measurement
expect_exit 0 "$TWEEDIE" restore --simulate --task denoise task.noise=100 --input modes.h5 --split test --rows 4 --out y.h5
vague() { "$TWEEDIE" restore "$1" --task denoise task.noise=100 --input y.h5 --count 16 sample.steps=50 "${@:2}"; }
signs() { points "$1" | head -n 4 | awk '{ printf "%d", ($1 > 0) }'; }
[ "$zero" -eq 128 ] && of=0110 || of=1001 # of 1 0 0 1: right of 0
echo "1 0 0 1" >of
expect_exit 0 vague vp --class of --out listed.h5
expect_equal "sides of the classes of each measurement" "$(signs listed.h5)" "$of"
expect_exit 0 vague vp --class 1 --out r1.h5
expect_exit 0 vague vp --out rnone.h5
[ "$(points rnone.h5)" != "$(points r1.h5)" ] || fail "no class is class 1"
h5dump -a settings r1.h5 | grep -q "class=1" && h5dump -a settings rnone.h5 | grep -q "class=none" || fail "a result does not say of which class it is"
# guided: 1 is the class itself; more is the same on any ranks
expect_exit 0 vague vp --class 1 --scale 1 guidance.kind=classifier_free --out rw1.h5
expect_equal "scale 1" "$(points rw1.h5)" "$(points r1.h5)"
expect_exit 0 vague vp --class 1 --scale 3 guidance.kind=classifier_free --out rw3.h5
expect_exit 0 mpirun -n 2 "$TWEEDIE" restore vp --task denoise task.noise=100 --input y.h5 --count 16 sample.steps=50 --class 1 --scale 3 guidance.kind=classifier_free --out rranks.h5
cmp rw3.h5 rranks.h5 || fail "another number of ranks, another restoration"
[ "$(points rw3.h5)" != "$(points r1.h5)" ] || fail "scale 3 changes nothing"
expect_exit 64 vague vp --class 1 --scale 2 guidance.kind=classifier_free --out rw3.h5
expect_message "guidance=classifier_free scale=2"
# by a classifier: methods that do not differentiate the score
expect_exit 0 vague plain --guide classifier --class of --method ddrm --out rguided.h5
expect_equal "sides that a classifier guides to" "$(signs rguided.h5)" "$of"
expect_exit 78 vague plain --guide classifier --class 1 --out no.h5
expect_message "restore.method: pigdm differentiates the score, and this one has no derivative; these do without: "
expect_exit 78 vague plain --guide classifier --method ddrm --out no.h5
expect_message "a classifier guides to a class; --class says"
expect_exit 78 vague vp guidance.kind=classifier_free --out no.h5
expect_message "needs a class to guide to"
expect_exit 0 "$TWEEDIE" train vp.ini --run told network.label_dropout=0 train.steps=2
expect_exit 78 vague told --out no.h5
expect_message "was always told a class in training; --class says"
