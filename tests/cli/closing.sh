# What a training says last and how it stops: times, cost, shares, the next command; quietly; one line for one error; Ctrl-C.
. "$(dirname "$0")/train/lib.sh"
unset SLURM_JOB_ID
make_points

# each line of the log has the time, in UTC; the terminal's have none
before=$(date -u +%s)
expect_exit 75 train 2 "a run" points.ini --stop-at-step 4 train.steps=8 log.every=2
after=$(date -u +%s)
expect_equal "lines without a time" "$(grep -cvE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z ' 'a run/train.log')" 0
at=$(date -u -d "$(tail -n 1 'a run/train.log' | cut -d ' ' -f 1)" +%s)
[ "$at" -ge "$before" ] && [ "$at" -le $((after + 1)) ] || fail "the time is not now"
! grep -qE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T' "$ERR" || fail "the terminal has times too"

# the closing block of a stop, with a command that goes on: its words as a shell reads them
expect_message "stopped at step 4 of 8:"
for line in "  wall time    " "  core-hours   0." "  speed        " " images/s by the clock" "  time         read " "communicate " "save " \
    "  restarts     0" "  checkpoints  1 written, the newest a run/checkpoints/step-000000004.h5" \
    "  next         mpirun -n 2 tweedie train points.ini --run 'a run' train.steps=8 log.every=2"; do
    expect_message "$line"
    grep -qF -- "$line" "a run/train.log" || fail "train.log has no such line: $line"
done
awk '/  time         read/ { gsub("[%,]", ""); s = $3 + $5 + $7 + $9 + $11; exit !(s > 99 && s < 101) }' "$ERR" || fail "the shares do not add up to 100 %"

# and of the end, with the cost of all parts
expect_exit 0 train 1 "a run" points.ini train.steps=8 log.every=2
for line in "finished at step 8 of 8:" "; of the whole run " "  restarts     1" "  next         tweedie sample 'a run' --count 64 --out samples.h5"; do
    expect_message "$line"
done
expect_exit 0 train 1 "a run" points.ini train.steps=8
! grep -q "finished at" "$ERR" || fail "a block where nothing was done"

# --quiet: nothing but the log file's lines
expect_exit 0 train 1 quiet points.ini --quiet ema.warmup=yes
expect_quiet
grep -q "finished at step 8 of 8:" quiet/train.log || fail "the log is quiet too"

# the cost of a dry run is a number, however small
expect_exit 0 train 1 none points.ini --dry-run train.steps=3
expect_message "the 3 steps that are left, "
cost=$(sed -n 's/.* or \([0-9.]*\) core-hours$/\1/p' "$ERR")
awk -v c="$cost" 'BEGIN { exit !(c > 0) }' || fail "it costs $cost core-hours"

# one error on several ranks: one line of ours, and with mpirun -q nothing else
expect_exit 78 mpirun -q -n 2 "$TWEEDIE" train points.ini --run no optimizer.clipp=2
expect_equal "lines" "$(wc -l <"$ERR")" 1
expect_message "did you mean optimizer.clip?"
expect_exit 66 mpirun -q -n 2 "$TWEEDIE" sample nothing --count 4 --out s.h5
expect_equal "lines" "$(wc -l <"$ERR")" 1

# Ctrl-C reaches the whole process group; a second one ends it at once
press() { # RUN
    setsid env --default-signal=INT "$TWEEDIE" train points.ini --run "$1" train.steps=1000000 checkpoint.every=1000000 >"$OUT" 2>"$ERR" </dev/null &
    PID=$!
    wait_for_step "$1" 5
    kill -INT -- "-$PID"
}
press stopped
expect_end 75
expect_message "a second interrupt ends it"
[ "$(newest stopped)" -ge 5 ] || fail "it was not saved"
