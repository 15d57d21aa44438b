# Validation and grids are made with the average, not with the weights that are trained: an average that does not move gives the same loss
# and the same picture at every step; one that keeps nothing gives another one each time, and both do on any number of ranks.
. "$(dirname "$0")/train/lib.sh"
make_points
set -- points.ini optimizer.learning_rate=0.05 log.validate_every=4 log.grid_every=4 log.grid_count=64 log.grid_steps=5 sample.batch=16
losses() { sed -n 's/.*"validation_loss": \([^,]*\),.*/\1/p' "$1/metrics.jsonl"; }

for n in 1 2; do
    expect_exit 0 train $n still$n "$@" ema.rates=0.99999999
    expect_exit 0 train $n moving$n "$@" ema.rates=0
    for run in still$n moving$n; do expect_equal "losses of $run" "$(losses $run | wc -l)" 2; done
    losses still$n | awk '{ v[NR] = $1 } END { d = v[1] - v[2]; exit !(d * d < 1e-10) }' || fail "the average's loss moves: $(losses still$n)"
    losses moving$n | awk '{ v[NR] = $1 } END { d = v[1] - v[2]; exit !(d * d > 1e-6) }' || fail "the loss does not move: $(losses moving$n)"
    cmp <(pixels still$n/samples/step-000000004.png) <(pixels still$n/samples/step-000000008.png) || fail "the average's samples move"
    ! cmp -s <(pixels moving$n/samples/step-000000004.png) <(pixels moving$n/samples/step-000000008.png) || fail "the samples do not move"
done
# the first average, where there are two
expect_exit 0 train 1 both "$@" ema.rates=0.99999999,0
cmp <(pixels both/samples/step-000000008.png) <(pixels still1/samples/step-000000008.png) || fail "not made with the first average"
