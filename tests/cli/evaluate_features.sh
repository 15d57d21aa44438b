# tweedie evaluate: metrics in features of a classifier, of arrays, of the shipped network; their cache; nearest neighbours; and the same while
# training.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

expect_exit 0 "$TWEEDIE" import modes.h5 --format modes --count 2000 --test-fraction 0.3
cat >classifier.ini <<END
[data]
path = modes.h5
[network]
kind = mlp_classifier
width = 12
depth = 2
classes = 2
[process]
kind = vp
[objective]
kind = classify
[train]
steps = 20
batch = 64
END
expect_exit 0 "$TWEEDIE" train classifier.ini --run classifier

# test against train: the same distribution
set -- modes.h5 --samples-split test --reference modes.h5 --split train --features classifier --json kid.block=200
expect_exit 0 "$TWEEDIE" evaluate "$@"
expect_message "600 samples against 1400 of the data: Frechet distances are too large"
cp "$OUT" one.json
expect_equal dimensions "$(json_value feature_dimensions one.json)" 12
for claim in "frechet_distance d>=0&&d<0.1" "kid d<0.01" "kid_std d>0&&d<0.01" "precision d>0.8" "recall d>0.8" "density d>0.7&&d<1.3" "coverage d>0.8"; do
    key=${claim%% *} rule=${claim#* }
    value=$(json_value "$key" one.json)
    awk "BEGIN { d = $value; exit !(${rule}) }" || fail "$key: $value, wanted $rule"
done
for n in 2 3; do
    expect_exit 0 ranks $n "$TWEEDIE" evaluate "$@"
    cmp one.json "$OUT" || fail "$n ranks differ"
done
expect_exit 0 "$TWEEDIE" evaluate "$@" compute.threads=3
cmp one.json "$OUT" || fail "three threads differ"
expect_exit 0 "$TWEEDIE" evaluate "$@" --metrics kid,manifold manifold.precision_k=4
expect_equal "only what was asked for" "$(json_value frechet_distance "$OUT")" ""
expect_exit 78 "$TWEEDIE" evaluate "$@" --metrics frechet
expect_message "kid.block"
expect_exit 64 "$TWEEDIE" evaluate "$@" --metrics fid
expect_message "--metrics"

# the cache: made, used, computed anew when it is of other features or damaged, never of somebody else's file
expect_exit 0 ranks 2 "$TWEEDIE" evaluate "$@" --cache cache.h5
cmp one.json "$OUT" || fail "making a cache changes numbers"
cp cache.h5 first.h5
expect_exit 0 "$TWEEDIE" evaluate "$@" --cache cache.h5
cmp one.json "$OUT" || fail "a cache changes numbers"
cmp cache.h5 first.h5 || fail "a cache that fits was made again"
expect_exit 0 "$TWEEDIE" evaluate "$@" --cache cache.h5 --features samples
expect_message "of other data or of another network"
cp first.h5 cache.h5
printf '\377\377\377' | dd of=cache.h5 bs=1 seek=$(($(stat -c %s cache.h5) / 2)) conv=notrunc status=none
expect_exit 0 ranks 2 "$TWEEDIE" evaluate "$@" --cache cache.h5
expect_message "computed anew"
cmp one.json "$OUT" || fail "a damaged cache changes numbers"
cmp cache.h5 first.h5 || fail "a damaged cache was left"
for foreign in modes.h5 classifier.ini; do
    cp $foreign foreign
    expect_exit 64 ranks 2 "$TWEEDIE" evaluate "$@" --cache foreign
    expect_message "is no cache of features"
    cmp foreign $foreign || fail "somebody else's file was changed"
done
expect_exit 64 "$TWEEDIE" evaluate modes.h5 --reference modes.h5 --cache cache.h5
expect_message "--cache: keeps features of the reference"
expect_exit 0 "$TWEEDIE" evaluate modes.h5 --reference modes.h5 --cache own.h5 --features samples

# arrays of features: the same numbers as of the points themselves
expect_exit 0 "$TWEEDIE" evaluate modes.h5 --reference modes.h5 --split all --features samples --json
expect_equal "the same set" "$(json_value recall "$OUT") $(json_value coverage "$OUT")" "1 1"
expect_exit 0 ranks 2 "$TWEEDIE" evaluate modes.h5:/points --reference modes.h5:/points --features arrays --json
expect_equal recall "$(json_value recall "$OUT")" 1
expect_exit 65 ranks 2 "$TWEEDIE" evaluate modes.h5:/points --reference modes.h5:/labels --features arrays
expect_message "they cannot be compared"
expect_exit 66 ranks 2 "$TWEEDIE" evaluate modes.h5 --reference modes.h5 --features nowhere
expect_exit 64 "$TWEEDIE" evaluate modes.h5 --reference modes.h5 --features samples --neighbours n.png
expect_message "points have no picture"

# MNIST's kind of images: the shipped network by itself. Training images that come as samples are found out.
digits() { # FILE FIRST COUNT
    h5dump -d images -s "$2,0,0,0" -c "$3,28,28,1" -b LE -o raw "$SOURCE/datasets/mnist.h5" >/dev/null
    printf '\0\0\10\3\0\0\1\0\0\0\0\34\0\0\0\34' >"$1"
    cat raw >>"$1"
}
digits data 0 256
digits copies 0 256
expect_exit 0 "$TWEEDIE" import data.h5 --format idx data --test-fraction 0.5
expect_exit 0 "$TWEEDIE" import copies.h5 --format idx copies
expect_exit 0 ranks 2 "$TWEEDIE" evaluate data.h5 --samples-split test --reference data.h5 --split train --neighbours new.png --json
expect_equal "held-out images against themselves" "$(json_value closer_than_held_out "$OUT")" 0.5
expect_equal training "$(json_value training "$OUT") $(json_value held_out "$OUT")" "128 128"
[ -n "$(json_value features_digest "$OUT")" ] || fail "the shipped network was not used"
[ "$(head -c 4 new.png | tail -c 3)" = PNG ] || fail "no picture"
expect_exit 0 "$TWEEDIE" evaluate data.h5 --samples-split train --reference data.h5 --split train --neighbours copied.png --json
expect_equal "training images" "$(json_value closer_than_held_out "$OUT") $(json_value closer_than_all_held_out "$OUT")" "1 128"
expect_exit 64 "$TWEEDIE" evaluate data.h5 --reference data.h5 --neighbours new.png
expect_message "--force"
expect_exit 64 ranks 2 "$TWEEDIE" evaluate data.h5 --reference data.h5 --neighbours n.png --features none
expect_message "--features samples for distances of pixels"
expect_exit 0 ranks 2 "$TWEEDIE" evaluate data.h5 --samples-split train --reference data.h5 --neighbours n.png --features samples --json
expect_equal "training images, by their pixels" "$(json_value closer_than_all_held_out "$OUT")" 128
expect_exit 0 "$TWEEDIE" evaluate data.h5 --reference data.h5 --features none --json
expect_equal "without features" "$(json_value frechet_distance "$OUT")" ""

# while training: a line of metrics.jsonl
cat >vp.ini <<END
[data]
path = modes.h5
[network]
kind = mlp
width = 16
depth = 1
[process]
kind = vp
[train]
steps = 6
batch = 64
[log]
evaluate_every = 3
evaluate_count = 48
evaluate_features = classifier
[sample]
batch = 16
END
expect_exit 0 "$TWEEDIE" train vp.ini --run vp
expect_equal "lines with a distance" "$(grep -c '"frechet_distance": [0-9.]' vp/metrics.jsonl)" 2
expect_exit 0 ranks 2 "$TWEEDIE" train vp.ini --run vp2 train.steps=3
expect_exit 0 "$TWEEDIE" train vp.ini --run ladder train.steps=3 process.kind=ladder
expect_equal "of a ladder" "$(grep -c '"frechet_distance": [0-9.]' ladder/metrics.jsonl)" 1
sed '/evaluate_features/d' vp.ini >plain.ini
expect_exit 78 ranks 2 "$TWEEDIE" train plain.ini --run none
expect_message "log.evaluate_every: there is no network of features for such samples"
expect_exit 78 ranks 2 "$TWEEDIE" train vp.ini --run none log.evaluate_features=vp
expect_message "is no classifier"
expect_exit 78 "$TWEEDIE" train classifier.ini --run none log.evaluate_every=3
expect_message "log.evaluate_every: network.kind = mlp_classifier is a classifier"
