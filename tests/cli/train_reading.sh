# Reading fails on one rank alone, at any call of opening and of reading ahead: all ranks end in time, with a code and the rank that failed.
# Nothing is trained on what could not be read.
. "$(dirname "$0")/train/lib.sh"
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
[ -f "$SHIM" ] || fail "$SHIM was not built"

# 2 shards of 4 blocks of 1 MiB, one in use and one read ahead; a block lasts for 256 steps
idx_images images 2048 64 64 1000000
expect_exit 0 "$TWEEDIE" import big.h5 --format idx images
# The limit is of the longest section of a sound run: opening the data, whose child judges them, takes 0.2 s of CPU time for the whole start; on a
# machine with 2 CPUs and twenty processes that compute that becomes 2 s, and the limit is four times as much. A call that fails is not waited for.
cat >big.ini <<'END'
[data]
path = big.h5
memory = 1
[network]
kind = unet
base = 2
groups = 1
mult = 1, 1, 1, 1, 1
blocks = 1
attention = 1
[train]
steps = 260
batch = 2
[checkpoint]
every = 250
[compute]
watchdog = 8
END

# failing RANK CALL RUN: on this rank alone, this call of a file named big.h5 and all that follow it fail with $ERROR
: "${ERROR:=5}" # EIO
failing() {
    FAULT_RANK=$1 ERROR=$ERROR SHIM=$SHIM ranks 2 bash -c '
        [ "$OMPI_COMM_WORLD_RANK" != "$FAULT_RANK" ] || export LD_PRELOAD=$SHIM
        exec env FAULT_PATH=big.h5 FAULT_CALL="$1" FAULT_ACTION=errnoall:$ERROR ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "${@:2}"' \
        bash "$2" "$TWEEDIE" train big.ini --run "$3"
}

# how many calls there are, without a fault
export FAULT_LOG=$HERE/calls
expect_exit 0 failing 1 1000000 sound
unset FAULT_LOG
calls=$(grep -c '^file' calls)
[ "$calls" -gt 10 ] || fail "$calls calls were seen"

# at the end of the file's life are the calls of reading: before them those of opening
ended=
for call in 1 2 4 $(seq $((calls - 8)) $((calls - 1))); do
    rm -rf run
    LAST="rank 1 fails from call $call of $calls"
    code=0
    failing 1 "$call" run >"$OUT" 2>"$ERR" </dev/null || code=$?
    ended="$ended $code"
    case $code in
    65 | 66 | 74) expect_message "tweedie: " ;;
    70) expect_message "watchdog: " ;;
    0) same sound run ;; # closing alone failed
    *) fail "exit code $code" ;;
    esac
done
# what errs is the disk, whether it is asked for the file or for its bytes
for code in "^ 74" " 74.* 74"; do
    grep -q "$code" <<<"$ended" || fail "they ended with$ended, not $code"
done

# a file that this rank alone does not see is no input
rm -rf run
ERROR=2 # ENOENT
expect_exit 66 failing 1 1 run
expect_message "rank 1 on "
