#!/usr/bin/env bash
# kill_random.sh COUNT [SEED]: SIGKILL at random moments of training and saving, COUNT times, each time followed by a resume.
#
# A run on two ranks ($RANKS) saves every second step, so that many kills meet a save. Each start is killed, one rank or (one time in four)
# all at once, at a random moment: one time in five while it starts, else up to half a second after its first step. After each kill
#   - everything under a final name must be whole: checkpoints verify, pictures end, `latest` names a file, metrics are lines of JSON;
#   - the newest checkpoint is no older than before, and at most two intervals are lost (a save is complete when the next begins);
#   - the same command resumes.
# Each time the run comes to its end, its last checkpoint must be that of a run that was never killed, bit for bit; then a new one begins.
# The moments come from SEED, which is printed; what happens at a moment is up to the machine, so a second run meets other instructions.
. "$(dirname "${BASH_SOURCE[0]}")/../cli/train/lib.sh"

COUNT=${1:?how many kills}
SEED=${2:-$(date +%s)}
RANDOM=$((SEED % 32768))
EVERY=2
make_tiny
set -- tiny.ini train.steps=60 checkpoint.every=$EVERY log.seconds=1000 log.grid_every=20 log.grid_count=4 log.grid_steps=2 sample.batch=4
: "${RANKS:=2}"
export OMPI_MCA_odls_base_sigkill_timeout=0 # the other ranks too die at once; else they have a second, in which a save ends in peace
echo "seed $SEED, $COUNT kills on $RANKS ranks"

lines() { { wc -l <run/metrics.jsonl || echo 0; } 2>/dev/null; }

now() { date +%s%3N; }

# milliseconds, to sleep's seconds
pause() { sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

check_files() {
    local file
    bad=0
    for file in run/checkpoints/step-*.h5; do
        [ -e "$file" ] || continue
        "$TWEEDIE" checkpoint verify "$file" >"$OUT" 2>"$ERR" || bad=$((bad + 1))
    done
    for file in run/samples/*.png; do
        [ -e "$file" ] || continue
        tail -c 8 "$file" | grep -q IEND || bad=$((bad + 1))
    done
    if [ -e run/latest ] && [ ! -e "run/$(cat run/latest)" ]; then bad=$((bad + 1)); fi
    if [ -e run/config.ini ]; then sed "s,/run,/whole," run/config.ini | cmp -s - whole/config.ini || bad=$((bad + 1)); fi
    if [ -e run/metrics.jsonl ] && grep -qv '^{"step": .*}$' run/metrics.jsonl; then bad=$((bad + 1)); fi
    [ $bad = 0 ] || fail "kill $kills: $bad files under final names are not whole"
}

started=$(now)
expect_exit 0 train "$RANKS" whole "$@"
startup=$(($(now) - started))

kills=0 ended=0 saves=0 most=0 early=0 newest=-1
while [ $kills -lt "$COUNT" ]; do
    before=$(lines)
    launch "$RANKS" run "$@"
    moment=$((RANDOM % 5)) victim=$((RANDOM % RANKS)) all=$((RANDOM % 4)) delay=$((RANDOM % 500))
    if [ $moment = 0 ]; then
        pause $((delay * startup / 1000)) # up to half of what a whole run takes
    else
        while [ "$(lines)" -le "$before" ] && kill -0 "$PID" 2>/dev/null; do sleep 0.01; done
        pause $delay
    fi
    mapfile -t pids < <(rank_pids)
    [ $all = 0 ] || pids=("${pids[@]:victim:1}")
    if [ ${#pids[@]} -gt 0 ] && kill -KILL "${pids[@]}" 2>/dev/null; then
        kills=$((kills + 1))
    fi
    code=0
    wait "$PID" || code=$?
    trap 'cd /; rm -rf "$HERE"' EXIT
    case $code in
    0 | 137) ;;
    *) fail "kill $kills: exit code $code" ;;
    esac
    check_files
    find run -name '*.tmp' 2>/dev/null | grep -q . && saves=$((saves + 1))
    [ "$(lines)" -gt "$before" ] || early=$((early + 1))
    step=-1
    [ -z "$(find run -name "step-*.h5" 2>/dev/null)" ] || step=$(newest run)
    [ "$step" -ge $newest ] || fail "kill $kills: the newest checkpoint is of step $step; it was $newest"
    newest=$step
    done=$(json_value step run/metrics.jsonl 2>/dev/null)
    [ "$before" -lt "$(lines)" ] && [ $((${done:-0} - (step > 0 ? step : 0))) -gt $most ] && most=$((done - (step > 0 ? step : 0)))
    [ $most -le $((2 * EVERY)) ] || fail "kill $kills: at step $done the newest checkpoint is of step $step"
    if [ $code = 0 ] || [ $kills -ge "$COUNT" ]; then
        [ $code = 0 ] || expect_exit 0 train "$RANKS" run "$@"
        check_files
        expect_equal "temporary files" "$(find run -name '*.tmp' | wc -l)" 0
        same whole run
        cmp whole/samples/step-000000060.png run/samples/step-000000060.png || fail "the last picture differs"
        ended=$((ended + 1)) newest=-1
        rm -rf run
    fi
done
echo "$kills kills, $early of them before a first step, $saves amid a save; all resumed, $ended runs came to their end, bit for bit"
echo "files under final names that do not verify: 0; steps lost by a kill: $most at most, with a checkpoint every $EVERY steps"
