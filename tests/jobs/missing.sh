# slow
# A rank on another node that is stopped, killed or cut off from the network, in a step or in a grid: within the watchdog's limit and some
# seconds all ranks have ended with a code that lets the job start again, and the message says which rank, on which node, in which step.
. "$(dirname "$0")/lib.sh"
tiny
export SLURM_PMIX_FENCE=tree # as in jobs/train.sbatch
cluster 4
LIMIT=5 PER_NODE=1 ARGS=()

# lose NAME COMMAND...: a run of PER_NODE ranks on each node, during which the command makes the first rank on n3 fall silent
lose() {
    local name=$1 code=0 begin
    shift
    on_cluster srun --nodes=4 "--ntasks-per-node=$PER_NODE" --mpi=pmix --kill-on-bad-exit=1 env OMP_NUM_THREADS=1 \
        "$TWEEDIE" train tiny.ini --run "$name" train.steps=1000000 "compute.watchdog=$LIMIT" "${ARGS[@]}" >"$OUT" 2>"$ERR" &
    wait_until 60 reached "$name" 100
    "$@" >/dev/null || fail "the fault could not be made"
    begin=$SECONDS
    LAST="$name: $*"
    wait_until $((LIMIT + 6)) grep -qE "ending the run|task 2: Killed" "$ERR"
    wait $! || code=$?
    # what Slurm waits for the ranks of a node that does not answer comes on top: 12 s, and 5 more before and after
    [ $((SECONDS - begin)) -le $((LIMIT + 35)) ] || fail "it took $((SECONDS - begin)) s"
    # srun's code is the largest of all ranks': the watchdog's, or of one that had to be killed, or wrote to who was gone; train.sbatch requeues
    case $code in 70 | 137 | 141) ;; *) fail "exit code $code" ;; esac
    ! grep -qE "watchdog: missing: rank [0-9]+ on n[124]" "$ERR" || fail "another rank was named"
    cp "$ERR" said
    expect_exit 0 "$TWEEDIE" checkpoint verify "$name"
    echo "$name: ended with $code $((SECONDS - begin)) s after the fault"
}
named() {
    cp said "$ERR"
    expect_message "n1: task 0: Exited with exit code 70"
    expect_message "watchdog: rank 0 on n1 is in '"
    expect_message " s (limit $LIMIT s); ending the run"
    grep -qE "^tweedie: watchdog: missing: rank 2 on n3, last heard of [3-9] s ago in '[a-z ]+' of step [0-9]+$" "$ERR" ||
        fail "rank 2 on n3 is not named"
}
# its process is found in the node's own namespace of processes, which holds no other
signal() { mini on "$1" bash -c 'kill -'"$2"' $(for p in $(pgrep -x tweedie); do ! grep -qz "^SLURM_LOCALID=0$" /proc/$p/environ || echo $p; done)'; }
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

# of two ranks on the node the first, which is its courier: the other one tells
wait_until 60 all_idle
PER_NODE=2
lose first signal 3 STOP
cp said "$ERR"
grep -qE "^tweedie: watchdog: missing: rank 4 on n3 is in '[a-z ]+' of step [0-9]+(, waiting for other ranks,)? for [0-9]+ s, without a sign of life for [3-9] s$" \
    "$ERR" || fail "rank 4 on n3 is not named"

# in a grid, which may take an hour: as soon as in a step
wait_until 60 all_idle
PER_NODE=1 ARGS=(objective.timesteps=1000 log.grid_every=100 log.grid_steps=1000 log.grid_count=65536)
cut_later() { sleep 2 && mini cut-link 3; } # so that it is known where it was
lose drawing cut_later
cp said "$ERR"
expect_message "is in 'grid' of step 100"
expect_message "; others give no sign of life (limit $LIMIT s); ending the run"
grep -qE "^tweedie: watchdog: missing: rank 2 on n3, last heard of [3-9] s ago in 'grid' of step 100$" "$ERR" || fail "rank 2 on n3 is not named"
mini heal 3 >/dev/null
