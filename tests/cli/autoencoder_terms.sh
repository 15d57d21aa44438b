#!/usr/bin/env bash
# What an autoencoder's objective has of its own: a classifier that reconstructions are compared by, a codebook that is state.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

cp "$SOURCE/datasets/mnist-features.h5" classifier.h5
cat >ae.ini <<END
[data]
path = $SOURCE/datasets/mnist.h5
[network]
kind = autoencoder
block_out_channels = 8, 8
layers_per_block = 1
latent_channels = 2
norm_num_groups = 4
codes = 8
[objective]
kind = vector_quantised
codebook = ema
codebook_decay = 0.9
feature_weight = 1
features = classifier.h5
[train]
steps = 4
batch = 4
microbatch = 1
rank_independent = yes
[ema]
rates = 0.5
[log]
validate_every = 2
validate_count = 8
END
expect_exit 0 "$TWEEDIE" train ae.ini --run ae checkpoint.every=2
expect_message "of 8 codes used, perplexity"
grep -q '"codes_used": [1-8], "perplexity": ' ae/metrics.jsonl || fail "no use of codes in metrics.jsonl"
grep -q '^features_digest = [0-9a-f]\{32\}$' ae/config.ini || fail "no digest of the classifier"

# the codes and what they are means of are state, the same on any number of ranks and after a resume
for n in 2 4; do
    expect_exit 0 ranks $n "$TWEEDIE" train ae.ini --run "ranks$n" log.validate_every=0
    expect_exit 0 "$TWEEDIE" checkpoint diff ae/checkpoints/step-000000004.h5 "ranks$n/checkpoints/step-000000004.h5"
done
expect_exit 75 "$TWEEDIE" train ae.ini --run again --stop-at-step 2
# what the classifier is lies in the run
mv classifier.h5 away.h5
expect_exit 0 ranks 2 "$TWEEDIE" train ae.ini --run again
expect_message "goes on with the classifier that its checkpoints hold"
expect_exit 0 "$TWEEDIE" checkpoint diff ae/checkpoints/step-000000004.h5 again/checkpoints/step-000000004.h5
expect_exit 1 "$TWEEDIE" checkpoint diff ae/checkpoints/step-000000002.h5 ae/checkpoints/step-000000004.h5
expect_output "params/codes.weight"
expect_output "params/objective.codes.uses"
if grep -q "objective.features" "$OUT"; then fail "a frozen parameter has moved"; fi
if grep -q "adam/m/.*codes" "$OUT"; then fail "the optimizer knows the codes"; fi

# whoever reconstructs needs no classifier, with the same numbers by exported weights
expect_exit 0 "$TWEEDIE" reconstruct ae --data "$SOURCE/datasets/mnist.h5" --count 16 --out r.h5
expect_output "of 8 codes used, perplexity"
expect_exit 0 "$TWEEDIE" checkpoint export ae --out w.h5
expect_exit 0 "$TWEEDIE" reconstruct w.h5 --data "$SOURCE/datasets/mnist.h5" --count 16 --out s.h5
expect_exit 0 "$TWEEDIE" inspect --json r.h5
digest=$(json_value digest "$OUT")
expect_exit 0 "$TWEEDIE" inspect --json s.h5
expect_equal "reconstructions by exported weights" "$(json_value digest "$OUT")" "$digest"

# refused: no classifier, one that is not there, one of other samples, other weights than the run began with
grep -v '^features' ae.ini >none.ini
expect_exit 78 "$TWEEDIE" train none.ini --run other
expect_message "objective.features: must be given"
expect_exit 66 "$TWEEDIE" train ae.ini --run other
expect_message "classifier.h5"
expect_exit 78 "$TWEEDIE" train ae.ini --run other objective.features=ae
expect_message "is no classifier"
expect_exit 78 "$TWEEDIE" train ae.ini --run ae train.steps=5 objective.feature_weight=2
expect_message "objective.feature_weight"
cat >small.ini <<END
[data]
path = $SOURCE/datasets/mnist.h5
[network]
kind = convnet
classes = 10
base = 4
levels = 2
[process]
kind = single
[objective]
kind = classify
[train]
steps = 1
batch = 2
END
expect_exit 0 "$TWEEDIE" train small.ini --run small
expect_exit 78 "$TWEEDIE" train ae.ini --run ae train.steps=5 objective.features=small
expect_message "and the run began with"
mkdir png
for i in 0 1 2 3; do cp "$SOURCE/tests/weights/pixel.png" "png/$i.png"; done
expect_exit 0 "$TWEEDIE" import pictures.h5 --format images png
expect_exit 78 "$TWEEDIE" train ae.ini --run other data.path=pictures.h5 objective.features=away.h5
expect_message "objective.features: its network takes uint8 images of 28 x 28 x 1, and the samples are"
