#!/usr/bin/env bash
# With train.rank_independent a run on 1, 2, 4 and 8 ranks of one thread each has the same bits, in f32 and in bf16.
. "$(dirname "$0")/lib.sh"

export OMP_NUM_THREADS=1
tiny=(network.base=16 network.groups=8 train.steps=4 train.batch=16 train.microbatch=2 train.rank_independent=yes optimizer.warmup=0
      log.validate_every=0 log.grid_every=0)
for precision in f32 bf16; do
    for n in 1 2 4 8; do
        expect_exit 0 ranks "$n" "$TWEEDIE" train "$SOURCE/jobs/config/mnist-ddpm.ini" --run "$precision$n" "${tiny[@]}" \
            "compute.precision=$precision"
    done
    for n in 2 4 8; do expect_exit 0 "$TWEEDIE" checkpoint diff "${precision}1" "$precision$n"; done
done

# resumed on another number of ranks, too
expect_exit 75 ranks 4 "$TWEEDIE" train "$SOURCE/jobs/config/mnist-ddpm.ini" --run changed "${tiny[@]}" compute.precision=f32 --stop-at-step 2
expect_exit 0 ranks 2 "$TWEEDIE" train "$SOURCE/jobs/config/mnist-ddpm.ini" --run changed "${tiny[@]}" compute.precision=f32
expect_exit 0 "$TWEEDIE" checkpoint diff f321 changed

expect_exit 78 ranks 2 "$TWEEDIE" train "$SOURCE/jobs/config/mnist-ddpm.ini" --run changed "${tiny[@]}" compute.precision=f32 train.microbatch=4
expect_message "train.microbatch: 2 in the run and 4 here"

# what cannot be one tree is refused
expect_exit 78 ranks 1 "$TWEEDIE" train "$SOURCE/jobs/config/mnist-ddpm.ini" --run no "${tiny[@]}" train.batch=12 train.microbatch=4
expect_message "cut train.batch = 12 into 1, 2, 4, 8"
