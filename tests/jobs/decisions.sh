# slow
# What the training job does with each way that the program can end, with a stand-in for the program: which of them start it again, and when
# that stops. The jobs run side by side, a node each.
. "$(dirname "$0")/lib.sh"
TWEEDIE=$SOURCE/tests/jobs/trainer.sh
cluster 8
printf '[train]\nbatch = 12\n' >config.ini
export CONFIG=$HERE/config.ini
declare -A job

# start NAME SBATCH-OPTION VARIABLE=VALUE...
start() {
    local name=$1 option=$2
    shift 2
    RUN=$HERE/$name
    LAST="sbatch $name"
    job[$name]=$(env RUN="$RUN" "$@" "$SOURCE/scripts/minicluster" run sbatch --parsable --output="$HERE/%j.out" --nodes=1 "$option" \
        "$JOBS/train.sbatch" some.key=value 2>"$ERR") || fail "sbatch failed"
}
starts() { wc -l <"$HERE/$1/starts"; }
# ends NAME STATE STARTS STEP: and the log says what the standard input says, line by line
ends() {
    local line
    expect_end "${job[$1]}" 240 "$2"
    expect_equal "starts of $1" "$(starts "$1")" "$3"
    expect_equal "last checkpoint of $1" "$(steps_reached "$HERE/$1")" "$4"
    while read -r line; do expect_log "${job[$1]}" "$line"; done
}

start whole --exclusive STEPS=10
start stopped --exclusive FAULT=exit=75 FAULT_STEP=8 STEPS=12
start limited --exclusive FAULT=exit=75 FAULT_STEP=6 REQUEUE=1
start diverged --exclusive FAULT=exit=76
start refused --exclusive FAULT=exit=78
start lost --exclusive RANKS_PER_NODE=2 FAULT=die=70 STEPS=9
start killed --exclusive RANKS_PER_NODE=2 FAULT=kill=KILL FAULT_STEP=3
start cancelled --exclusive STEPS=1000

wait_until 60 reached "$HERE/cancelled" 5
on_cluster scancel "${job[cancelled]}"

# asked to stop before there is anything to stop, or anybody who listens
running() { [ "$(state "${job[$1]}")" = RUNNING ]; }
for name in before deaf; do
    case $name in
    before) start before --exclusive SLOW=4 STEPS=5 ;;
    deaf) start deaf --exclusive DEAF=4 STEPS=40 ;;
    esac
    wait_until 60 running $name
    sleep 1
    on_cluster scancel --batch --signal=USR1 "${job[$name]}"
done

ends whole COMPLETED 1 10 <<<"from the beginning"
ends diverged FAILED 1 5 <<<"ended with 76"
ends refused FAILED 1 5 <<<"ended with 78"
ends before COMPLETED 1 5 <<'END'
stopped early; requeueing (start 2 of at most 51)
from the beginning
END
ends deaf COMPLETED 2 40 <<<"stopped early, saved; requeueing"
ends cancelled CANCELLED 1 "$(steps_reached "$HERE/cancelled")" <<<"the job was cancelled"
ends killed FAILED 1 0 <<<"no new checkpoint: not requeued"
ends limited FAILED 2 10 <<<"REQUEUE=1: to go on, submit it again"
ends stopped COMPLETED 2 12 <<'END'
stopped early, saved; requeueing (start 2 of at most 51)
from step-000000005.h5
END
ends lost COMPLETED 2 9 <<'END'
ended with 1
lost a rank, a node or the network; requeueing
END

# what the program gets, and what is left behind
grep -qF "arguments some.key=value" whole/starts || fail "the arguments do not arrive"
expect_equal "debris" "$(find . -name '.exit*')" ""

# ranks: the largest number that divides the batch, on as few nodes as hold them
start ranks --nodes=4 STEPS=5
start five --nodes=5 STEPS=5
# a run that is locked by an earlier start of the same job, on a node that nobody could reach: it waits for that to end, and only then
start locked --exclusive FAULT=locked LOCKED=1
start mine --exclusive FAULT=mine STEPS=12
# without PMIx
start mpirun --exclusive RANKS_PER_NODE=2 LAUNCH=mpirun LAUNCH_OPTIONS="--oversubscribe --bind-to none" FAULT=exit=75 FAULT_STEP=8 STEPS=12
ends ranks COMPLETED 1 5 <<<"4 ranks on 4 nodes"
ends five COMPLETED 1 5 <<<"4 ranks on 4 nodes"
ends locked FAILED 1 0 <<<"ended with 73"
ends mine COMPLETED 3 12 <<<"waiting for what is left of the last start"
ends mpirun COMPLETED 2 12 <<<"stopped early, saved; requeueing"
expect_equal "ranks under mpirun" "$(grep -c 'on 2 ranks' mpirun/starts)" 2

# mistakes are told before anything runs
TWEEDIE=/nowhere/tweedie start missing --exclusive
expect_end "${job[missing]}" 60 FAILED
expect_log "${job[missing]}" "load its module, or set TWEEDIE"
CONFIG=/nowhere.ini start unconfigured --exclusive
expect_end "${job[unconfigured]}" 60 FAILED
expect_log "${job[unconfigured]}" "there is no configuration /nowhere.ini"
