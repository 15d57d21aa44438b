# slow
# A job that loses a node, its own batch host too, starts again by itself on the nodes that are left, goes on from the last checkpoint, and
# learns what it would have learnt.
. "$(dirname "$0")/lib.sh"
tiny
cluster 4
sed -i 's/^steps = .*/steps = 3000/' tiny.ini
loss() { sed -n 's/.*"step": *3000,.*"loss": *\([0-9.e-]*\).*/\1/p' "$1/metrics.jsonl" | tail -n 1; }

RUN=$HERE/straight submit --nodes=4 --cpus-per-task=1 "$JOBS/train.sbatch"
expect_end "$id" 600 COMPLETED
expect_log "$id" "4 ranks on 4 nodes"

# lose NAME NODE: a run that loses the node after some checkpoints
lose() {
    wait_until 60 all_idle 4
    RUN=$HERE/$1 submit --cpus-per-task=1 "$JOBS/train.sbatch"
    wait_until 60 says "$id" "4 ranks on 4 nodes"
    wait_until 120 reached "$1" 150
    mini kill-node "$2" >/dev/null
    before=$(steps_reached "$1")
    expect_end "$id" 600 COMPLETED
    expect_log "$id" "3 ranks on 3 nodes"
    expect_equal "steps" "$(steps_reached "$1")" 3000
    first=$(sed -n 's/.*from step-0*\([0-9]*\)\.h5.*/\1/p' "$id.out" | head -n 1)
    [ "${first:-0}" -ge "$before" ] || fail "$1 went back to step ${first:-0}; step $before had been saved when the node was lost"
    expect_exit 0 "$TWEEDIE" checkpoint verify "$1"
    # another number of ranks sums in another order
    LAST="losses $(loss "$1") and $(loss straight)"
    awk -v a="$(loss "$1")" -v b="$(loss straight)" 'BEGIN { exit !(a > 0 && (a - b) ^ 2 < (1e-3 * b) ^ 2) }' || fail "another loss"
    mini heal "$2" >/dev/null
}
lose worker 3
lose host 1
