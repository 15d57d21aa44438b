#!/usr/bin/env bash
# What train.rank_independent costs: the time of a step as `train --dry-run` measures it, in turn without it, without it in the same
# microbatches, and with it; minima, and their ratio to the first.
#
#   TWEEDIE=PROGRAM tests/bench/rank_independent.sh [RANKS [TIMES [section.key=value ...]]]
#
# One OpenMP thread a rank. 2 ranks, 5 times, the MNIST network with a batch of 64 in microbatches of 16 if nothing is said.
set -euo pipefail
: "${TWEEDIE:?the program to measure}"
root=$(cd "$(dirname "$0")/../.." && pwd)
ranks=${1:-2} times=${2:-5}
[ $# -gt 2 ] && assignments=("${@:3}") || assignments=(train.batch=64)
micro=$(printf '%s\n' "${assignments[@]}" | sed -n 's/^train.microbatch=//p')
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# step [section.key=value ...]: seconds of a step
step() {
    mpirun -n "$ranks" "$TWEEDIE" train "$root/jobs/config/mnist-ddpm.ini" --run "$folder/none" --dry-run log.grid_every=0 \
        log.validate_every=0 "${assignments[@]}" "$@" 2>&1 | sed -n 's/.*a step takes \([0-9.]*\) s.*/\1/p'
}
names=("as one batch" "in microbatches" "rank-independent")
for _ in $(seq "$times"); do
    for k in 0 1 2; do
        case $k in
        0) seconds=$(step train.microbatch=0) ;;
        1) seconds=$(step "train.microbatch=${micro:-16}") ;;
        2) seconds=$(step "train.microbatch=${micro:-16}" train.rank_independent=yes) ;;
        esac
        [ -n "$seconds" ] || { echo "rank_independent: no step was measured" >&2; exit 70; }
        echo "$k $seconds"
    done
done | sort -k1,1n -k2,2n | awk '!($1 in best) { best[$1] = $2; print $1, $2, $2 / best[0] }' | while read -r k seconds ratio; do
    printf '%-18s %8.3f s  %5.2f\n' "${names[$k]}" "$seconds" "$ratio"
done
