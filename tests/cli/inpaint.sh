# tweedie sample with sample.known and sample.mask: what is given stays, belongs to what identifies a sample set, and is checked.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=2

# An IDX file of one image of 28 x 28, white in its left half.
half() {
    printf '\000\000\010\003\000\000\000\001\000\000\000\034\000\000\000\034'
    for _ in {1..28}; do
        printf '\377\377\377\377\377\377\377\377\377\377\377\377\377\377\000\000\000\000\000\000\000\000\000\000\000\000\000\000'
    done
}
half >half-images-idx3-ubyte
cat >tiny.ini <<END
[data]
path = $SOURCE/datasets/mnist.h5
[network]
kind = refinenet
variant = ncsn
base = 4
[process]
kind = ladder
sigma_max = 2
sigma_min = 0.02
levels = 3
[prediction]
kind = score
[train]
steps = 2
batch = 4
[ema]
rates = 0.5
[sample]
batch = 4
corrector_steps = 2
END
expect_exit 0 "$TWEEDIE" import half.h5 --format idx half-images-idx3-ubyte
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 10
expect_exit 0 "$TWEEDIE" train tiny.ini --run tiny
expect_exit 0 "$TWEEDIE" sample tiny --count 3 --out given.h5

given="sample.known=given.h5 sample.mask=half.h5"
expect_exit 0 "$TWEEDIE" sample tiny --count 8 --out one.h5 $given
expect_exit 0 ranks 2 "$TWEEDIE" sample tiny --count 8 --out two.h5 $given
cmp one.h5 two.h5 || fail "ranks sample something else around what is given"
# the first rows of the images: their left half is given's, in turn
rows() { h5dump -A 0 -d /images -s "$2,0,0,0" -c 1,28,14,1 "$1" | grep -o '([0-9,]*): .*' | sed 's/([0-9,]*)://'; }
if command -v h5dump >/dev/null; then
    [ "$(rows one.h5 4)" = "$(rows given.h5 1)" ] || fail "what is given has not stayed"
    [ "$(rows one.h5 4)" != "$(rows given.h5 2)" ] || fail "all that is given is the same"
fi

# another mask, or none, is another sample set
expect_exit 64 "$TWEEDIE" sample tiny --count 8 --out one.h5
expect_message "sampled with other weights or settings"

expect_exit 78 "$TWEEDIE" sample tiny --count 4 --out bad.h5 sample.known=given.h5
expect_message "sample.known: sample.mask must say"
expect_exit 78 "$TWEEDIE" sample tiny --count 4 --out bad.h5 sample.mask=half.h5
expect_message "sample.mask: there is nothing"
expect_exit 78 "$TWEEDIE" sample tiny --count 4 --out bad.h5 sample.kind=ancestral $given
expect_message "annealed_langevin does"
expect_exit 65 "$TWEEDIE" sample tiny --count 4 --out bad.h5 sample.known=circles.h5 sample.mask=half.h5
expect_message "28 x 28 x 1 were expected"
expect_exit 66 "$TWEEDIE" sample tiny --count 4 --out bad.h5 sample.known=given.h5 sample.mask=absent.h5
expect_message "absent.h5"
