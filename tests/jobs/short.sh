# quick
# A training job on two nodes of a real Slurm, under a minute: it is asked to stop, saves, and is requeued.
. "$(dirname "$0")/lib.sh"
tiny
cluster 2
RUN=$HERE/run submit --nodes=2 --cpus-per-task=1 --exclusive "$JOBS/train.sbatch" train.steps=100000000 log.every=1
short=$id
wait_until 40 grep -qs '"step": 5,' run/metrics.jsonl
on_cluster scancel --batch --signal=USR1 "$short"
restarted() { [ "$(restarts "$short")" -ge 1 ]; }
wait_until 40 restarted
expect_log "$short" "asked to stop (SIGUSR1)"
expect_log "$short" "stopped early, saved; requeueing"
expect_log "$short" "2 ranks on 2 nodes"
[ "$(steps_reached run)" -ge 5 ] || fail "nothing was saved"
on_cluster scancel "$short"
