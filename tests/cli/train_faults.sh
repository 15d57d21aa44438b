# What goes wrong while training: numbers that are no longer finite, saves that fail, ranks that die. The checkpoints that were there stay good.
. "$(dirname "$0")/train/lib.sh"
make_tiny
make_points
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
[ -f "$SHIM" ] || fail "$SHIM was not built"

# good RUN STEP…: the run's checkpoints are these, and all verify
good() {
    local run=$1
    shift
    expect_equal "steps of $run" "$(find "$run/checkpoints" -name '*.h5' | sed 's/.*step-0*//; s/\.h5//' | sort -n | tr '\n' ' ')" "$* "
    expect_exit 0 "$TWEEDIE" checkpoint verify "$run"
    expect_equal "temporary files" "$(find "$run" -name '*.tmp' | wc -l)" 0
}

# ---- divergence: layers of weights that a rate of 10 has blown up overflow in the second step
DEEP="points.ini network.depth=32 network.activation=relu optimizer.clip=0 checkpoint.every=1"
for n in 1 2 4; do
    expect_exit 76 train $n deep$n $DEEP optimizer.learning_rate=10
    expect_message "step 2: the loss is "
    expect_message "the last checkpoint stands"
    good deep$n 1
    expect_exit 76 train $n deep$n $DEEP optimizer.learning_rate=10 # again and again the same
    expect_message "resumed from deep$n/checkpoints/step-000000001.h5"
    good deep$n 1
done
grep -q "step 2: the loss is " deep2/train.log || fail "train.log does not say why it ended"

# ---- saves: on rank zero alone, with the disk full from the first call on for files whose names match
failing() { # PART N RUN ARG…
    local part=$1 n=$2 run=$3
    shift 3
    LD_PRELOAD= mpirun -n "$n" env LD_PRELOAD="$SHIM" FAULT_PATH="$part" FAULT_CALL=1 FAULT_ACTION=errnoall:28 \
        ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "$TWEEDIE" train "$@" --run "$run"
}
for n in 1 2; do
    expect_exit 0 failing step-000000004 $n once$n tiny.ini checkpoint.every=2
    expect_message "the checkpoint of step 4 failed (older ones are untouched): "
    expect_message "No space left on device"
    expect_message "checkpoint of step 6 written"
    good once$n 2 6 8
done
# the last save of a run is tried again before the run ends without it
expect_exit 74 failing step-000000008 2 last tiny.ini checkpoint.every=2
expect_message "the checkpoint of step 8 failed (older ones are untouched): "
good last 2 4 6
expect_exit 0 train 2 last tiny.ini checkpoint.every=2
expect_message "resumed from last/checkpoints/step-000000006.h5"
same once2 last

# two in a row end the run, on all ranks, with the words of the disk; what is older is untouched, and the run goes on from there
for n in 1 2 4; do
    expect_exit 74 failing step-00000001 $n twice$n tiny.ini checkpoint.every=3 train.steps=100000
    expect_message "tweedie: two checkpoints in a row could not be written: "
    expect_equal "how often it was said" "$(grep -c "tweedie: two checkpoints in a row" "$ERR")" 1
    good twice$n 3 6 9
    grep -q "two checkpoints in a row" twice$n/train.log || fail "train.log does not say why it ended"
    expect_exit 0 train $n twice$n tiny.ini checkpoint.every=3 train.steps=12
    expect_message "resumed from twice$n/checkpoints/step-000000009.h5"
done

# ---- a rank that dies takes the others with it, and the run goes on from the last checkpoint
expect_exit 0 train 2 whole tiny.ini checkpoint.every=5 train.steps=40
launch 2 dead tiny.ini checkpoint.every=5 train.steps=40
wait_for_step dead 7
kill -KILL "$(rank_pids | tail -n 1)"
expect_end 137
expect_exit 0 train 2 dead tiny.ini checkpoint.every=5 train.steps=40
expect_message "was left locked by a process that is gone: host"
expect_message "resumed from dead/checkpoints/step-0000000"
same whole dead
find . -maxdepth 1 -name '*.lock' | grep -q . && fail "MPI left files beside the data"
exit 0
