# slow
# With train.rank_independent a run on one node, on two and on four is the same run, bit for bit, however the ranks are dealt out; without it
# the sums are of another order.
. "$(dirname "$0")/lib.sh"
tiny
export SLURM_PMIX_FENCE=tree # as in jobs/train.sbatch
cluster 4

# train CODE RUN NODES RANKS_PER_NODE ASSIGNMENT...
train() {
    local code=$1 run=$2 nodes=$3 ranks=$4
    shift 4
    expect_exit "$code" on_cluster srun "--nodes=$nodes" "--ntasks-per-node=$ranks" --cpus-per-task=1 --mpi=pmix env OMP_NUM_THREADS=1 \
        "$TWEEDIE" train tiny.ini --run "$run" train.steps=40 train.batch=64 train.microbatch=8 "$@"
    [ "$((nodes * ranks))" -eq 1 ] || grep -qF "$((nodes * ranks)) ranks on $nodes node" "$OUT" "$ERR" || fail "not $ranks ranks on $nodes nodes"
}

# placed CODE RUN NODE,NODE,... ASSIGNMENT...: a rank on each of these
placed() {
    local code=$1 run=$2 nodes=$3
    shift 3
    tr , '\n' <<<"$nodes" >hosts
    expect_exit "$code" on_cluster env "SLURM_HOSTFILE=$HERE/hosts" srun "--ntasks=$(wc -l <hosts)" --distribution=arbitrary --cpus-per-task=1 \
        --mpi=pmix env OMP_NUM_THREADS=1 "$TWEEDIE" train tiny.ini --run "$run" train.steps=40 train.batch=64 train.microbatch=8 "$@"
}
train 0 one 1 1 train.rank_independent=true
train 0 two 2 1 train.rank_independent=true
train 0 four 4 1 train.rank_independent=true
train 0 pairs 2 2 train.rank_independent=true
# begun on one node, gone on with on four
train 75 moved 1 1 train.rank_independent=true --stop-at-step 20
train 0 moved 4 1 train.rank_independent=true
# three ranks on a node and one on another, dealt out one by one, and one placed after the other
placed 0 uneven n1,n1,n1,n2 train.rank_independent=true
grep -qF "4 ranks on 4 parts of nodes" "$OUT" "$ERR" || fail "not four ranks, each for itself"
placed 75 dealt n1,n2,n1,n2 train.rank_independent=true --stop-at-step 20
placed 0 dealt n1,n2,n2,n3 train.rank_independent=true
for run in two four pairs moved uneven dealt; do expect_exit 0 "$TWEEDIE" checkpoint diff one "$run"; done

# what it is held against
train 0 plain 1 1
LAST="checkpoint diff one plain"
! "$TWEEDIE" checkpoint diff one plain >"$OUT" 2>"$ERR" || fail "a run that depends on the ranks is the same: the comparison sees nothing"
