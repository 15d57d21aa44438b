#!/usr/bin/env bash
# kill_random.sh COUNT [SEED]: SIGKILL at random moments of training and saving, COUNT times, each time followed by a resume.
#
# A run on two ranks ($RANKS) saves every fourth step ($EVERY), which takes about as long as the steps between, so that half of the kills meet
# a save. Each start is killed, one rank or (one time in four) all at once, at a random moment: one time in five while it starts, else up to
# half a second after its first step. After each kill
#   - everything under a final name must be whole: checkpoints verify, pictures end, `latest` names a file, metrics are lines of JSON;
#   - the newest checkpoint is no older than before, and at most two intervals are lost (a save is complete when the next begins);
#   - the same command must go on from the newest checkpoint that there was: nothing but the steps since it is done again.
# Each time the run comes to its end, its last checkpoint must be that of a run that was never killed, bit for bit, losses included; then a
# new one begins. The moments come from SEED, which is printed; what happens at a moment is up to the machine, so a second run meets other
# instructions. 200 kills take about five minutes.
. "$(dirname "${BASH_SOURCE[0]}")/../cli/train/lib.sh"

COUNT=${1:?how many kills}
SEED=${2:-$(date +%s)}
RANDOM=$((SEED % 32768))
: "${RANKS:=2}" "${EVERY:=4}"
make_tiny
set -- tiny.ini train.steps=60 "checkpoint.every=$EVERY" log.seconds=1000 log.grid_every=20 log.grid_count=4 log.grid_steps=2 sample.batch=4
export OMPI_MCA_odls_base_sigkill_timeout=0 # the other ranks too die at once; else they have a second, in which a save ends in peace
echo "seed $SEED, $COUNT kills on $RANKS ranks"

lines() { { wc -l <run/metrics.jsonl || echo 0; } 2>/dev/null; }

now() { date +%s%3N; }

# milliseconds, to sleep's seconds
pause() { sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

# the step of the newest checkpoint, -1 where there is none; by name alone: check_files has verified them all
newest_step() { if [ -n "$(find run -name 'step-*.h5' 2>/dev/null)" ]; then newest run; else echo -1; fi; }

# saves that were begun and not ended
unfinished() { find run/checkpoints -name '.step-*.tmp' 2>/dev/null | sort; }

check_files() {
    local file files=()
    bad=0
    for file in run/checkpoints/step-*.h5; do [ ! -e "$file" ] || files+=("$file"); done
    if [ ${#files[@]} -gt 0 ] && ! "$TWEEDIE" checkpoint verify "${files[@]}" >"$OUT" 2>"$OUT.err"; then
        bad=$(grep -vc ': good: ' "$OUT")
        [ "$bad" -gt 0 ] || bad=1
    fi
    for file in run/samples/*.png; do
        [ -e "$file" ] || continue
        tail -c 8 "$file" | grep -q IEND || bad=$((bad + 1))
    done
    if [ -e run/latest ] && [ ! -e "run/$(cat run/latest)" ]; then bad=$((bad + 1)); fi
    if [ -e run/config.ini ]; then sed "s,/run,/whole," run/config.ini | cmp -s - whole/config.ini || bad=$((bad + 1)); fi
    if [ -e run/metrics.jsonl ] && grep -qv '^{"step": .*}$' run/metrics.jsonl; then bad=$((bad + 1)); fi
    [ $bad = 0 ] || fail "kill $kills: $bad files under final names are not whole"
}

# Whether this start came to go on where the last one was to be gone on from; then all kills before it are resumed.
check_resumed() {
    local said
    said=$(tail -n "+$((logged + 1))" run/train.log 2>/dev/null | sed -n 's/^[^ ]*Z resumed from .*step-0*\([0-9]*\)\.h5$/\1/p')
    if [ "$(lines)" -gt "$before" ] && [ "${said:--1}" -ne "$newest" ]; then
        fail "kill $kills: the start after it began at step ${said:--1}; the newest checkpoint was of step $newest"
    fi
    if [ "$(lines)" -gt "$before" ] || [ -n "$said" ]; then resumed=$kills; fi
}

started=$(now)
expect_exit 0 train "$RANKS" whole "$@"
startup=$(($(now) - started))

kills=0 resumed=0 ended=0 saves=0 most=0 early=0 newest=-1 of_zero=0 of_all=0
while [ $kills -lt "$COUNT" ]; do
    before=$(lines) logged=$({ wc -l <run/train.log || echo 0; } 2>/dev/null) tmp=$(unfinished)
    launch "$RANKS" run "$@"
    moment=$((RANDOM % 5)) victim=$((RANDOM % RANKS)) all=$((RANDOM % 4)) delay=$((RANDOM % 500)) killed=0
    if [ $moment = 0 ]; then
        pause $((delay * startup / 1000)) # up to half of what a whole run takes
    else
        while [ "$(lines)" -le "$before" ] && kill -0 "$PID" 2>/dev/null; do sleep 0.01; done
        pause $delay
    fi
    mapfile -t pids < <(rank_pids)
    [ $all = 0 ] || pids=("${pids[@]:victim:1}")
    if [ ${#pids[@]} -gt 0 ] && kill -KILL "${pids[@]}" 2>/dev/null; then killed=1; fi
    code=0
    wait "$PID" || code=$?
    trap 'cd /; rm -rf "$HERE"' EXIT
    case $code in
    0 | 137) ;;
    *) fail "kill $kills: exit code $code" ;;
    esac
    check_files
    check_resumed
    step=$(newest_step)
    if [ $killed = 1 ] && [ $code = 137 ]; then # not one that met a run in its last breath
        kills=$((kills + 1))
        [ $all = 0 ] && of_all=$((of_all + 1))
        [ $all != 0 ] && [ $victim = 0 ] && of_zero=$((of_zero + 1))
        [ -z "$(comm -13 <(echo "$tmp") <(unfinished))" ] || saves=$((saves + 1))
        [ "$(lines)" -gt "$before" ] || early=$((early + 1))
    fi
    [ "$step" -ge $newest ] || fail "kill $kills: the newest checkpoint is of step $step; it was $newest"
    newest=$step
    done=$(json_value step run/metrics.jsonl 2>/dev/null)
    [ "$before" -lt "$(lines)" ] && [ $((${done:-0} - (step > 0 ? step : 0))) -gt $most ] && most=$((done - (step > 0 ? step : 0)))
    [ $most -le $((2 * EVERY)) ] || fail "kill $kills: at step $done the newest checkpoint is of step $step"
    if [ $code = 0 ] || [ $kills -ge "$COUNT" ]; then
        before=$(lines) logged=$({ wc -l <run/train.log || echo 0; } 2>/dev/null)
        [ $code = 0 ] || expect_exit 0 train "$RANKS" run "$@"
        [ $code = 0 ] || check_resumed
        check_files
        expect_equal "temporary files" "$(find run -name '*.tmp' | wc -l)" 0
        same whole run
        for file in run/samples/*.png; do # a kill between checkpoint and picture leaves none
            [ ! -e "$file" ] || cmp <(pixels "whole/samples/${file##*/}") <(pixels "$file") || fail "a picture differs"
        done
        ended=$((ended + 1)) newest=-1
        rm -rf run
    fi
done
expect_equal "kills that were resumed from" $resumed $kills
echo "$kills kills: $of_all of all ranks, $of_zero of rank 0, $((kills - of_all - of_zero)) of another; $early before a first step, $saves amid a save"
echo "$resumed resumed from the newest checkpoint that there was; $ended runs came to their end, bit for bit"
echo "files under final names that do not verify: 0; steps lost by a kill: $most at most, with a checkpoint every $EVERY steps"
