# What every test of training starts with: . "$(dirname "$0")/train/lib.sh"
#
# The helpers of ../lib.sh, a dataset, and a network that takes some milliseconds a step.
#
#   tiny.h5, tiny.ini         256 + 64 images of 16 x 16 that look like noise; a U-Net of 167,345 parameters on them, batch 16, 8 steps
#   points.h5, points.ini     two circles; a multilayer perceptron on them, batch 16, 8 steps
#   train N RUN CONFIG ARG…   tweedie train on N ranks of one thread each; for use behind expect_exit
#   refused CODE MESSAGE ARG…  claims that tweedie train ARG… is refused on one rank and on two
#   same RUN_A RUN_B          claims that their newest checkpoints are equal bit for bit
#   newest RUN                the step of the newest checkpoint
#   measure COMMAND…          expect_exit 0 of an undisturbed start; $TOOK is then how many seconds it took, rounded up, and $LIMIT a watchdog's
#                             limit for starts of the same size on this machine, loaded as it is: 4 s and three times that
#   wait_for FILE TEXT        waits until a file holds the text
#   launch N RUN CONFIG ARG…  the same in the background
#   rank_pids                 the processes of what was launched, in the order of their ranks
#   wait_for_step RUN STEP    waits until metrics.jsonl holds this step (needs log.every=1)
#   expect_end CODE           waits for the end of what was launched, and claims its exit code
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
unset OMPI_MCA_sharedfp # the program chooses for itself
export OMP_NUM_THREADS=1

# idx_images FILE COUNT HEIGHT WIDTH OFFSET: images of bytes that a compressed file holds from there on
idx_images() {
    {
        printf '\0\0\010\003\0\0'
        printf "\\$(printf %o $(($2 / 256)))\\$(printf %o $(($2 % 256)))\\0\\0\\0\\$(printf %o "$3")\\0\\0\\0\\$(printf %o "$4")"
        tail -c +"$5" "$SOURCE/datasets/mnist.h5" | head -c $(($2 * $3 * $4))
    } >"$1"
}

make_tiny() {
    idx_images train-images 256 16 16 1000000
    idx_images t10k-images 64 16 16 2000000
    "$TWEEDIE" import tiny.h5 --format idx train-images t10k-images >/dev/null || fail "no dataset was made"
    cat >tiny.ini <<'END'
[data]
path = tiny.h5
[network]
kind = unet
base = 16
groups = 8
mult = 1, 2
blocks = 1
[train]
steps = 8
batch = 16
[optimizer]
learning_rate = 0.002
[checkpoint]
every = 4
[log]
every = 1
END
}

make_points() {
    "$TWEEDIE" import points.h5 --format circles --count 512 --test-fraction 0.125 >/dev/null || fail "no points were made"
    cat >points.ini <<'END'
[data]
path = points.h5
[network]
kind = mlp
width = 32
depth = 2
[train]
steps = 8
batch = 16
[checkpoint]
every = 4
[log]
every = 1
END
}

train() {
    local n=$1 run=$2
    shift 2
    if [ "$n" = 1 ]; then
        "$TWEEDIE" train "$@" --run "$run"
    else
        mpirun -n "$n" "$TWEEDIE" train "$@" --run "$run"
    fi
}

same() {
    expect_exit 0 "$TWEEDIE" checkpoint diff "$1" "$2"
}

newest() {
    local name
    name=$(find "$1/checkpoints" -name 'step-*.h5' | sort | tail -n 1)
    name=${name##*step-}
    echo $((10#${name%.h5}))
}

measure() {
    local begun=${EPOCHREALTIME/[^0-9]/}
    expect_exit 0 "$@"
    local took=$((${EPOCHREALTIME/[^0-9]/} - begun)) # microseconds
    TOOK=$(((took + 999999) / 1000000))
    LIMIT=$((4 + (3 * took + 999999) / 1000000))
}

wait_for() {
    local tries=600
    until grep -qsF -- "$2" "$1"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "$1 did not come to hold: $2"
        sleep 0.05
    done
}

launch() {
    local n=$1 run=$2
    shift 2
    LAST="train $n $run $*"
    if [ "$n" = 1 ]; then
        "$TWEEDIE" train "$@" --run "$run" >"$OUT" 2>"$ERR" </dev/null &
    else
        mpirun -n "$n" "$TWEEDIE" train "$@" --run "$run" >"$OUT" 2>"$ERR" </dev/null &
    fi
    PID=$!
    trap 'kill -9 $(rank_pids) $PID 2>/dev/null; cd /; rm -rf "$HERE"' EXIT
}

expect_end() {
    local code=0
    wait "$PID" || code=$?
    trap 'cd /; rm -rf "$HERE"' EXIT
    [ "$code" -eq "$1" ] || fail "exit code $code, wanted $1"
}

rank_pids() {
    local status pid rank
    if [ "$({ tr '\0' '\n' <"/proc/$PID/cmdline"; } 2>/dev/null | head -n 1)" = "$TWEEDIE" ]; then
        echo "$PID"
        return
    fi
    grep -ls "^PPid:[[:space:]]*$PID\$" /proc/[0-9]*/status | while read -r status; do
        pid=${status#/proc/} pid=${pid%/status}
        rank=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^OMPI_COMM_WORLD_RANK=//p')
        [ -n "$rank" ] && echo "$rank $pid"
    done 2>/dev/null | sort -n | cut -d ' ' -f 2
}

wait_for_step() {
    local tries=1200 met
    while :; do
        met=$(json_value step "$1/metrics.jsonl" 2>/dev/null)
        [ "${met:-0}" -ge "$2" ] && return
        tries=$((tries - 1))
        [ $tries -gt 0 ] && kill -0 "$PID" 2>/dev/null || fail "$1 did not come to step $2"
        sleep 0.05
    done
}

# refused CODE MESSAGE ARG…: `tweedie train ARG…` is refused on one rank and on two; the message is said once, and nothing was begun
refused() {
    local code=$1 message=$2 n
    shift 2
    for n in 1 2; do
        rm -rf run
        expect_exit "$code" train $n run "$@"
        expect_message "$message"
        expect_equal "how often it was said" "$(grep -cF -- "$message" "$ERR")" 1
        [ -z "$(find . -path './run/checkpoints/*')" ] || fail "a checkpoint was left"
        [ ! -e run/config.ini ] || fail "a configuration was frozen"
    done
}
