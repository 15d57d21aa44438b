# Checkpoints that somebody made, a valid seal around what no writer here writes: several ranks refuse them together, in every command.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

maker=$(dirname "$TWEEDIE")/tests/test_checkpoint_hostile
[ -x "$maker" ] || skip "the maker of test checkpoints was not built"
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 16
cat >points.ini <<END
[data]
path = circles.h5
[network]
kind = mlp
width = 8
depth = 1
[train]
steps = 2
batch = 8
[objective]
timesteps = 100
END

refused() { # FAULT WORDS COMMAND...
    local fault=$1 words=$2
    shift 2
    rm -rf run && mkdir -p run/checkpoints
    "$maker" make run "$fault" || fail "no checkpoint with the fault $fault was made"
    expect_exit 65 ranks 2 timeout 100 "$TWEEDIE" "$@"
    expect_message "$words"
    [ ! -e out.h5 ] || fail "an output was made"
}
file=run/checkpoints/step-000000040.h5
refused external "the data of /config are in other files" score $file --input circles.h5 --time 1 --out out.h5
refused virtual "/loss_history" train points.ini --run run
refused link "/sample_scale is a link" train points.ini --run new --init $file
refused external "the data of /config are in other files" sample run --count 4 --out out.h5
refused link "/sample_scale is a link" checkpoint export $file --out out.h5
