# slow
# A rank that is stopped, or killed, on one of four nodes: all ranks end, the log says which rank was missing, and the job starts again and
# finishes.
. "$(dirname "$0")/lib.sh"
tiny
cluster 4
sed -i 's/^steps = .*/steps = 4000/; s/^watchdog = .*/watchdog = 10/' tiny.ini

# strike NAME SIGNAL SECONDS: the rank on node 3 gets the signal in mid-run, and no rank is left so many seconds later
strike() {
    local name=$1 signal=$2 limit=$3 struck
    wait_until 60 all_idle 4
    RUN=$HERE/$name submit --cpus-per-task=1 "$JOBS/train.sbatch"
    wait_until 60 says "$id" "4 ranks on 4 nodes"
    wait_until 120 reached "$name" 100
    mini on 3 pkill "-$signal" -x tweedie || fail "no rank on node 3"
    struck=$SECONDS
    wait_until "$limit" says "$id" "lost a rank, a node or the network; requeueing"
    echo "$name: $((SECONDS - struck)) s from the fault to the requeue"
    expect_end "$id" 600 COMPLETED
    expect_equal "restarts" "$(restarts "$id")" 1
    expect_equal "steps" "$(steps_reached "$name")" 4000
    expect_exit 0 "$TWEEDIE" checkpoint verify "$name"
}
strike killed KILL 45
strike stopped STOP 60
expect_log "$id" "watchdog: missing: rank 2 on n3"
