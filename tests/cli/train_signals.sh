# waits
# Stopping and saving when asked: by a signal to one rank alone, by the clock, by the step, by a file. The run ends with 75 and a complete
# checkpoint, from which it goes on as if it had never stopped; and only one process at a time trains it.
. "$(dirname "$0")/train/lib.sh"
make_points
ENDLESS="points.ini train.steps=1000000 checkpoint.every=1000000 log.seconds=1000"

# stopped RUN N: RUN, stopped at some step on N ranks, is the run that was told to stop there, and goes on like it
stopped() {
    local at
    expect_message "the same command resumes"
    at=$(newest "$1")
    rm -rf told
    expect_exit 75 train "$2" told $ENDLESS --stop-at-step $((at + 3))
    [ "$at" -ge 5 ] || fail "stopped at step $at, before the signal"
    expect_exit 75 train "$2" "$1" $ENDLESS --stop-at-step $((at + 3))
    expect_message "resumed from $1/checkpoints/step-$(printf %09d "$at").h5"
    same "$1" told
}

for n in 1 2 4; do
    launch $n run$n $ENDLESS
    wait_for_step run$n 5
    kill -USR1 "$(rank_pids | tail -n 1)"
    expect_end 75
    stopped run$n $n
done

launch 2 terminated $ENDLESS
wait_for_step terminated 5
kill -TERM "$(rank_pids | head -n 1)"
expect_end 75
stopped terminated 2

# the time of 0.0005 hours is 1.8 s, starting included
expect_exit 75 train 2 hours $ENDLESS --max-hours 0.0005
expect_message "with a complete checkpoint"
[ "$(newest hours)" -ge 1 ] || fail "no step was taken"

# saves, and goes on; meanwhile nobody else can train this run
launch 2 saves $ENDLESS
wait_for_step saves 5
kill -USR2 "$(rank_pids | tail -n 1)"
wait_for saves/train.log " written in "
expect_equal "checkpoints" "$(find saves/checkpoints -name 'step-*.h5' | wc -l)" 1
first=$(newest saves)
touch saves/checkpoint-now
tries=600
until [ "$(newest saves)" -gt "$first" ]; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "the file checkpoint-now did nothing"
    sleep 0.05
done
[ ! -e saves/checkpoint-now ] || fail "the request is still there"
for n in 1 2; do
    LAST="a second trainer on $n ranks"
    code=0
    train $n saves $ENDLESS >second.out 2>second.err || code=$?
    expect_equal "exit code" $code 73
    grep -q "tweedie: the run saves is in use by another process: host $(hostname), process [0-9]*, job none, since 20" second.err ||
        fail "it does not say who: $(cat second.err)"
    grep -q "process $(rank_pids | head -n 1)," second.err || fail "it names another process"
done
wait_for_step saves $(($(newest saves) + 5))
kill -USR1 "$(rank_pids | head -n 1)"
expect_end 75
stopped saves 2
[ ! -e saves/lock ] || fail "the lock is still there"

# a second SIGTERM, a second later, ends a run that cannot end by itself
launch 2 stuck $ENDLESS
wait_for_step stuck 5
kill -STOP "$(rank_pids | tail -n 1)"
victim=$(rank_pids | head -n 1)
kill -TERM "$victim"
sleep 1.2
kill -TERM "$victim"
expect_end 143
expect_equal "checkpoints" "$(find stuck/checkpoints -type f | wc -l)" 0
