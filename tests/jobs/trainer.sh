#!/usr/bin/env -S --default-signal=USR1,USR2,TERM bash
# Stands in for the program where the logic of the job scripts alone is under test: it keeps the contract of `tweedie train` (checkpoints
# under their final names, SIGUSR1, exit codes) and of `tweedie inspect --ranks` without MPI. A step takes 0.2 s, a checkpoint comes every 5 steps; rank 0 writes it.
#
#   STEPS=N        the length of the run (default 50)
#   FAULT=WHAT     at step FAULT_STEP of each start: exit=CODE on all ranks, die=CODE or kill=SIGNAL on the last rank while the others hang,
#                  locked: by another job, exit 73; mine: the second start finds the first one's lock
#   SLOW=SECONDS   what --version takes; DEAF=SECONDS: before it listens to signals
case $1 in
--version)
    sleep "${SLOW:-0}"
    echo "a stand-in"
    exit 0
    ;;
inspect) # --ranks CONFIG --most N
    ranks=$5 batch=$(sed -n 's/^batch = //p' "$3")
    while [ $((batch % ranks)) -ne 0 ]; do ranks=$((ranks - 1)); done
    echo "$ranks"
    exit 0
    ;;
train) ;;
*) exit 64 ;;
esac
run=$4
trap '' USR1 # as where the script that starts the ranks has it ignored
sleep "${DEAF:-0}"
rank=${OMPI_COMM_WORLD_RANK:-${SLURM_PROCID:-0}} ranks=${OMPI_COMM_WORLD_SIZE:-${SLURM_STEP_NUM_TASKS:-1}}
stop='' begin=0 save=''
trap 'stop=1' USR1 TERM
trap 'save=1' USR2
mkdir -p "$run/checkpoints"
files=("$run"/checkpoints/step-*.h5)
[ ! -e "${files[0]}" ] || begin=$((10#$(basename "${files[-1]}" | tr -cd 0-9 | head -c 9)))
[ "$rank" -ne 0 ] || echo "start at $begin on $ranks ranks of $(hostname), arguments ${*:5}" >>"$run/starts"
begun=$(cat "$run/starts" 2>/dev/null | wc -l)
locked() {
    echo "host n9, process 1, job $1, since ever" >"$run/lock"
    exit 73
}
case ${FAULT:-} in
locked) locked 999 ;;
mine)
    [ "$begun" -ne 2 ] || locked "$SLURM_JOB_ID"
    [ "$begun" -ne 1 ] || FAULT=exit=75
    ;;
esac
checkpoint() { [ "$rank" -ne 0 ] || : >"$run/checkpoints/$(printf 'step-%09d.h5' "$1")"; }
hang() { while :; do sleep 1; done; }
for ((step = begin + 1; step <= ${STEPS:-50}; step++)); do
    sleep 0.2
    if [ $((step % 5)) -eq 0 ] || [ -n "$save" ]; then checkpoint "$step" && save=; fi
    if [ -n "$stop" ]; then
        checkpoint "$step"
        exit 75
    fi
    if [ -n "${FAULT:-}" ] && [ $((step - begin)) -eq "${FAULT_STEP:-8}" ]; then
        case $FAULT in
        exit=*) exit "${FAULT#*=}" ;;
        die=*)
            [ "$rank" -eq $((ranks - 1)) ] || hang
            sleep 1
            exit "${FAULT#*=}"
            ;;
        kill=*)
            [ "$rank" -eq $((ranks - 1)) ] || hang
            sleep 1
            kill "-${FAULT#*=}" $$
            ;;
        esac
    fi
done
checkpoint $((step - 1))
