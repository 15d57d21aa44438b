# slow
# With train.rank_independent a run on one node, on two and on four is the same run, bit for bit; without it the sums are of another order.
. "$(dirname "$0")/lib.sh"
tiny
cluster 4

# train RUN NODES RANKS_PER_NODE ASSIGNMENT...
train() {
    local run=$1 nodes=$2 ranks=$3
    shift 3
    expect_exit 0 on_cluster srun "--nodes=$nodes" "--ntasks-per-node=$ranks" --cpus-per-task=1 --mpi=pmix env OMP_NUM_THREADS=1 \
        "$TWEEDIE" train tiny.ini --run "$run" train.steps=40 train.batch=64 train.microbatch=8 "$@"
    grep -qF "$((nodes * ranks)) ranks" "$OUT" "$ERR" || [ "$((nodes * ranks))" -eq 1 ] || fail "not on $((nodes * ranks)) ranks"
}
train one 1 1 train.rank_independent=true
train two 2 1 train.rank_independent=true
train four 4 1 train.rank_independent=true
train pairs 2 2 train.rank_independent=true
for run in two four pairs; do expect_exit 0 "$TWEEDIE" checkpoint diff one "$run"; done

# a node that begins and others that go on
train moved 1 1 train.rank_independent=true --stop-at-step 20
