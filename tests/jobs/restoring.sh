# slow
# Restorations that an array of jobs makes over ranges of measurements are those of one process without Slurm, bit for bit, also when the
# array is submitted twice at once; a range that is missing is made by the join; an evaluation job holds the result against the truth.
. "$(dirname "$0")/lib.sh"
tiny
expect_exit 0 "$TWEEDIE" train tiny.ini --run "$HERE/run" train.steps=20
task=(task.coordinates=0 task.noise=0.1)
settings=("${task[@]}" --method ddrm sample.steps=10 sample.batch=8)
expect_exit 0 "$TWEEDIE" restore --simulate --task inpaint "${task[@]}" --input circles.h5 --rows 50 --out y.h5
expect_exit 0 "$TWEEDIE" restore run --task inpaint "${settings[@]}" --input y.h5 --count 12 --keep --out alone.h5

cluster 4
export WEIGHTS=$HERE/run TASK=inpaint INPUT=$HERE/y.h5 COUNT=12 ROWS=50 BLOCK=8

expect_same() { # FILE FILE
    LAST="cmp $1 $2"
    cmp "$1" "$2" >"$OUT" 2>"$ERR" || fail "$1 and $2 differ"
}
restored=$HERE/array.h5
for round in 1 2; do # ranges of 16, 16, 16 and 2 measurements
    OUT=$restored submit --array=0-3 --cpus-per-task=1 "$JOBS/restore.sbatch" --keep "${settings[@]}"
    array[round]=$id
done
for round in 1 2; do
    for task in 0 1 2 3; do expect_end "${array[round]}_$task" 180 COMPLETED; done
done
[ ! -e array.h5 ] || fail "a range was joined"
rm array.h5.parts/part-000000000016.h5
OUT=$restored JOIN=1 submit --cpus-per-task=1 "$JOBS/restore.sbatch" --keep "${settings[@]}"
expect_end "$id" 120 COMPLETED
expect_same alone.h5 array.h5

# one job on several nodes, joined by itself
OUT=$HERE/nodes.h5 RANKS_PER_NODE=2 submit --nodes=3 --cpus-per-task=1 "$JOBS/restore.sbatch" --keep "${settings[@]}"
expect_end "$id" 180 COMPLETED
expect_same alone.h5 nodes.h5

# an evaluation of it; and what is not told is refused in a sentence
SAMPLES=$HERE/array.h5 TRUTH=$HERE/circles.h5 OUT=$HERE/x.json submit --cpus-per-task=1 "$JOBS/evaluate.sbatch"
expect_end "$id" 120 COMPLETED
expect_equal measurements "$(json_value measurements x.json)" 50
ROWS=0 OUT=$HERE/none.h5 submit --array=0-1 "$JOBS/restore.sbatch"
for task in 0 1; do expect_end "${id}_$task" 60 FAILED; done
INPUT= OUT=$HERE/none.h5 submit "$JOBS/restore.sbatch"
expect_end "$id" 60 FAILED
expect_log "$id" "INPUT is not set"
SAMPLES= submit "$JOBS/evaluate.sbatch"
expect_end "$id" 60 FAILED
expect_log "$id" "SAMPLES is not set"
[ ! -e none.h5 ] || fail "none.h5 was made"
