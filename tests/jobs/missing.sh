# slow
# A rank on another node that is stopped, killed or cut off from the network: within the watchdog's limit and some seconds all ranks have
# ended with a code that lets the job start again, and the message says which rank, on which node, in which step.
. "$(dirname "$0")/lib.sh"
tiny
cluster 4
LIMIT=5

# lose NAME CODE COMMAND...: a run of one rank on each node, during which the command makes rank 2, on n3, fall silent
lose() {
    local name=$1 wanted=$2 code=0 begin
    shift 2
    on_cluster srun --nodes=4 --ntasks-per-node=1 --mpi=pmix --kill-on-bad-exit=1 \
        "$TWEEDIE" train tiny.ini --run "$name" train.steps=1000000 "compute.watchdog=$LIMIT" >"$OUT" 2>"$ERR" &
    wait_until 60 reached "$name" 100
    begin=$SECONDS
    "$@" >/dev/null || fail "the fault could not be made"
    LAST="$name: $*"
    wait $! || code=$?
    # what Slurm waits for the ranks of a node that does not answer comes on top: 12 s
    [ $((SECONDS - begin)) -le $((LIMIT + 25)) ] || fail "it took $((SECONDS - begin)) s"
    expect_equal "exit code" "$code" "$wanted"
    expect_message "watchdog: rank 0 on n1 is in 'step' of step "
    expect_message ", waiting for other ranks, for $LIMIT s (limit $LIMIT s); ending the run"
    grep -qE "^tweedie: watchdog: missing: rank 2 on n3, last heard of [3-9] s ago in 'step' of step [0-9]+$" "$ERR" ||
        fail "rank 2 on n3 is not named"
    ! grep -q "watchdog: missing: rank [13]" "$ERR" || fail "another rank was named"
    # once with what to make of it: from the last checkpoint on
    expect_exit 0 "$TWEEDIE" checkpoint verify "$name"
    echo "$name: ended with $code $((SECONDS - begin)) s after the fault"
}
# its process is found in the node's own namespace of processes, which holds no other
signal() { mini on "$1" bash -c "kill -$2 \$(pgrep -x tweedie)"; }
all_idle() { [ "$(on_cluster sinfo --noheader --Node --format=%t | grep -cx idle)" -eq 4 ]; }

lose stopped 70 signal 3 STOP
wait_until 60 all_idle
lose cut 70 mini cut-link 3
mini heal 3 >/dev/null
wait_until 60 all_idle
# Slurm sees this one die and ends the others itself; the trainer takes that for a request to stop, and waits until the watchdog speaks
lose killed 137 signal 3 KILL
