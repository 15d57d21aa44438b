# slow
# A rank on another node that is stopped, killed or cut off from the network: within the watchdog's limit and some seconds all ranks have
# ended with a code that lets the job start again, and the message says which rank, on which node, in which step.
. "$(dirname "$0")/lib.sh"
tiny
export SLURM_PMIX_FENCE=tree # as in jobs/train.sbatch
cluster 4
LIMIT=5

# lose NAME COMMAND...: a run of one rank on each node, during which the command makes rank 2, on n3, fall silent
lose() {
    local name=$1 code=0 begin
    shift
    on_cluster srun --nodes=4 --ntasks-per-node=1 --mpi=pmix --kill-on-bad-exit=1 \
        "$TWEEDIE" train tiny.ini --run "$name" train.steps=1000000 "compute.watchdog=$LIMIT" >"$OUT" 2>"$ERR" &
    wait_until 60 reached "$name" 100
    begin=$SECONDS
    "$@" >/dev/null || fail "the fault could not be made"
    LAST="$name: $*"
    wait $! || code=$?
    # what Slurm waits for the ranks of a node that does not answer comes on top: 12 s
    [ $((SECONDS - begin)) -le $((LIMIT + 25)) ] || fail "it took $((SECONDS - begin)) s"
    # srun's code is the largest of all ranks': the watchdog's, or that of a rank which had to be killed; train.sbatch requeues on both
    case $code in 70 | 137) ;; *) fail "exit code $code" ;; esac
    ! grep -q "watchdog: missing: rank [13]" "$ERR" || fail "another rank was named"
    cp "$ERR" said
    expect_exit 0 "$TWEEDIE" checkpoint verify "$name"
    echo "$name: ended with $code $((SECONDS - begin)) s after the fault"
}
named() {
    cp said "$ERR"
    expect_message "n1: task 0: Exited with exit code 70"
    expect_message "watchdog: rank 0 on n1 is in 'step' of step "
    expect_message " s (limit $LIMIT s); ending the run"
    grep -qE "^tweedie: watchdog: missing: rank 2 on n3, last heard of [3-9] s ago in 'step' of step [0-9]+$" "$ERR" ||
        fail "rank 2 on n3 is not named"
}
# its process is found in the node's own namespace of processes, which holds no other
signal() { mini on "$1" bash -c "kill -$2 \$(pgrep -x tweedie)"; }
all_idle() { [ "$(on_cluster sinfo --noheader --Node --format=%t | grep -cx idle)" -eq 4 ]; }

lose stopped signal 3 STOP
named
wait_until 60 all_idle
lose cut mini cut-link 3
named
mini heal 3 >/dev/null
wait_until 60 all_idle
# Slurm sees this one die, says so, and ends the others
lose killed signal 3 KILL
cp said "$ERR"
expect_message "n3: task 2: Killed"
