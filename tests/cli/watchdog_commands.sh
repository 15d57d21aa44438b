# waits
# A rank that stops in a command other than train: the others miss it, whatever the command, and all end with 70 within seconds.
. "$(dirname "$0")/train/lib.sh"
make_points
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
[ -f "$SHIM" ] || skip "$SHIM was not built"
sed 's/^steps = 8/steps = 2/; /^\[train\]/i [process]\nkind = vp' points.ini >vp.ini
expect_exit 0 train 1 run vp.ini
expect_exit 0 "$TWEEDIE" sample run --count 8 --out samples.h5 sample.steps=4
expect_exit 0 "$TWEEDIE" encode run --data points.h5 --out codes.h5 --count 8 likelihood.rtol=0.1 likelihood.atol=0.1
NEWEST=step-000000002

# stopped NAME RANK PATH COMMAND…: the command on two ranks, one of which stops at its first call on files of this name
stopped() {
    local name=$1 rank=$2 path=$3
    shift 3
    (
        SECONDS=0 code=0
        LD_PRELOAD='' timeout 60 mpirun -n 2 env LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 TWEEDIE_WATCHDOG=4 \
            FAULT_RANK="$rank" FAULT_PATH="$path" FAULT_CALL=1 FAULT_ACTION=stop "$TWEEDIE" "$@" >"$name.out" 2>"$name.err" || code=$?
        echo "$code $SECONDS" >"$name.end"
    ) &
}

# missing COMMAND RANK [NAME]: it has ended, and names the rank so
missing() {
    local code seconds name=${3:-$1}
    read -r code seconds <"$name.end"
    LAST="$name"
    cp "$name.err" "$ERR"
    [ "$code" = 70 ] || fail "exit code $code, wanted 70"
    [ "$seconds" -le 25 ] || fail "it took $seconds s"
    expect_message "is in '$1', waiting for other ranks, for "
    expect_message "; others give no sign of life (limit 4 s); ending the run"
    grep -qE "^tweedie: watchdog: missing: rank $2 on $(hostname -s) is in '$1'(, waiting for other ranks,)? for [0-9]+ s, without a sign of life" \
        "$ERR" || fail "rank $2 is not named"
}

stopped sample 0 $NEWEST sample run --count 8 --out new.h5 sample.steps=4
stopped writing 1 part-000000 sample run --count 8 --out more.h5 sample.steps=4 sample.batch=1
stopped likelihood 0 $NEWEST likelihood run --data points.h5 --out l.h5 --count 8
stopped encode 0 $NEWEST encode run --data points.h5 --out c.h5 --count 8
wait
stopped decode 0 $NEWEST decode run --codes codes.h5 --out d.h5
stopped evaluate 0 samples.h5 evaluate samples.h5 --reference points.h5
stopped score 0 $NEWEST score run --input points.h5 --time 0.5 --out s.h5
stopped schedule 0 points.h5 schedule points.h5
wait
for command in sample likelihood encode decode evaluate score schedule; do missing $command 0; done
missing sample 1 writing

# the limit is a number of seconds; 0 is none
expect_exit 64 env TWEEDIE_WATCHDOG=ten "$TWEEDIE" sample run --count 1 --out x.h5
expect_message "the environment variable TWEEDIE_WATCHDOG is 'ten'; it must be seconds, 0 to 1000000"
expect_exit 0 env TWEEDIE_WATCHDOG=0 mpirun -n 2 "$TWEEDIE" evaluate samples.h5 --reference points.h5
