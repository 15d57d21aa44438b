# waits
# A rank that stops, whatever the run is doing: all ranks end within the watchdog's limit and some seconds, with 70, and it is said which rank,
# on which host, in which part of which step. Sections that may take an hour (reading data, validation, a grid, a save) are no exception.
. "$(dirname "$0")/train/lib.sh"
make_tiny
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
[ -f "$SHIM" ] || fail "$SHIM was not built"
HOST=$(hostname -s)
LIMIT=600 # until a start has been measured

# shimmed NAME VARIABLES -- N ARG…: train N NAME tiny.ini ARG… with the library of tests/faults/ before it
shimmed() {
    local name=$1 variables=()
    shift
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    LD_PRELOAD= timeout $((LIMIT + 60)) mpirun -n "$2" env LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "${variables[@]}" \
        "$TWEEDIE" train tiny.ini --run "$name" compute.watchdog=$LIMIT "${@:3}"
}

# stopped NAME RANK PATH CALL ARG…: a run in the background whose rank stops at its CALL-th call on files of this name
stopped() {
    local name=$1 rank=$2 path=$3 call=$4
    shift 4
    (
        SECONDS=0 code=0
        shimmed "$name" FAULT_RANK="$rank" FAULT_PATH="$path" FAULT_CALL="$call" FAULT_ACTION=stop -- 2 "$@" >"$name.out" 2>"$name.err" || code=$?
        echo "$code $SECONDS" >"$name.end"
    ) &
}

# missing NAME RANK SECTION STEP: that run has ended, and names the rank so
missing() {
    local code seconds
    read -r code seconds <"$1.end"
    LAST="$1"
    cp "$1.err" "$ERR"
    [ "$code" = 70 ] || fail "exit code $code, wanted 70"
    [ "$seconds" -le $((LIMIT + 15 + 3 * TOOK)) ] || fail "it took $seconds s: a start takes $TOOK s, the limit is $LIMIT s"
    expect_message "tweedie: watchdog: rank $((1 - $2)) on $HOST is in '"
    grep -qE "^tweedie: watchdog: missing: rank $2 on $HOST is in '$3' of step $4(, waiting for other ranks,)? for [0-9]+ s, without a sign of life" \
        "$ERR" || fail "rank $2 is not named in '$3' of step $4"
    expect_equal "ranks named" "$(grep -c "missing:" "$ERR")" 1
}

# which call of rank 1 on the data is the last one of the start, and which one is in the validation after step 2
reads() { grep '^file ' "$1" | grep -n 'read$' | tail -n 1 | cut -d : -f 1; }
measure shimmed without FAULT_RANK=1 FAULT_PATH=tiny.h5 FAULT_LOG=start.calls -- 2 train.steps=2
expect_exit 0 shimmed with FAULT_RANK=1 FAULT_PATH=tiny.h5 FAULT_LOG=validation.calls -- 2 train.steps=2 log.validate_every=2
[ "$(reads validation.calls)" -gt "$(reads start.calls)" ] || fail "the validation does not read"

stopped start 1 tiny.h5 "$(reads start.calls)" train.steps=4
stopped validation 1 tiny.h5 "$(reads validation.calls)" train.steps=4 log.validate_every=2
stopped saving 0 step-000000004 6 train.steps=100
stopped ending 0 step-000000004 6 train.steps=4
wait
missing start 1 "reading the data" 0
missing validation 1 validation 2
missing saving 0 "(save|step)" "[4-9]"
missing ending 0 "(last save|save)" 4 # its writing thread stops it, wherever the other one is by then
expect_exit 0 "$TWEEDIE" checkpoint verify saving # mpirun wakes who was stopped before it ends it: a save may yet come to its end

# a grid that takes long: the rank stops while all draw
launch 2 grid tiny.ini compute.watchdog=$LIMIT train.steps=8 log.grid_every=4 log.grid_count=64 log.grid_steps=1000 sample.batch=4
wait_for_step grid 4
sleep 1
kill -STOP "$(rank_pids | tail -n 1)"
SECONDS=0
expect_end 70
cp "$ERR" grid.err
echo "70 $SECONDS" >grid.end
missing grid 1 grid 4
expect_exit 0 train 2 grid tiny.ini train.steps=8
expect_message "resumed from grid/checkpoints/step-000000004.h5"
