# slow
# A rank that is stopped, or killed, on one of four nodes: all ranks end, the log says in which step they waited, and the job starts again and
# finishes. (missing.sh holds the watchdog to naming the rank.)
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
    wait_until "$limit" says "$id" "train.sbatch: lost"
    echo "$name: $((SECONDS - struck)) s from the fault to the requeue"
    expect_end "$id" 600 COMPLETED
    expect_equal "restarts" "$(restarts "$id")" 1
    expect_equal "steps" "$(steps_reached "$name")" 4000
    expect_exit 0 "$TWEEDIE" checkpoint verify "$name"
}
says() { sed 's/train.sbatch: [0-9-]* [0-9:]* /train.sbatch: /' "$HERE/$1.out" | grep -qF -- "$2"; }

strike killed KILL 45
strike stopped STOP 60
expect_log "$id" " s (limit 10 s); ending the run"
grep watchdog "$id.out"
