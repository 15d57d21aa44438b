# N + M steps are N steps, a checkpoint, a resume and M steps, bit for bit: at each number of ranks, in f32 and bf16, with microbatches.
. "$(dirname "$0")/train/lib.sh"
make_tiny

# everything that has a state or a clock: flips, dropout (the network's default), two EMA, warm-up, decay
VARIED="data.flip=yes ema.rates=0.99,0.9 ema.warmup=yes optimizer.warmup=3 optimizer.decay=cosine optimizer.weight_decay=0.01"

for precision in f32 bf16; do
    for n in 1 2 4; do
        rm -rf whole parts
        set -- tiny.ini compute.precision=$precision $VARIED
        [ $n = 2 ] && set -- "$@" train.microbatch=3
        expect_exit 0 train $n whole "$@"
        expect_exit 75 train $n parts "$@" --stop-at-step 3
        expect_message "stopped at step 3 of 8 with a complete checkpoint"
        expect_exit 0 train $n parts "$@"
        expect_message "resumed from parts/checkpoints/step-000000003.h5"
        expect_equal "newest step" "$(newest parts)" 8
        same whole parts
        same whole/checkpoints/step-000000004.h5 parts/checkpoints/step-000000004.h5
    done
done

# each optimiser has its own arrays in the checkpoint, and its own keys
for n in 1 2; do
    for kind in "adamw optimizer.beta1=0.8" "sgd optimizer.nesterov=yes optimizer.momentum=0.8"; do
        rm -rf sgd parts
        # shellcheck disable=SC2086
        set -- tiny.ini compute.precision=f32 data.flip=yes optimizer.kind=$kind
        expect_exit 0 train $n sgd "$@"
        expect_exit 75 train $n parts "$@" --stop-at-step 3
        expect_exit 0 train $n parts "$@"
        same sgd parts
    done
done
grep -qa momentum sgd/checkpoints/step-000000008.h5 || fail "the checkpoint has no momentum"
expect_exit 78 train 1 parts "$@" optimizer.kind=adam optimizer.beta1=0.5
expect_message "optimizer.momentum"
expect_message "sgd"
expect_exit 78 train 1 new tiny.ini optimizer.kind=sgd optimizer.momentum=0 optimizer.nesterov=yes
expect_message "optimizer.kind: sgd with nesterov = yes needs a momentum above 0"

# what an earlier version froze: Adam's weight decay, zero or not, and no kind
for decay in 0 0.01; do
    rm -rf old
    expect_exit 75 train 1 old tiny.ini compute.precision=f32 optimizer.weight_decay=$decay --stop-at-step 3
    sed -i '/^\[optimizer\]/,/^\[/{/^kind/d;/^weight_decay/d}' old/config.ini
    sed -i "s/^\[optimizer\]/&\nweight_decay = $decay/" old/config.ini
    expect_exit 0 train 1 old tiny.ini compute.precision=f32 optimizer.weight_decay=$decay
    expect_message "resumed from old/checkpoints/step-000000003.h5"
    [ $decay = 0 ] && kind=adam || kind=adamw
    grep -qx "kind = $kind" old/config.ini || fail "optimizer.kind is not $kind"
done

# the comparison can fail: one thing else is another run
set -- tiny.ini compute.precision=bf16 $VARIED
rm -rf parts
expect_exit 0 train 4 parts "$@" run.seed=1
expect_exit 1 "$TWEEDIE" checkpoint diff whole parts

# the frozen configuration is the run: reading it back trains the same one, from anywhere
mkdir elsewhere
cp whole/config.ini elsewhere/
expect_exit 0 train 4 elsewhere/run elsewhere/config.ini
same whole elsewhere/run
cmp whole/config.ini elsewhere/run/config.ini || fail "the frozen configuration changed by being read"
grep -qx "path = $HERE/tiny.h5" whole/config.ini || fail "the path of the data is not absolute"

# a run that has ended stays as it is; more steps are a free key
expect_exit 0 train 4 whole "$@"
expect_message "step 8 of 8: nothing is left to do"
expect_equal "newest step" "$(newest whole)" 8
expect_exit 75 train 4 whole "$@" train.steps=12 --stop-at-step 8 # nor does one that is where it was to stop
expect_equal "newest step" "$(newest whole)" 8
