# slow
# A job of four nodes that runs into its time limit twice starts again twice, finishes, and has computed, bit for bit, what a job without a
# limit computes.
. "$(dirname "$0")/lib.sh"
tiny
cluster 4
sed 's/^steps = .*/steps = 1000000/' tiny.ini >limited.ini

RUN=$HERE/limited CONFIG=$HERE/limited.ini submit --nodes=4 --cpus-per-task=1 --time=1 --signal=B:USR1@30 "$JOBS/train.sbatch"
limited=$id
restarted() { [ "$(restarts "$limited")" -ge "$1" ] && [ "$(state "$limited")" = RUNNING ]; }
wait_until 240 restarted 2
# between Slurm's start of the job and the first line of bash a signal ends it; nobody can close that
wait_until 60 eval '[ "$(grep -c ", start [0-9]* on " "$limited.out")" -ge 3 ]'
# how far it gets in a minute depends on the machine: so it is the end that comes, a little after where the second start stopped
last=$(($(steps_reached limited) + 2000)) # some seconds: it goes on until the signal is there
on_cluster scancel --batch --signal=USR1 "$limited"
sed -i "s/^steps = .*/steps = $last/" limited.ini
expect_end "$limited" 240 COMPLETED
expect_equal "steps" "$(steps_reached limited)" "$last"
[ "$(grep -c "asked to stop (SIGUSR1)" "$limited.out")" -ge 2 ] || fail "it did not run into its limit twice"
expect_log "$limited" "4 ranks on 4 nodes"

RUN=$HERE/straight submit --nodes=4 --cpus-per-task=1 "$JOBS/train.sbatch" "train.steps=$last"
expect_end "$id" 600 COMPLETED
expect_exit 0 "$TWEEDIE" checkpoint diff limited straight
