# The life of a run: when its configuration is frozen, where it may lie, how it ends. What is warned of before hours are spent on it.
. "$(dirname "$0")/train/lib.sh"
make_points

# ---- frozen with the first checkpoint: a start that failed binds nobody
expect_exit 78 train 2 run points.ini optimizer.clip=7 log.grid_every=1 sample.kind=euler
[ ! -e run/config.ini ] || fail "frozen without a checkpoint"
expect_exit 0 train 2 run points.ini optimizer.clip=2
grep -qx "clip = 2" run/config.ini || fail "not frozen"
expect_exit 78 train 2 run points.ini optimizer.clip=3
expect_message "optimizer.clip: 2 in the run, 3 now"
# what a killed start left
mkdir -p left/checkpoints && sed 's/^clip = .*/clip = 9/' run/config.ini >left/config.ini
expect_exit 0 train 1 left points.ini
grep -qx "clip = 1" left/config.ini || fail "the configuration of a start without a checkpoint counts"

# a run that has ended is not described anew by a start that does nothing
expect_exit 0 train 1 run points.ini optimizer.clip=2 train.steps=12
cp run/config.ini before
expect_exit 0 train 2 run points.ini optimizer.clip=2 train.steps=8
expect_message "step 12 of 8: nothing is left to do"
cmp run/config.ini before || fail "the frozen configuration was rewritten"
expect_exit 75 train 1 run points.ini optimizer.clip=2 train.steps=20 --stop-at-step 14
grep -qx "steps = 20" run/config.ini || fail "the new end is not in the frozen configuration"

# a run without its config.ini is held to the configuration that its newest checkpoint carries, which a start that has steps to do writes again
rm run/config.ini
for n in 1 2; do
    expect_exit 78 train $n run points.ini optimizer.clip=3 train.steps=20
    expect_message "run/config.ini is missing: the run is held to the configuration that run/checkpoints/step-000000014.h5 carries"
    expect_message "optimizer.clip: 2 in the run, 3 now"
    [ ! -e run/config.ini ] || fail "another configuration was frozen"
done
expect_exit 0 train 2 run points.ini optimizer.clip=2 train.steps=20
expect_message "resumed from run/checkpoints/step-000000014.h5"
grep -qx "clip = 2" run/config.ini || fail "not frozen again"

# ---- a run inside a run is a slip
for inner in run/checkpoints run/deeper/down ./run/../run/samples/x; do
    expect_exit 64 train 2 $inner points.ini
    expect_message "--run $inner: lies inside the run $HERE/run; another directory was expected"
    expect_exit 64 train 1 $inner points.ini --dry-run
done
mkdir -p siblings/other
expect_exit 0 train 1 siblings/run points.ini train.steps=1
expect_exit 0 train 1 siblings/other points.ini train.steps=1

# ---- a copied configuration
mkdir -p elsewhere/deep
sed 's|^path = .*|path = ../points.h5|' points.ini >elsewhere/deep/copied.ini
for n in 1 2; do
    expect_exit 66 train $n new elsewhere/deep/copied.ini
    expect_message "elsewhere/points.h5: cannot be read: No such file or directory"
    expect_message "(elsewhere/deep/copied.ini:2: data.path = ../points.h5 is relative to the folder of that file, $HERE/elsewhere/deep)"
done
expect_exit 66 train 1 new points.ini data.path=none.h5
expect_message "(command line: data.path = none.h5 is relative to the current directory, $HERE)"
expect_exit 66 "$TWEEDIE" bench step elsewhere/deep/copied.ini
expect_message "data.path = ../points.h5 is relative to the folder of that file"

# ---- data without the split that validation takes by default
expect_exit 0 "$TWEEDIE" import single.h5 --format circles --count 128
for n in 1 2; do
    rm -rf single
    expect_exit 0 train $n single points.ini data.path=single.h5 log.validate_every=4
    expect_message 'there is no split "test" to validate on (data.validation_split): no validation loss'
    ! grep -q validation_loss single/metrics.jsonl || fail "it validated"
    expect_exit 78 train $n other points.ini data.path=single.h5 log.validate_every=4 data.validation_split=dev
    expect_message 'there is no split "dev"'
done

# ---- another end of a schedule
expect_exit 0 train 1 cosine points.ini optimizer.decay=cosine ema.rates=0.5
expect_exit 75 train 1 cosine points.ini optimizer.decay=cosine ema.rates=0.5 train.steps=12 --stop-at-step 9
expect_message "train.steps: 8 in the run, 12 now: optimizer.decay = cosine falls to zero at train.steps, so the learning rate goes on at 5e-05 instead of 0 (step 8)"
expect_exit 0 train 1 cosine points.ini optimizer.decay=cosine ema.rates=0.5 train.steps=12
! grep -q "falls to zero" "$ERR" || fail "it is said where nothing changes"

# ---- EMA that still hold the initial weights: when training begins, and when samples are made
expect_exit 0 train 1 young points.ini train.steps=20
expect_message "ema.rates: after all 20 steps the average will still hold 99.8 % of the initial weights (0.9999^20 = 0.998)"
expect_exit 0 "$TWEEDIE" sample young --count 4 --out young.h5
expect_message "the weights ema:0.9999 still hold 99.8 % of the weights that the run began with (0.9999^20 = 0.998)"
expect_message "use --weights raw"
expect_exit 0 "$TWEEDIE" sample young --weights raw --count 4 --out raw.h5 # the advice
! grep -q "still hold" "$ERR" || fail "raw weights are no average"
expect_exit 0 train 1 warm points.ini train.steps=20 ema.warmup=yes
! grep -q "still hold" "$ERR" || fail "with a warm-up an average is not young"
expect_exit 0 "$TWEEDIE" sample warm --count 4 --out warm.h5
! grep -q "still hold" "$ERR" || fail "with a warm-up an average is not young"

# ---- what a node has is looked at by every start
expect_exit 70 env SLURM_MEM_PER_NODE=1 "$TWEEDIE" train points.ini --run fat network.width=512
expect_message "1 rank needs "
expect_message "the node has 1.0 MB (Slurm (--mem))"
[ -z "$(find fat -name '*.h5')" ] || fail "it began"

# ---- a gradient whose square is no number of Adam's ends the run in that step, each time
for ((i = 0; i < 64; i++)); do echo "1e14 -2e14"; done >huge.txt
expect_exit 0 "$TWEEDIE" import huge.h5 --format points --normalise none huge.txt
for n in 1 2 1; do
    rm -rf huge
    expect_exit 76 train $n huge points.ini data.path=huge.h5 optimizer.clip=0 optimizer.warmup=2 train.steps=400 checkpoint.every=1
    expect_message "tweedie: step 1: the gradient norm is "
    expect_message "and Adam's second moment holds the squares of numbers up to 1.8e+19"
    [ -z "$(find huge -name 'step-*.h5')" ] || fail "a checkpoint was left"
done

# ---- Ctrl-C saves; a second one ends the run at once
ENDLESS="points.ini train.steps=1000000 checkpoint.every=1000000 log.seconds=1000"
begin() { # as in the foreground: a shell's background ignores interrupts
    env --default-signal=INT "$TWEEDIE" train $ENDLESS --run "$1" >"$OUT" 2>"$ERR" </dev/null &
    PID=$!
    trap 'kill -9 $PID 2>/dev/null; cd /; rm -rf "$HERE"' EXIT
    wait_for_step "$1" 5
}
begin interrupted
kill -INT $PID
expect_end 75
expect_message "tweedie: interrupted: stopping at the end of the step, saved; a second interrupt ends it at once"
[ "$(newest interrupted)" -ge 5 ] || fail "nothing was saved"
# one that cannot come to an end, since its last save takes an hour
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_slow.so
env --default-signal=INT LD_PRELOAD="$SHIM" SLOW_PATH=/checkpoints SLOW_FLUSH_MS=3600000 ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 \
    "$TWEEDIE" train $ENDLESS --run twice >"$OUT" 2>"$ERR" </dev/null &
PID=$!
trap 'kill -9 $PID 2>/dev/null; cd /; rm -rf "$HERE"' EXIT
wait_for_step twice 5
kill -INT $PID
wait_for "$ERR" "interrupted"
sleep 0.5
kill -INT $PID
expect_end 130

# ---- launchers of others: single processes that each believe to be the whole run
alone() { expect_exit 78 env "$@" "$TWEEDIE" train points.ini --run nobody; }
alone PMI_SIZE=4 PMI_RANK=0
expect_message "the launcher started 4 processes (PMI_SIZE) but MPI sees 1"
alone PALS_RANKID=0 PALS_LOCAL_SIZE=2
expect_message "PALS started several processes"
alone PALS_RANKID=1 PALS_LOCAL_SIZE=1
expect_message "PALS started several processes"
alone OMPI_COMM_WORLD_SIZE=2
expect_message "mpirun started 2 processes but MPI sees 1"
alone SLURM_STEP_NUM_TASKS=8 PMI_SIZE=8
expect_message "srun started 8 tasks but MPI sees 1: use srun --mpi=pmix or mpirun"
[ ! -e nobody ] || fail "it began"
expect_exit 0 env SLURM_STEP_NUM_TASKS=4 mpirun -n 1 "$TWEEDIE" train points.ini --run one train.steps=1
expect_exit 0 env PMI_SIZE=1 SLURM_STEP_NUM_TASKS=1 "$TWEEDIE" train points.ini --run single2 train.steps=1
