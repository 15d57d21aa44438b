# slow
# A network that is cut. For some seconds: the job waits and goes on. For good: the job starts again on the other nodes, while the ranks behind
# the cut, which nobody can reach to end, still hold the run if rank zero is among them; the new start waits until their watchdog has ended
# them, and nothing that they did in between is in the result.
. "$(dirname "$0")/lib.sh"
tiny
cluster 4
sed -i 's/^steps = .*/steps = 4000/; s/^watchdog = .*/watchdog = 100/' tiny.ini

RUN=$HERE/short submit --cpus-per-task=1 "$JOBS/train.sbatch"
wait_until 120 reached short 100
mini cut-link 2 >/dev/null
sleep 8
mini heal 2 >/dev/null
expect_end "$id" 600 COMPLETED
expect_equal "restarts after a short cut" "$(restarts "$id")" 0
expect_log "$id" "4 ranks on 4 nodes"

wait_until 60 all_idle 4
RUN=$HERE/long submit --cpus-per-task=1 "$JOBS/train.sbatch"
wait_until 60 says "$id" "4 ranks on 4 nodes"
wait_until 120 reached long 100
mini cut-link 1 >/dev/null
saved=$(steps_reached long)
expect_end "$id" 600 COMPLETED
expect_log "$id" "waiting for what is left of the last start"
expect_log "$id" "3 ranks on 3 nodes"
expect_equal "steps" "$(steps_reached long)" 4000
first=$(sed -n 's/.*from step-0*\([0-9]*\)\.h5.*/\1/p' "$id.out" | head -n 1)
[ "${first:-0}" -ge "$saved" ] || fail "went back to step ${first:-0}; step $saved had been saved"
expect_exit 0 "$TWEEDIE" checkpoint verify long
mini heal 1 >/dev/null
wait_until 60 all_idle 4
