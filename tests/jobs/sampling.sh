# slow
# Samples drawn by an array of jobs are those that one process draws, also when the array is submitted twice at once, a task is killed and a
# task is stopped.
. "$(dirname "$0")/lib.sh"
tiny
expect_exit 0 "$TWEEDIE" train tiny.ini --run "$HERE/run" train.steps=20
expect_exit 0 "$TWEEDIE" sample run --count 1000 --out alone.h5
digest() { sed -n 's/.*samples 0 to [0-9]*.*digest //p' "$1"; }
wanted=$(digest "$OUT")
expect_exit 0 "$TWEEDIE" sample run --count 40000 --out many.h5
wanted_many=$(digest "$OUT")
[ -n "$wanted" ] || fail "no digest"

cluster 4
export WEIGHTS=$HERE/run COUNT=1000 BLOCK=64

# twice at once
set=$HERE/array.h5
for round in 1 2; do
    OUT=$set submit --array=0-3 --cpus-per-task=1 "$JOBS/sample.sbatch"
    array[round]=$id
done
for round in 1 2; do
    for task in 0 1 2 3; do expect_end "${array[round]}_$task" 120 COMPLETED; done
done
OUT=$set JOIN=1 submit --dependency="afterok:${array[1]}" "$JOBS/sample.sbatch"
expect_end "$id" 60 COMPLETED
expect_equal "digest of the array's samples" "$(digest "$HERE/$id.out")" "$wanted"

# a third time: nothing is left to draw
OUT=$set submit --array=0-3 --cpus-per-task=1 "$JOBS/sample.sbatch"
for task in 0 1 2 3; do expect_end "${id}_$task" 120 COMPLETED; done
! grep -q "^drew" "$HERE/$id"*.out || fail "samples were drawn again"

# one job on several nodes, joined by itself
OUT=$HERE/nodes.h5 RANKS_PER_NODE=2 submit --nodes=3 --cpus-per-task=1 "$JOBS/sample.sbatch"
expect_end "$id" 120 COMPLETED
expect_equal "digest of three nodes' samples" "$(digest "$HERE/$id.out")" "$wanted"

# a job that is asked to stop in the middle, as before its time limit, starts again and draws the rest; one that is cancelled does not
drawn() { [ "$(find "$HERE/$1.h5.parts" -type f 2>/dev/null | wc -l)" -gt 20 ]; }
COUNT=40000 OUT=$HERE/stopped.h5 submit --cpus-per-task=1 "$JOBS/sample.sbatch"
stopped=$id
COUNT=40000 OUT=$HERE/cancelled.h5 submit --cpus-per-task=1 "$JOBS/sample.sbatch"
wait_until 60 drawn stopped
on_cluster scancel --batch --signal=USR1 "$stopped"
wait_until 60 drawn cancelled
on_cluster scancel "$id"
expect_end "$id" 60 CANCELLED
expect_end "$stopped" 180 COMPLETED
expect_equal "restarts" "$(restarts "$stopped")" 1
expect_equal "digest of the stopped job's samples" "$(digest "$HERE/$stopped.out")" "$wanted_many"
grep -q "[1-9][0-9]* are there" "$HERE/$stopped.out" || fail "the second start drew all"
[ ! -e cancelled.h5 ] || fail "the cancelled job went on"

# a missing range is told, not joined
rm "$HERE/array.h5" "$HERE/array.h5.parts/part-000000000512.h5"
OUT=$set JOIN=1 submit "$JOBS/sample.sbatch"
expect_end "$id" 60 FAILED
expect_log "$id" "512"
[ ! -e "$HERE/array.h5" ] || fail "joined without a part"
