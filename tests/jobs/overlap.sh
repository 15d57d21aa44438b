# slow
# Four nodes on shaped links, where timed waits stand for the computation: where the reduction's time fits behind the backward pass, at most
# a tenth of the step waits for it, with a thread for the communication as without one. MEGABYTES, MBIT and COMPUTE_MS are the gradient, each link's rate, and the backward pass.
. "$(dirname "$0")/lib.sh"
: "${MEGABYTES:=8}" "${MBIT:=400}" "${COMPUTE_MS:=450}"
export SLURM_PMIX_FENCE=tree # as in jobs/train.sbatch
cluster 4
for node in 1 2 3 4; do
    expect_exit 0 on_cluster tc qdisc add dev "n$node" root tbf rate "${MBIT}mbit" burst 256k latency 200ms
done

# measure thread|inline COMPUTE_MS
measure() {
    expect_exit 0 on_cluster srun --nodes=4 --ntasks-per-node=1 --mpi=pmix --kill-on-bad-exit=1 \
        "$TWEEDIE" bench reduce --megabytes "$MEGABYTES" --communication "$1" --compute-ms "$2" --repetitions 5 --json
    reduction=$(json_value reduction_ms "$OUT") share=$(json_value exposed_share "$OUT")
    echo "4 nodes, $MBIT Mbit/s, $MEGABYTES MB, $1, backward pass $2 ms: reduction alone $reduction ms, exposed share $share"
}
holds() { awk "BEGIN { exit !($1) }"; }

for communication in thread inline; do
    measure "$communication" "$COMPUTE_MS"
    expect_output "4 ranks on 4 nodes"
    # 3/4 of the gradient come in twice: if it were faster, the links were not shaped
    holds "$reduction > 0.8 * $MEGABYTES * 8000 * 1.5 / $MBIT" || fail "the links are faster than they were made"
    holds "$reduction < $COMPUTE_MS" || fail "the reduction does not fit behind $COMPUTE_MS ms"
    holds "$share <= 0.10" || fail "exposed share $share"

    # and the figure tells where nothing can hide it
    measure "$communication" $((COMPUTE_MS / 10))
    holds "$share > 0.5" || fail "a reduction that cannot hide is said to"
done
