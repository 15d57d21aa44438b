# What every job test starts with: . "$(dirname "$0")/lib.sh"
#
# A test of the job scripts runs on a mini cluster of its own, which ends with it; what stands in tests/cli/lib.sh is there too. It works in
# a folder that all nodes see.
#
#   cluster N                  starts a mini cluster of N nodes (or skips the test: no root, no Slurm)
#   mini COMMAND...            scripts/minicluster COMMAND on it
#   on_cluster COMMAND...      the command on its login node
#   submit OPTIONS...          sbatch; the job's id is then $id, its log is ID.out
#   state ID                   of a job, as Slurm spells it
#   wait_until SECONDS WHAT... until the command succeeds; fails the test when time is over
#   expect_end ID SECONDS STATE  the job ends in this state
#   starts ID                  how often it has started
#   steps_reached RUN          the newest checkpoint's step
#   all_idle N                 whether N nodes are idle
export TMPDIR=/var/tmp
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"

TEST=$(basename "$0" .sh)
# the same in each run, which clears up what a killed one has left; another one for each clone
TWEEDIE_MINICLUSTER_DIR=/var/lib/tweedie-test-$TEST-$(cksum <<<"$SOURCE" | cut -d ' ' -f 1)
JOBS=$SOURCE/jobs
export TWEEDIE TWEEDIE_MINICLUSTER_DIR JOBS

mini() { "$SOURCE/scripts/minicluster" "$@"; }
on_cluster() { mini run "$@"; }

cluster() {
    local code=0
    LAST="minicluster up"
    { mini down && mini up --nodes "$1" --share "$(dirname "$TWEEDIE")"; } >"$OUT" 2>"$ERR" || code=$?
    case $code in 69 | 77) skip "$(head -n 1 "$ERR")" ;; esac
    [ "$code" -eq 0 ] || fail "exit code $code"
    trap 'leave $?' EXIT
}

# The cluster goes before the folder that its jobs write to; a test that failed shows their logs first.
leave() {
    cd / || exit
    if [ "$1" -ne 0 ] && [ "$1" -ne 77 ]; then
        on_cluster squeue 2>&1 | sed 's/^/  queue: /'
        tail -n 40 "$HERE"/*.out "$HERE"/*/logs/*.out 2>/dev/null | grep -v '^checkpoint of step' | sed 's/^/  log: /'
    fi
    mini down >/dev/null 2>&1
    rm -rf "$HERE"
    exit "$1"
}

submit() {
    LAST="sbatch $*"
    id=$(on_cluster sbatch --parsable --output="$HERE/%j.out" "$@" 2>"$ERR") || fail "sbatch failed"
}

state() { on_cluster scontrol show job --oneliner "$1" | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p'; }
restarts() { on_cluster scontrol show job --oneliner "$1" | sed -n 's/.* Restarts=\([0-9]*\).*/\1/p'; }

wait_until() {
    local end=$((SECONDS + $1)) limit=$1
    shift
    until "$@" >/dev/null 2>&1; do
        LAST="$*"
        [ $SECONDS -lt $end ] || fail "not within $limit s"
        sleep 0.5
    done
}

ended() { case $(state "$1") in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) ;; *) return 1 ;; esac; }

expect_end() {
    wait_until "$2" ended "$1"
    LAST="job $1"
    expect_equal "the end of job $1" "$(state "$1")" "$3"
}

says() { grep -qF -- "$2" "$HERE/$1.out"; }
expect_log() { says "$1" "$2" || { LAST="job $1" && fail "the log of job $1 does not say: $2"; }; }

steps_reached() {
    local files=("$1"/checkpoints/step-*.h5)
    [ -e "${files[0]}" ] || { echo 0 && return; }
    echo $((10#$(basename "${files[-1]}" | tr -cd 0-9 | head -c 9)))
}
all_idle() { [ "$(on_cluster sinfo --noheader --Node --format=%t | grep -cx idle)" -eq "$1" ]; }
reached() { [ "$(steps_reached "$1")" -ge "$2" ]; }

# A run of two-dimensional points that takes some milliseconds a step on four ranks: ./tiny.ini, on ./circles.h5
tiny() {
    "$TWEEDIE" import circles.h5 --format circles --count 4096 --seed 1 >/dev/null || fail "no points"
    cat >tiny.ini <<'END'
[run]
seed = 1
[data]
path = circles.h5
[network]
kind = mlp
width = 64
depth = 2
[objective]
kind = ddpm
timesteps = 50
[train]
steps = 100
batch = 48
[ema]
rates = 0.99
[checkpoint]
every = 50
keep = 3
[compute]
watchdog = 60
END
    export CONFIG=$HERE/tiny.ini
}
