# tweedie sample: the same samples however the work is cut; going on after a kill; what is refused.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=2

expect_same() { # FILE FILE
    LAST="cmp $1 $2"
    cmp "$1" "$2" || fail "$1 and $2 differ"
}
parts() { find "$1.parts" -name 'part-*.h5' | wc -l; }

cat >points.ini <<END
[data]
path = circles.h5
[network]
kind = mlp
width = 64
depth = 2
[objective]
timesteps = 100
[train]
steps = 40
batch = 64
[optimizer]
learning_rate = 0.005
[ema]
rates = 0.9, 0.5
[sample]
batch = 16
END
cat >images.ini <<END
[data]
path = $SOURCE/datasets/mnist.h5
[network]
kind = unet
base = 32
mult = 1, 2
blocks = 1
attention = 14
attention_placement = score_sde
[train]
steps = 3
batch = 8
[ema]
rates = 0.5
[sample]
batch = 4
steps = 4
END
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 400
expect_exit 0 "$TWEEDIE" train points.ini --run points compute.precision=f32
expect_exit 0 "$TWEEDIE" train images.ini --run images

# one job on 1, 2 and 4 ranks, and with another number of threads
for run in points images; do
    expect_exit 0 "$TWEEDIE" sample $run --count 50 --out $run.1.h5 --grid $run.png
    expect_output "$run.1.h5: samples 0 to 49"
    [ -s $run.png ] || fail "no picture"
    for n in 2 4; do
        expect_exit 0 ranks $n "$TWEEDIE" sample $run --count 50 --out $run.$n.h5
        expect_same $run.1.h5 $run.$n.h5
    done
    expect_exit 0 env OMP_NUM_THREADS=3 "$TWEEDIE" sample $run --count 50 --out $run.3.h5
    expect_same $run.1.h5 $run.3.h5
done

# another batch cuts the indices elsewhere, and gives the same samples to rounding
expect_exit 0 "$TWEEDIE" sample points --count 50 --out batch.h5 sample.batch=7
LAST="h5diff points.1.h5 batch.h5 /points"
h5diff -d 1e-3 points.1.h5 batch.h5 /points || fail "another batch gives other samples"

# fields come back in their own units: one denoising lands at the data's mean, here (100, -50)
awk 'BEGIN { srand(1); for (i = 0; i < 500; i++) print 100 + 3 * (rand() - 0.5), -50 + 40 * (rand() - 0.5) }' >field.txt
expect_exit 0 "$TWEEDIE" import field.h5 --format points field.txt --normalise standard
expect_exit 0 "$TWEEDIE" train points.ini --run field data.path=field.h5 objective.kind=onestep network.time_dim=0 train.steps=600 compute.precision=f32
expect_exit 0 "$TWEEDIE" sample field --count 500 --out generated.h5
expect_exit 0 "$TWEEDIE" evaluate generated.h5 --reference field.h5 --json
LAST="evaluate generated.h5"
awk "BEGIN { d = $(json_value mean_difference "$OUT"); exit !(d < 0.3) }" || fail "the samples are not where the data are: $(cat "$OUT")"

# samples are stored as the training data were
expect_exit 0 "$TWEEDIE" inspect images.1.h5
expect_output "uint8"
expect_exit 0 "$TWEEDIE" inspect points.1.h5
expect_output "points"

# jobs that share the indices in their own way, then a join that needs no weights; one part is asked for by two of them
expect_exit 0 "$TWEEDIE" sample points --first 0 --count 13 --out split.h5
expect_output "split.h5.parts: samples 0 to 12 are there"
[ ! -e split.h5 ] || fail "a share was joined"
expect_exit 66 "$TWEEDIE" sample --join --count 50 --out split.h5
expect_message "the samples 16 to 31"
expect_message "have not been sampled yet"
expect_exit 0 ranks 2 "$TWEEDIE" sample points --first 29 --count 21 --out split.h5
# a task of an array begins with a block: no two compute the same samples
expect_exit 64 env SLURM_ARRAY_TASK_ID=1 "$TWEEDIE" sample points --first 24 --count 13 --out task.h5
expect_message "samples are computed 16 at a time, so this task and its neighbour would compute the same ones; set BLOCK=16 for the job"
expect_exit 0 env SLURM_ARRAY_TASK_ID=1 "$TWEEDIE" sample points --first 32 --count 13 --out task.h5
expect_exit 66 "$TWEEDIE" sample --join --count 65 --out split.h5
expect_message "the samples 64 to 79"
expect_exit 0 "$TWEEDIE" sample points --first 13 --count 16 --out split.h5
expect_exit 0 "$TWEEDIE" sample --join --count 50 --out split.h5 --clean
expect_same points.1.h5 split.h5
[ ! -e split.h5.parts ] || fail "--clean left the parts"

# a range that begins elsewhere holds the same samples
expect_exit 0 "$TWEEDIE" sample images --first 7 --count 6 --join --out middle.h5 --images all
for i in 07 12; do [ -s all/0000$i.png ] || fail "all/0000$i.png is missing"; done
expect_equal "single pictures" "$(find all -name '*.png' | wc -l)" 6
expect_exit 0 ranks 2 "$TWEEDIE" sample images --count 50 --out images.1.h5 --images whole
expect_output "there already"
expect_same all/000007.png whole/000007.png
expect_same all/000012.png whole/000012.png

# a job that was killed goes on with what is missing, and leaves alone what is there
expect_exit 0 "$TWEEDIE" sample points --count 4000 --out whole.h5
"$TWEEDIE" sample points --count 4000 --out killed.h5 >/dev/null 2>&1 &
job=$!
for _ in $(seq 500); do
    [ -d killed.h5.parts ] && [ "$(parts killed.h5)" -ge 3 ] && break
    sleep 0.01
done
kill -9 $job
wait $job 2>/dev/null
before=$(parts killed.h5)
[ "$before" -ge 3 ] && [ "$before" -lt 250 ] || fail "killed after $before of 250 parts"
[ ! -e killed.h5 ] || fail "joined before all was there"
touch -d 2001-01-01 killed.h5.parts/part-*.h5
expect_exit 0 "$TWEEDIE" sample points --count 4000 --out killed.h5
expect_message "$((before * 16)) are there"
expect_equal "parts that were not touched" "$(find killed.h5.parts -name 'part-*.h5' ! -newermt 2002-01-01 | wc -l)" "$before"
expect_same whole.h5 killed.h5

# one that is asked to stop ends with 75 at once
"$TWEEDIE" sample points --count 400000 --out stopped.h5 >/dev/null 2>stopped.err &
job=$!
for _ in $(seq 500); do
    [ -d stopped.h5.parts ] && break
    sleep 0.01
done
kill -TERM $job
code=0
wait $job || code=$?
expect_equal "exit code after SIGTERM" $code 75
grep -q "the same command goes on" stopped.err || fail "no word of going on"

# parts that are damaged (in a sample; cut short) or gone are generated again
part=killed.h5.parts/part-000000000032.h5
place=$(h5dump -p -H -d points $part | sed -n 's/.*OFFSET \([0-9]*\).*/\1/p')
printf 'x' | dd of=$part bs=1 seek="$place" conv=notrunc 2>/dev/null
truncate -s 1000 killed.h5.parts/part-000000000128.h5
rm killed.h5 killed.h5.parts/part-000000000064.h5
expect_exit 0 ranks 2 "$TWEEDIE" sample points --count 4000 --out killed.h5
expect_message "part-000000000032.h5: damaged"
expect_message "part-000000000128.h5"
expect_message "it is sampled again"
expect_message "sampling 48 in"
expect_same whole.h5 killed.h5

# one rank that cannot write ends all: a directory is in the way of the second block, which rank 1 generates
mkdir -p way.h5.parts/part-000000000016.h5
expect_exit 74 ranks 2 "$TWEEDIE" sample points --count 64 --out way.h5
expect_message "rank 1 on"
expect_message "way.h5.parts/part-000000000016.h5"
[ ! -e way.h5 ] || fail "way.h5 was made"
rmdir way.h5.parts/part-000000000016.h5
expect_exit 0 "$TWEEDIE" sample points --count 50 --out way.h5
expect_same points.1.h5 way.h5

# more samples of the same kind go on from the parts
cp points.1.h5 more.h5
cp -r points.1.h5.parts more.h5.parts
expect_exit 0 "$TWEEDIE" sample points --count 70 --out more.h5
expect_message "sampling 16 in"
expect_exit 64 "$TWEEDIE" sample points --count 20 --out more.h5
expect_message "holds the samples 0 to 69"
expect_exit 0 "$TWEEDIE" sample points --count 20 --out more.h5 --force

# other weights, seeds and settings are refused, in parts and in the file
expect_exit 64 "$TWEEDIE" sample points --count 50 --out points.1.h5 --seed 2
expect_message "was sampled with other weights or settings"
expect_message "seed=2"
rm points.1.h5
expect_exit 64 ranks 2 "$TWEEDIE" sample points --count 50 --out points.1.h5 --weights raw
expect_message "part-000000000000.h5: exists already, and was sampled with other weights or settings"
expect_exit 64 "$TWEEDIE" sample points --count 50 --out points.1.h5 sample.kind=ddim
expect_exit 64 "$TWEEDIE" sample points --count 50 --out points.1.h5 sample.batch=32
expect_exit 0 "$TWEEDIE" sample points --count 50 --out points.1.h5

# --force replaces all of it: the file, and parts of other settings, also where their ranges are others
cp -r points.1.h5.parts other.h5.parts
cp points.1.h5 other.h5
expect_exit 0 ranks 2 "$TWEEDIE" sample points --count 50 --out other.h5 --seed 2 sample.batch=32 --force
expect_exit 0 "$TWEEDIE" sample points --count 50 --out fresh.h5 --seed 2 sample.batch=32
expect_same other.h5 fresh.h5
expect_equal "parts of the first settings" "$(parts other.h5)" 2
expect_exit 0 "$TWEEDIE" sample --join --count 50 --out other.h5

# pictures: not replaced unless --force; the same command again finds its own
expect_exit 64 "$TWEEDIE" sample points --count 50 --out grid.h5 --grid circles.h5
expect_message "circles.h5: exists already; --force replaces it"
[ ! -e grid.h5.parts ] || fail "it sampled before it looked"
expect_exit 0 "$TWEEDIE" sample points --count 50 --out grid.h5 --grid grid.png
expect_exit 0 "$TWEEDIE" sample points --count 50 --out grid.h5 --grid grid.png
cp points.ini old.png
expect_exit 64 "$TWEEDIE" sample points --count 50 --out grid.h5 --grid old.png
expect_same points.ini old.png
expect_exit 0 "$TWEEDIE" sample points --count 50 --out grid.h5 --grid old.png --force
expect_same grid.png old.png
expect_exit 64 "$TWEEDIE" sample points --count 50 --out twice.h5 --grid twice.h5
expect_message "twice.h5: is named twice"
expect_exit 0 "$TWEEDIE" sample images --first 7 --count 6 --join --out middle.h5 --images all
expect_exit 64 "$TWEEDIE" sample images --count 9 --out begin.h5 --images all
expect_message "exists already; --force replaces it"
expect_exit 74 "$TWEEDIE" sample images --count 9 --out begin.h5 --images no/folder
expect_exit 64 "$TWEEDIE" sample images --count 9 --out begin.h5 --images circles.h5
expect_message "circles.h5: is not a directory"
[ ! -e begin.h5.parts ] || fail "it sampled before it looked"

expect_exit 78 "$TWEEDIE" sample points --count 5 --out no.h5 sample.eta=0.5 # a key of another sampler
expect_message "sample.eta belongs to"
expect_exit 64 "$TWEEDIE" sample points --count 5 --out no.h5 --grid-count 5
expect_message "--grid-count: needs --grid"
expect_exit 64 "$TWEEDIE" sample --join --count 5 --out points.1.h5 --weights raw
expect_message "--weights: joining generates nothing"

cp circles.h5 taken.h5
expect_exit 64 "$TWEEDIE" sample points --count 50 --out taken.h5
expect_message "exists already, and is no sample set"
expect_same circles.h5 taken.h5

# raw, the first average and the second are three different things; an exported average is the average
for w in raw ema:0.9 ema:0.5; do expect_exit 0 "$TWEEDIE" sample points --count 16 --weights $w --out "w-$w.h5"; done
! cmp -s w-raw.h5 w-ema:0.9.h5 || fail "raw and ema:0.9 are the same"
! cmp -s w-ema:0.9.h5 w-ema:0.5.h5 || fail "ema:0.9 and ema:0.5 are the same"
expect_exit 0 "$TWEEDIE" checkpoint export points
export=$(find points/weights -name '*.h5' | head -n 1)
expect_exit 0 "$TWEEDIE" sample "$export" --count 50 --out points.1.h5
expect_output "there already"
expect_exit 65 "$TWEEDIE" sample points --count 1 --out no.h5 --weights ema:0.7
expect_message "ema:0.7"
expect_message "ema:0.9"
expect_exit 65 "$TWEEDIE" sample "$export" --count 1 --out no.h5 --weights raw

# bad arguments
expect_exit 64 "$TWEEDIE" sample points --out no.h5
expect_message "--count N must be given"
expect_exit 64 "$TWEEDIE" sample points --count 0 --out no.h5
expect_exit 64 "$TWEEDIE" sample points --count 5 --first -1 --out no.h5
expect_message "--first"
expect_exit 64 "$TWEEDIE" sample points --count 5
expect_message "--out FILE must be given"
expect_exit 64 "$TWEEDIE" sample --count 5 --out no.h5
expect_message "which weights?"
expect_exit 64 "$TWEEDIE" sample points --count 5 --out no.h5 network.width=5
expect_message "network.width=5: belongs to the run"
expect_exit 78 "$TWEEDIE" sample points --count 5 --out no.h5 sample.stpes=5
expect_message "did you mean"
expect_exit 78 "$TWEEDIE" sample points --count 5 --out no.h5 sample.kind=ancestor
expect_message "ancestral"
expect_exit 78 "$TWEEDIE" sample points --count 5 --out no.h5 sample.steps=101
expect_message "the process has 1 to 100"
expect_exit 64 "$TWEEDIE" sample points --count 5 --out no.h5 --images here
expect_message "points have no single pictures"
expect_exit 66 "$TWEEDIE" sample nowhere --count 5 --out no.h5
expect_message "nowhere"
expect_exit 66 ranks 2 "$TWEEDIE" sample nowhere --count 5 --out no.h5
expect_equal "lines that name it" "$(grep -c nowhere "$ERR")" 1
expect_exit 65 "$TWEEDIE" sample circles.h5 --count 5 --out no.h5
expect_exit 74 "$TWEEDIE" sample points --count 5 --out no/where/no.h5
expect_message "no/where/no.h5: cannot be created"
expect_exit 66 "$TWEEDIE" sample --join --count 5 --out no.h5
expect_message "no.h5.parts"
[ ! -e no.h5 ] || fail "no.h5 was made"
