# Times by the second moment of losses: the history of losses is the same on all ranks and in checkpoints, so that N + M steps are N steps, a
# resume and M steps, bit for bit, while times are still uniform and after; and with one tree over the microbatches the ranks do not matter.
. "$(dirname "$0")/train/lib.sh"
make_points

# four steps of the process and 16 samples: all have their ten losses after some three batches
set -- points.ini process.timesteps=4 process.beta_min=0.0004 process.beta_max=0.002 prediction.variance=learned_range \
    objective.kind=hybrid objective.decoder=gaussian objective.times=second_moment train.steps=12 checkpoint.every=2
for n in 1 2; do
    rm -rf whole parts
    expect_exit 0 train $n whole "$@"
    for step in 2 8; do
        rm -rf parts
        expect_exit 75 train $n parts "$@" --stop-at-step $step
        expect_exit 0 train $n parts "$@"
        same whole parts
    done
done
expect_exit 0 "$TWEEDIE" inspect whole
rm -rf one two
expect_exit 0 train 1 one "$@" train.rank_independent=yes train.microbatch=4
expect_exit 0 train 2 two "$@" train.rank_independent=yes train.microbatch=4
same one two

# the history counts: another one gives other times
rm -rf uniform
expect_exit 0 train 1 uniform "${@/second_moment/uniform}"
expect_exit 1 "$TWEEDIE" checkpoint diff one uniform
h5dump -d /objective/times one/checkpoints/step-000000012.h5 >dump 2>/dev/null || skip "no h5dump"
grep -q "( 44 )" dump || fail "the history is not 11 numbers for each of 4 steps"

# validation has times of its own, uniform ones, and the same objective
expect_exit 0 train 2 validated "$@" log.validate_every=4 log.validate_count=32
