# slow
# Training without Slurm, by jobs/train-mpirun: it finishes, it stops saved when it is asked to, it starts again after a lost rank if there
# is a new checkpoint; and the PBS example submits its successor.
. "$(dirname "$0")/lib.sh"
tiny
sed -i 's/^every = .*/every = 20/; s/^watchdog = .*/watchdog = 10/' tiny.ini
export MPIRUN_OPTIONS="--bind-to none --oversubscribe" THREADS=1

expect_exit 64 "$JOBS/train-mpirun" 2
expect_exit 64 "$JOBS/train-mpirun" two tiny.ini none
expect_message "'two' is not a number of ranks"
expect_exit 69 env TWEEDIE=/nowhere/tweedie "$JOBS/train-mpirun" 2 tiny.ini none
expect_message "load its module, or set TWEEDIE"
expect_exit 69 env MPIRUN=none "$JOBS/train-mpirun" 2 tiny.ini none
expect_exit 66 "$JOBS/train-mpirun" 2 none.ini none
expect_exit 0 "$JOBS/train-mpirun" --help
expect_exit 0 "$JOBS/train-mpirun" 2 tiny.ini whole
expect_equal steps "$(steps_reached whole)" 100
expect_output "from the beginning"
expect_exit 78 "$JOBS/train-mpirun" 5 tiny.ini odd

# start NAME RANKS SETTINGS...: in the background, as $script
start() {
    local name=$1 ranks=$2
    shift 2
    "$JOBS/train-mpirun" "$ranks" tiny.ini "$name" "$@" >"$name.out" 2>&1 &
    script=$!
    wait_until 60 reached "$name" 40
}
expect_code() {
    local code=0
    wait "$script" || code=$?
    LAST="train-mpirun"
    expect_equal "exit code" "$code" "$1"
}

for signal in TERM USR1; do
    start "asked-$signal" 2 train.steps=1000000
    kill "-$signal" "$script"
    expect_code 75
    [ "$(steps_reached "asked-$signal")" -ge 40 ] || fail "nothing was saved"
    expect_equal "starts" "$(grep -c '^train-mpirun.* ranks on' "asked-$signal.out")" 1
done

# at any moment of the start, when neither mpirun nor the ranks listen yet
for moment in 0.1 0.3 0.5; do
    rm -rf early
    "$JOBS/train-mpirun" 2 tiny.ini early train.steps=100000000 >early.out 2>&1 &
    script=$!
    sleep $moment
    kill -HUP "$script"
    expect_code 75
done

# a rank is a child of mpirun; the process that judges files for it has the same command line
a_rank() { # RUN
    local p
    for p in $(pgrep -f "train tiny.ini --run $1"); do
        case $(ps -o comm= -p "$(ps -o ppid= -p "$p" | tr -d ' ')") in mpirun | mpiexec | orterun | prterun) echo "$p"; return ;; esac
    done
}
start lost 2 train.steps=20000
kill -KILL "$(a_rank lost)"
expect_code 0
expect_equal steps "$(steps_reached lost)" 20000
expect_equal "starts" "$(grep -c '^train-mpirun.* ranks on' lost.out)" 2

# PBS: stopped by MAX_HOURS it submits its successor, which is one less of so many
sed -i 's/^steps = .*/steps = 1000000/' tiny.ini
mkdir bin
printf '#!/bin/sh\necho "$@" >>%s/qsubs\n' "$HERE" >bin/qsub
chmod +x bin/qsub
printf 'localhost\nlocalhost\n' >nodes
expect_exit 75 env PATH="$HERE/bin:$PATH" PBS_O_WORKDIR="$HERE" PBS_NODEFILE="$HERE/nodes" JOBS="$JOBS" CONFIG="$HERE/tiny.ini" RUN="$HERE/pbs" \
    MAX_HOURS=0.0005 REQUEUE=7 bash "$JOBS/train.pbs"
grep -q "REQUEUE=6," qsubs || fail "no successor"
grep -q ",TWEEDIE=$TWEEDIE,MPIRUN_OPTIONS=$MPIRUN_OPTIONS " qsubs || fail "the successor runs another program"
