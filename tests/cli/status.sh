# Where a run stands, from its files alone.
. "$(dirname "$0")/lib.sh"

expect_exit 66 "$TWEEDIE" status nothing
expect_message "nothing: there is no such run"
mkdir empty
expect_exit 65 "$TWEEDIE" status empty
expect_message "empty: holds no metrics.jsonl and no checkpoint"

# Two parts: 100 s on 2 x 2 cores from 0 to 40 of 100 steps of 8; killed; 60 s on 4 x 1 from 30 to 50.
metric() { printf '{"step": %d, "samples": %d, "loss": %s, "images_per_second": 99, "restart": %d, "time": %s}\n' "$1" $((8 * $1)) "$2" "$3" "$4"; }
start() { printf '{"step": %d, "event": "start", "restart": %d, "time": %s, "steps": 100, "batch": 8, "ranks": %d, "threads": %d}\n' "$@"; }
mkdir -p run/checkpoints
{
    start 0 0 1000 2 2
    metric 20 8 0 1050
    metric 40 4 0 1100
    start 30 1 2000 4 1
    metric 40 5 1 2020
    printf '{"step": 40, "validation_loss": 3, "restart": 1, "time": 2030}\n'
    metric 50 2 1 2060
} >run/metrics.jsonl
expect_exit 0 "$TWEEDIE" status run --json
for fact in state=\"lost\" step=50 steps=100 batch=8 ranks=4 threads=1 restarts=1 seconds=160 images_per_second=2 seconds_left=200 \
    loss=2 loss_before=5 validation_loss=3 checkpoint=null; do
    expect_equal "${fact%%=*}" "$(json_value "${fact%%=*}" "$OUT")" "${fact#*=}"
done
# 100 s x 4 cores + 60 s x 4 cores; 200 s x 4 cores to come
awk -v a="$(json_value core_hours "$OUT")" -v b="$(json_value core_hours_left "$OUT")" \
    'BEGIN { exit !((a - 640 / 3600)^2 < 1e-12 && (b - 800 / 3600)^2 < 1e-12) }' || fail "core-hours"
expect_exit 0 "$TWEEDIE" status run
expect_output "step         50 of 100 (50.0 %)"
expect_output "loss         2  (falling, from 5)"
expect_output "2 samples/s by the clock, batch 8, 4 ranks of 1 thread"
expect_output "begin it again as before: it resumes in run"
for end in stopped failed diverged; do
    printf '{"step": 50, "event": "%s", "restart": 1, "time": 2061}\n' "$end" >>run/metrics.jsonl
    expect_exit 0 "$TWEEDIE" status run
    expect_output "state        $end"
done

# a real one: killed by nobody, stopped half way, finished
expect_exit 0 "$TWEEDIE" import d.h5 --format circles --count 64
cat >c.ini <<'INI'
[data]
path = d.h5
[network]
kind = mlp
width = 16
depth = 1
[train]
steps = 20
batch = 16
[log]
every = 1
[compute]
precision = f32
threads = 1
INI
expect_exit 75 "$TWEEDIE" train c.ini --run real --stop-at-step 10
expect_exit 0 "$TWEEDIE" status real --json
expect_equal state "$(json_value state "$OUT")" '"stopped"'
expect_equal steps "$(json_value steps "$OUT")" 20
expect_equal checkpoint "$(json_value checkpoint_step "$OUT")" 10
expect_exit 0 "$TWEEDIE" train c.ini --run real
expect_exit 0 "$TWEEDIE" status real
expect_output "state        finished"
expect_output "tweedie sample real"
expect_equal events "$(sed -n 's/.*"event": "\([a-z]*\)".*/\1/p' real/metrics.jsonl | tr '\n' ' ')" "start stopped start finished "

# help in every spelling
for words in "-h" "help" "status -h" "help status"; do
    # shellcheck disable=SC2086
    expect_exit 0 "$TWEEDIE" $words
    expect_output "usage: tweedie"
done
