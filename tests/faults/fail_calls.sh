#!/usr/bin/env bash
# fail_calls.sh COUNT|all [SEED]: one call of a save, or of the checkpoint job, fails in the running program.
#
# Every call on files of the run that a save makes, and every one of HDF5, is counted first; then the program runs again and again, each time
# with one of them failing (tests/faults/fault_shim.c), on 1, 2 and 4 ranks ($RANKS):
#
#   once     a full disk, an error of the disk, half a write, an error of HDF5, in the save of step 6 of 8. The run goes on and saves step 8,
#            all ranks end with 0, and what it ends with is what an undisturbed run ends with, bit for bit
#   for good the disk is full from that call on (errors alone; a write by half, then errors), in the last save of a run. All ranks end with
#            74, and the message says what failed; or with 0, where the checkpoint was there already
#   start    the same errors while the run is opened. All ranks end with 74, or go on where that is no harm
#   job      the same, and SIGKILL, in `checkpoint drain`, `export` and `prune`. They end with 74 and name the file, or leave it out with a
#            warning and take what else there is
#
# After each the checkpoints of steps 2 and 4 are as they were, byte for byte, but for what is pruned once two newer ones are there;
# everything under a final name is whole; nothing temporary stays; and the same command without the fault ends well.
#
# `all` makes every injection there is (some hours; RANKS and KINDS, of the words above, make it less); a COUNT of them is drawn, evenly over
# kinds, ranks and errors, by SEED, which is printed.
. "$(dirname "${BASH_SOURCE[0]}")/../cli/train/lib.sh"

COUNT=${1:?how many injections, or all}
SEED=${2:-$(date +%s)}
: "${RANKS:=1 2 4}" "${KINDS:=once for_good start job}"
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
[ -f "$SHIM" ] || fail "$SHIM was not built"
# every rank comes to say its code; what mpirun makes of them, tests/cli/train_faults.sh knows
export OMPI_MCA_orte_abort_on_non_zero_status=0
make_points
set -- points.ini network.width=8 network.depth=1 checkpoint.every=2 checkpoint.keep=2 log.every=1000 log.seconds=1000
ACTIONS="errno:28 errno:5 short"

# each rank writes its exit code beside the run
cat >each_rank.sh <<'SCRIPT'
code=0
env ${SHIM_HERE:+LD_PRELOAD="$SHIM_HERE"} ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "$@" || code=$?
echo "$code" >"code.${OMPI_COMM_WORLD_RANK:-0}"
exit "$code"
SCRIPT

# run N RUN ARG...: a training on N ranks, with the fault of $FAULT, and its code in $code
run() {
    local n=$1 name=$2 line
    shift 2
    rm -f code.*
    line=(bash each_rank.sh "$TWEEDIE" train "$@" --run "$name")
    [ "$n" = 1 ] || line=(mpirun -n "$n" "${line[@]}")
    LAST="$fault on $n ranks: ${line[*]}"
    env $fault ${fault:+SHIM_HERE="$SHIM"} timeout 60 "${line[@]}" >"$OUT" 2>"$ERR" </dev/null
    [ $? -ne 124 ] || fail "it hangs"
    expect_equal "ranks that ended" "$(cat code.* | wc -l)" "$n"
    code=$(sort -u code.*)
    expect_equal "exit codes of the ranks" "$(wc -l <<<"$code")" 1
}

# begin N: a run that has saved steps 2 and 4, as `victim`
begin() {
    rm -rf victim
    cp -a "base$1" victim
}

there() { [ -e "victim/checkpoints/step-00000000$1.h5" ]; }

# Bytes as they were; or, where it could not be read when the run was opened, made again from the one before it
untouched() {
    cmp -s "$1" "$2" || { grep -q "trying the one before it" "$ERR" && "$TWEEDIE" checkpoint diff "$1" "$2" >/dev/null; }
}

# good N: what is there under a final name is whole; nothing old was touched, but what was pruned because two newer ones are there
good() {
    local step newer other
    for step in 2 4; do
        if there $step; then
            untouched "base$1/checkpoints/step-00000000$step.h5" "victim/checkpoints/step-00000000$step.h5" || fail "step $step was touched"
        else
            newer=0
            for other in 4 6 8; do [ $other -le $step ] || ! there $other || newer=$((newer + 1)); done
            [ $newer -ge 2 ] || fail "step $step is gone, and $newer newer ones are there"
        fi
    done
    "$TWEEDIE" checkpoint verify victim >verified || fail "a file under a final name does not verify: $(grep -v ': good' verified)"
    cmp -s <(grep -v '^steps = ' "base$1/config.ini") <(grep -v '^steps = ' victim/config.ini) || fail "the configuration is another one"
    expect_equal "temporary files" "$(find victim -name '*.tmp' | wc -l)" 0
}

# again N STEPS: the same command without the fault comes to the end of a run that never met one
again() {
    fault=
    run "$1" victim "${ARGS[@]}" "train.steps=$2"
    expect_equal "exit code without the fault" "$code" 0
    same "whole$1.$2" victim
}

once() { # N ACTION CALL
    begin "$1"
    fault="$SAVE FAULT_ACTION=$2 FAULT_CALL=$3"
    run "$1" victim "${ARGS[@]}" train.steps=8
    expect_equal "exit code" "$code" 0
    good "$1"
    if grep -q "the checkpoint of step 6 failed (older ones are untouched): " "$ERR"; then
        reported=$((reported + 1))
    else
        there 6 || fail "nothing was said, and step 6 is not there"
        harmless=$((harmless + 1))
    fi
    same "whole$1.8" victim
}

for_good() { # N ACTION CALL
    begin "$1"
    fault="$SAVE FAULT_ACTION=$2 FAULT_CALL=$3"
    run "$1" victim "${ARGS[@]}" train.steps=6
    good "$1"
    case $code in
    0)
        there 6 || fail "it says that all is well, and step 6 is not there"
        harmless=$((harmless + 1))
        ;;
    74)
        grep -q "tweedie: .*victim/" "$ERR" || fail "the message names no file"
        reported=$((reported + 1))
        ;;
    *) fail "exit code $code" ;;
    esac
    again "$1" 6
}

start() { # N ACTION CALL
    begin "$1"
    fault="$START FAULT_ACTION=$2 FAULT_CALL=$3"
    run "$1" victim "${ARGS[@]}" train.steps=4
    good "$1"
    case $2:$code in
    *:0) harmless=$((harmless + 1)) ;;
    *:74 | errno:28:6[56]) # a disk that is full for those who read
        grep -q "tweedie: .*victim" "$ERR" || fail "the message names no file"
        reported=$((reported + 1))
        ;;
    *) fail "exit code $code" ;;
    esac
    again "$1" 6
}

# ---- the checkpoint job: what is drained has two checkpoints and an export

job_command() {
    case $1 in
    drain) echo drain victim --to store ;;
    export) echo export victim ;;
    prune) echo prune victim --keep 1 ;;
    esac
}

job_begin() {
    rm -rf victim store
    cp -a base1 victim
    case $1 in
    drain) "$TWEEDIE" checkpoint export victim --weights raw >/dev/null 2>&1 || fail "no export" ;;
    prune) cp victim/checkpoints/step-000000002.h5 victim/checkpoints/step-000000001.h5 ;; # the one to go
    esac
}

job_good() { # whole, whatever has happened
    local file
    for file in 2 4; do
        cmp "base1/checkpoints/step-00000000$file.h5" "victim/checkpoints/step-00000000$file.h5" || fail "step $file was touched"
    done
    for file in store/*.h5; do
        [ ! -e "$file" ] || cmp "$file" victim/*/"${file##*/}" || fail "$file is not whole"
    done
    for file in victim/weights/*.h5; do
        [ ! -e "$file" ] || "$TWEEDIE" checkpoint verify "$file" >verified || fail "$file does not verify"
    done
    [ ! -e store/manifest.jsonl ] && return
    ! grep -qv '^{"file": "step-[^"]*", .*}$' store/manifest.jsonl || fail "a line of the manifest is not whole"
    sed 's/^{"file": "\([^"]*\)".*/\1/' store/manifest.jsonl | while read -r file; do
        [ -e "store/$file" ] || fail "the manifest names $file, which is not there"
    done || exit 1
}

# repeated without the fault, the work is done, once
job_done() {
    case $1 in
    drain)
        expect_equal "files in the store" "$(find store -name 'step-*.h5' | wc -l)" 3
        expect_equal "lines of the manifest" "$(sort -u store/manifest.jsonl | wc -l) $(wc -l <store/manifest.jsonl)" "3 3"
        expect_equal "temporary files" "$(find store -name '*.tmp' | wc -l)" 0
        ;;
    export) [ -e victim/weights/step-000000004-ema-0.9999.h5 ] || fail "nothing was exported" ;;
    prune) expect_equal "checkpoints" "$(find victim -name 'step-*.h5' | wc -l)" 2 ;;
    esac
    job_good
}

job() { # COMMAND ACTION CALL
    local command
    read -ra command < <(job_command "$1")
    job_begin "$1"
    fault="FAULT_PATH=victim:store FAULT_ACTION=$2 FAULT_CALL=$3"
    code=0
    LAST="$fault: checkpoint ${command[*]}"
    { # bash itself says who was killed
        env $fault LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 timeout 60 "$TWEEDIE" checkpoint "${command[@]}" \
            >"$OUT" 2>"$ERR" </dev/null || code=$?
    } 2>/dev/null
    job_good
    case $2:$code in
    kill:137) reported=$((reported + 1)) ;;
    *:0) harmless=$((harmless + 1)) ;;
    *:74 | hdf5:65 | errno*28:6[56]) # HDF5 that fails and does not say why; a disk that is full for those who read
        grep -q "tweedie: .*\(victim\|store\)" "$ERR" || fail "the message names no file"
        reported=$((reported + 1))
        expect_equal "temporary files" "$(find victim store -name '*.tmp' 2>/dev/null | wc -l)" 0
        ;;
    *) fail "exit code $code" ;;
    esac
    expect_exit 0 "$TWEEDIE" checkpoint "${command[@]}"
    job_done "$1"
}

# ---- what there is to fail

# calls KIND: how many calls of a kind the last run has logged
calls() { grep -c "^$1 " "$HERE/calls" || true; }

ARGS=("$@")
SAVE="FAULT_RANK=0 FAULT_AFTER=victim/config.ini FAULT_PATH=victim/checkpoints:victim/latest:victim/.latest:victim/lock"
START="FAULT_RANK=0 FAULT_PATH=victim"
for n in $RANKS 1; do
    [ ! -e "base$n" ] || continue
    fault=
    run "$n" "base$n" "${ARGS[@]}" --stop-at-step 4
    expect_equal "exit code" "$code" 75
    for steps in 6 8; do
        cp -a "base$n" "whole$n.$steps"
        run "$n" "whole$n.$steps" "${ARGS[@]}" "train.steps=$steps"
        expect_equal "exit code" "$code" 0
    done
done

# one line for each injection there is
injections() {
    local n command action call files hdf5
    for n in $RANKS; do
        rm -f calls
        begin "$n"
        fault="$SAVE FAULT_LOG=$HERE/calls"
        run "$n" victim "${ARGS[@]}" train.steps=6
        files=$(calls file) hdf5=$(calls hdf5)
        [ "$files" -gt 20 ] && [ "$hdf5" -gt 200 ] || fail "$files calls on files and $hdf5 of HDF5 are not those of a save"
        echo "$n ranks: a save makes $files calls on files and $hdf5 of HDF5" >&2
        for ((call = 1; call <= files; call++)); do
            for action in $ACTIONS; do echo "once $n $action $call"; done
            for action in errnoall:28 full; do echo "for_good $n $action $call"; done
        done
        for ((call = 1; call <= hdf5; call++)); do echo "once $n hdf5 $call"; done
        rm -f calls
        begin "$n"
        fault="$START FAULT_LOG=$HERE/calls"
        run "$n" victim "${ARGS[@]}" train.steps=4
        files=$(calls file)
        for ((call = 1; call <= files; call++)); do
            for action in $ACTIONS; do echo "start $n $action $call"; done
        done
    done
    for command in drain export prune; do
        rm -f calls
        job_begin $command
        fault="FAULT_PATH=victim:store FAULT_LOG=$HERE/calls"
        env $fault LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "$TWEEDIE" checkpoint $(job_command $command) \
            >"$OUT" 2>"$ERR" || fail "checkpoint $command failed"
        files=$(calls file) hdf5=$(calls hdf5)
        echo "checkpoint $command makes $files calls on files and $hdf5 of HDF5" >&2
        for ((call = 1; call <= files; call++)); do
            for action in $ACTIONS errnoall:28 full kill; do echo "job $command $action $call"; done
        done
        for ((call = 1; call <= hdf5; call++)); do echo "job $command hdf5 $call"; done
    done
}
echo "seed $SEED"
injections | grep -E "^(${KINDS// /|}) " >all
if [ "$COUNT" = all ]; then
    cp all chosen
else
    # evenly over kind, ranks and action: by lot within each, then the first of each, the second of each, ...
    shuf --random-source=<(yes "$SEED") all | awk '{ print ++seen[$1 $2 $3], NR, $0 }' | sort -n -k 1,1 -k 2,2 | cut -d ' ' -f 3- |
        head -n "$COUNT" >chosen
fi
injected=0 reported=0 harmless=0
while read -r kind a b c <&3; do
    $kind "$a" "$b" "$c"
    injected=$((injected + 1))
done 3<chosen
echo "$injected injections of $(wc -l <all): $reported reported, $harmless harmless; 0 hangs, 0 codes that differ between ranks"
echo "older checkpoints touched: 0; files under final names that are not whole: 0; all went on without the fault"
