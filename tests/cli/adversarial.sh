#!/usr/bin/env bash
# An autoencoder with a discriminator: one run of two networks, whose promises are those of one, and whose weights are the autoencoder's alone.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

pictures png/train 8
pictures png/test 1
expect_exit 0 "$TWEEDIE" import data.h5 --format images --size 16x16 --split-folders png
autoencoder >ae.ini <<END
adversarial_weight = 0.5
adversarial_start = 1
[discriminator]
layers = 1
channels = 8
groups = 4
[train]
steps = 4
batch = 4
microbatch = 1
rank_independent = yes
[ema]
rates = 0.5
[log]
every = 1
validate_every = 2
grid_every = 4
grid_count = 2
END

# the same bits on one rank, and stopped, and on four after two
expect_exit 0 "$TWEEDIE" train ae.ini --run ae
expect_message "validation loss"
grep -q '"discriminator_loss": 1\.0' ae/metrics.jsonl || fail "no discriminator's loss near that of knowing nothing"
expect_exit 75 ranks 2 "$TWEEDIE" train ae.ini --run again --stop-at-step 2
expect_exit 0 ranks 4 "$TWEEDIE" train ae.ini --run again
expect_exit 0 "$TWEEDIE" checkpoint diff ae/checkpoints/step-000000004.h5 again/checkpoints/step-000000004.h5
expect_exit 0 "$TWEEDIE" checkpoint show ae
together=$(sed -n 's|^/params *\([0-9]*\) arrays.*|\1|p' "$OUT")
expect_exit 0 "$TWEEDIE" train ae.ini --run without --init ae train.steps=1 objective.adversarial_weight=0
expect_exit 0 "$TWEEDIE" checkpoint show without
alone=$(sed -n 's|^/params *\([0-9]*\) arrays.*|\1|p' "$OUT")
expect_equal "arrays of both networks and of the term's state" "$together" "$((alone + 8 + 5))"

# what is read as weights is the autoencoder
expect_exit 0 "$TWEEDIE" checkpoint export ae --out weights.h5
expect_exit 0 "$TWEEDIE" checkpoint show weights.h5
expect_output "$alone arrays"
expect_exit 0 "$TWEEDIE" encode-data ae --data data.h5 --out z.h5
expect_exit 0 "$TWEEDIE" encode-data weights.h5 --data data.h5 --out z2.h5
cmp z.h5 z2.h5 || fail "exported weights encode otherwise"
expect_exit 0 "$TWEEDIE" train ae.ini --run next --init weights.h5 train.steps=1

# refusals
expect_exit 78 "$TWEEDIE" train ae.ini --run other discriminator.layers=3
expect_message "discriminator.layers"
expect_exit 78 "$TWEEDIE" train ae.ini --run other objective.adversarial_start=-1
expect_message "adversarial_start"
expect_exit 78 "$TWEEDIE" train ae.ini --run ae objective.adversarial_weight=1
expect_message "objective.adversarial_weight"
