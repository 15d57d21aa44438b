#!/usr/bin/env bash
# Whether training by Winograd's convolutions learns what training by direct ones does: a small network on MNIST, trained by each from the same
# seeds, and its validation loss at the end. Ends with 0 where the means differ by no more than the seeds do.
#
#   TWEEDIE=PROGRAM tests/bench/winograd_training.sh [STEPS [SEEDS [section.key=value ...]]]
#
# 300 steps and 3 seeds if nothing is said: some ten minutes on one core.
set -euo pipefail
: "${TWEEDIE:?the program to measure}"
root=$(cd "$(dirname "$0")/../.." && pwd)
steps=${1:-300} seeds=${2:-3}
[ $# -gt 2 ] && assignments=("${@:3}") || assignments=()
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# loss CONVOLUTION SEED: of a training
loss() {
    "$TWEEDIE" train "$root/jobs/config/mnist-quick.ini" --run "$folder/$1-$2" run.seed="$2" compute.convolution="$1" compute.precision=f32 \
        train.steps="$steps" train.batch=32 log.grid_every=0 log.validate_every="$steps" checkpoint.every="$steps" compute.threads=1 \
        "${assignments[@]}" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 70; }
    sed -n 's/.*"validation_loss": \([0-9.e+-]*\).*/\1/p' "$folder/$1-$2/metrics.jsonl" | tail -n 1
    rm -r "${folder:?}/$1-$2"
}
for ((seed = 0; seed < seeds; seed++)); do
    for convolution in direct winograd; do
        met=$(loss $convolution $seed)
        [ -n "$met" ] || { echo "winograd_training: no validation loss" >&2; exit 70; }
        echo "$convolution $met"
    done
done | awk -v steps="$steps" '
    { n[$1]++; value[$1, n[$1]] = $2; sum[$1] += $2; if (n[$1] == 1 || $2 < least[$1]) least[$1] = $2; if ($2 > most[$1]) most[$1] = $2 }
    function line(name,    i) {
        printf "%-10s", name
        for (i = 1; i <= n[name]; i++) printf "  %.5f", value[name, i]
        printf "   mean %.5f, spread %.5f\n", sum[name] / n[name], most[name] - least[name]
    }
    END {
        printf "validation loss after %d steps, by seed\n", steps
        line("direct"); line("winograd")
        difference = sum["winograd"] / n["winograd"] - sum["direct"] / n["direct"]
        spread = most["direct"] - least["direct"]
        printf "difference of the means %.5f: %s the spread of the seeds, %.5f\n", difference, difference * difference <= spread * spread ? "within" : "beyond", spread
        exit difference * difference > spread * spread
    }'
