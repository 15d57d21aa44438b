# What a run leaves: metrics, log, pictures, frozen configuration; what resuming refuses; what a dry run says.
. "$(dirname "$0")/train/lib.sh"
make_tiny
make_points
set -- tiny.ini optimizer.warmup=4 log.validate_every=4 log.grid_every=8 log.grid_count=4 log.grid_steps=3 sample.batch=4

expect_exit 0 train 2 dry "$@" --dry-run
expect_message "memory of a rank: "
expect_message "a checkpoint is 3 MB; 3 are kept"
expect_message "core-hours"
expect_message "nothing was written"
[ ! -e dry ] || fail "a dry run made a run directory"
# threads that no CPU is for, and a number of them that is none
one=$(taskset -pc $$ | sed 's/.*: //; s/[,-].*//')
expect_exit 0 taskset -c "$one" env OMP_NUM_THREADS=8 "$TWEEDIE" train points.ini --run dry --dry-run
expect_message "WARNING: rank 0 on "
expect_message "8 threads on 1 CPU, 8 times as many: they wait for each other"
for n in abc 100000; do
    expect_exit 0 env OMP_NUM_THREADS=$n "$TWEEDIE" train points.ini --run dry --dry-run
    expect_message "OMP_NUM_THREADS is '$n', expected a number from 1 to 4096: it is passed over, and rank 0 takes "
done
expect_exit 78 train 2 dry "$@" --dry-run sample.kind=euler
expect_exit 78 train 2 dry "$@" --dry-run data.validation_split=dev
expect_exit 66 train 2 dry "$@" --dry-run data.path=none.h5
expect_exit 74 train 2 tiny.ini/dry "$@" --dry-run
expect_exit 74 train 2 dry "$@" --dry-run checkpoint.keep=1000000 network.base=512 network.mult=1 # 100 TB
expect_message " GB free, "
# what a node has must hold its ranks; where nothing is left to do, no time is told
expect_exit 70 env SLURM_MEM_PER_NODE=4 mpirun -n 2 "$TWEEDIE" train --run dry "$@" --dry-run
grep -qE '^tweedie: .*: 2 ranks need [0-9.]+ MB of memory, the node has 4\.2 MB \(Slurm \(--mem\)\)' "$ERR" || fail "it does not say what is needed"
expect_exit 0 env SLURM_MEM_PER_NODE=400 mpirun -n 2 "$TWEEDIE" train --run dry "$@" --dry-run
[ ! -e dry ] || fail "a dry run made a run directory"
mkdir dry
expect_exit 0 train 2 dry "$@" --dry-run
expect_equal "files of a dry run" "$(find dry | wc -l)" 1

# ---- a run
expect_exit 75 train 2 run "$@" --stop-at-step 6
expect_exit 0 train 2 run "$@"
expect_exit 0 train 2 run "$@" --dry-run
expect_message "step 8 of 8: nothing is left to do"
keys='"step": N, "samples": N, "loss": N, "gradient_norm": N, "learning_rate": N, "images_per_second": N, "share_read": N'
keys="$keys, \"share_compute\": N, \"share_communication\": N, \"seconds_left\": N, \"restart\": N, \"time\": N"
validation='"step": N, "validation_loss": N, "restart": N, "time": N'
event='"step": N, "event": "(start|stopped|finished)", "restart": N, "time": N(, "steps": N, "batch": N, "ranks": N, "threads": N, "host": "[^"]*", "processor": "[^"]*")?'
number='[0-9.]+(e-[0-9]+)?'
pattern="^\{(${keys//N/$number}|${validation//N/$number}|${event//N/$number})\}\$"
if grep -vE "$pattern" run/metrics.jsonl >bad; then fail "not a line of metrics: $(cat bad)"; fi
column() { sed -n "s/.*\"samples\".*/&/; /samples/s/.*\"$1\": \([^,}]*\).*/\1/p" run/metrics.jsonl | tr '\n' ' '; }
expect_equal "steps" "$(column step)" "1 2 3 4 5 6 7 8 "
expect_equal "samples" "$(column samples)" "16 32 48 64 80 96 112 128 "
expect_equal "restarts" "$(column restart)" "0 0 0 0 0 0 1 1 "
expect_equal "learning rates" "$(column learning_rate)" "0 0.0005 0.001 0.0015 0.002 0.002 0.002 0.002 "
expect_equal "validation losses" "$(grep -c validation_loss run/metrics.jsonl)" 2
paste <(column share_read | tr ' ' '\n') <(column share_compute | tr ' ' '\n') <(column share_communication | tr ' ' '\n') |
    awk 'NF == 3 { s = $1 + $2 + $3; if (s < 0.999999 || s > 1.000001) exit 1; n++ } END { exit n != 8 }' || fail "shares do not add up to 1"
for line in "rank 0 of 2" "step 8/8 " "checkpoint of step 8 written" "samples in run/samples/step-000000008.png" \
    "stopped at step 6 of 8; the same command resumes" "resumed from run/checkpoints/step-000000006.h5" \
    "tweedie: stopped at step 6 of 8 with a complete checkpoint"; do
    grep -qF "$line" run/train.log || fail "train.log does not hold: $line"
done
expect_equal "magic of the picture" "$(head -c 4 run/samples/step-000000008.png | tail -c 3)" PNG
expect_equal "latest" "$(cat run/latest)" checkpoints/step-000000008.h5
expect_exit 0 "$TWEEDIE" checkpoint show run --json
expect_equal "restarts" "$(json_value restarts "$OUT")" 1
expect_equal "samples" "$(json_value samples "$OUT")" 128
for step in 1 2 3 4 5 6 7 8; do expect_output "[$step, "; done # the loss history goes on over the restart
[ ! -e run/lock ] || fail "the lock is still there"
expect_equal "temporary files" "$(find run -name '*.tmp' | wc -l)" 0

# ---- resuming: fixed keys, the data, damaged checkpoints
for n in 1 2; do
    expect_exit 78 train $n run "$@" optimizer.clip=2 run.seed=3 train.microbatch=2
    expect_message "several keys differ from the run's, and may not change:"
    expect_message "  run.seed: 0 in the run, 3 now"
    expect_message "  optimizer.clip: 1 in the run, 2 now"
    idx_images other-images 256 16 16 3000000
    "$TWEEDIE" import other.h5 --force --format idx other-images t10k-images >/dev/null || fail "no other dataset"
    expect_exit 78 train $n run "$@" train.steps=9 data.path=other.h5
    expect_message "other.h5 is another dataset than the run was trained on (digest "
    idx_images other-images 64 32 32 3000000
    "$TWEEDIE" import other.h5 --force --format idx other-images >/dev/null || fail "no other dataset"
    expect_exit 78 train $n run "$@" train.steps=9 data.path=other.h5 log.validate_every=0
    expect_message "other.h5 is another dataset than the run was trained on (digest "
done
mv tiny.h5 moved.h5 # the same data elsewhere are the same
damage() { printf '\377\376' | dd of="$1" bs=1 seek=9000 conv=notrunc 2>/dev/null; }
cp -r run sound
damage run/checkpoints/step-000000008.h5
expect_exit 0 train 2 run "$@" data.path=moved.h5
expect_message "run/checkpoints/step-000000008.h5: is damaged"
expect_message "trying the one before it"
expect_message "resumed from run/checkpoints/step-000000006.h5"
same run sound # written anew
head -c 100000 sound/checkpoints/step-000000008.h5 >run/checkpoints/step-000000008.h5
expect_exit 0 train 2 run "$@" data.path=moved.h5
expect_message "resumed from run/checkpoints/step-000000006.h5"
same run sound
for file in run/checkpoints/*.h5; do damage "$file"; done
for n in 1 2; do
    expect_exit 65 train $n run "$@" data.path=moved.h5
    expect_message "run/checkpoints: none of its 3 checkpoints verifies"
done
expect_equal "files left" "$(find run/checkpoints -name '*.h5' | wc -l)" 3

# ---- starting from other weights: the average by default, or what is asked for; a run that has checkpoints goes on from them
mv moved.h5 tiny.h5
for which in raw ema:0.9999; do
    rm -rf begun
    expect_exit 0 train 2 begun tiny.ini --init sound --init-weights $which optimizer.warmup=9 train.steps=1 # a step at rate zero
    expect_message "started from sound ($which)"
    expect_exit 0 "$TWEEDIE" checkpoint export sound --weights $which --out wanted.h5 --force
    for met in raw ema:0.9999; do
        expect_exit 0 "$TWEEDIE" checkpoint export begun --weights $met --out met.h5 --force
        expect_exit 1 "$TWEEDIE" checkpoint diff wanted.h5 met.h5
        expect_output "step: 8 and 1"
        expect_output "different: 0 arrays"
    done
done
expect_exit 0 "$TWEEDIE" checkpoint export sound --weights raw --out raw.h5
expect_exit 1 "$TWEEDIE" checkpoint diff wanted.h5 raw.h5 # raw weights and EMA weights are told apart
expect_exit 0 train 2 begun tiny.ini --init sound optimizer.warmup=9 train.steps=2
expect_message "resumed from begun/checkpoints/step-000000001.h5"
