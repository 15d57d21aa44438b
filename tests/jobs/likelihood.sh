# slow
# Likelihoods and codes that an array of jobs makes over ranges of rows are those of one process without Slurm, bit for bit, also when the
# array is submitted twice at once; a range that is missing is computed by the join.
. "$(dirname "$0")/lib.sh"
tiny
expect_exit 0 "$TWEEDIE" train tiny.ini --run "$HERE/run" train.steps=20
# blocks of 32 rows: the ranges of four tasks are 64, 64, 64 and 8 rows
expect_exit 0 "$TWEEDIE" likelihood run --data circles.h5 --count 200 --out likelihood.alone.h5 likelihood.batch=4
expect_exit 0 "$TWEEDIE" encode run --data circles.h5 --count 200 --out encode.alone.h5 likelihood.batch=4

cluster 4
export WEIGHTS=$HERE/run DATA=$HERE/circles.h5 COUNT=200 BLOCK=32

expect_same() { # FILE FILE
    LAST="cmp $1 $2"
    cmp "$1" "$2" >"$OUT" 2>"$ERR" || fail "$1 and $2 differ"
}
joined() { # COMMAND: the parts become one file
    COMMAND=$1 OUT=$HERE/$1.array.h5 JOIN=1 submit --cpus-per-task=1 "$JOBS/likelihood.sbatch" likelihood.batch=4
    expect_end "$id" 120 COMPLETED
    expect_same "$1.alone.h5" "$1.array.h5"
}
for command in likelihood encode; do
    for round in 1 2; do
        COMMAND=$command OUT=$HERE/$command.array.h5 submit --array=0-3 --cpus-per-task=1 "$JOBS/likelihood.sbatch" likelihood.batch=4
        array[round]=$id
    done
    for round in 1 2; do
        for task in 0 1 2 3; do expect_end "${array[round]}_$task" 180 COMPLETED; done
    done
    expect_equal "parts of $command" "$(find "$command.array.h5.parts" -name 'part-*.h5' | wc -l)" 7
    [ ! -e "$command.array.h5" ] || fail "a range was joined"
    joined $command
done

# a range whose part is gone
rm likelihood.array.h5 likelihood.array.h5.parts/part-000000000096.h5
joined likelihood
grep -q "likelihood.sbatch: .*ended with 0" "$HERE/$id.out" || fail "no end"

# one job on several nodes, joined by itself
OUT=$HERE/nodes.h5 RANKS_PER_NODE=2 submit --nodes=3 --cpus-per-task=1 "$JOBS/likelihood.sbatch" likelihood.batch=4
expect_end "$id" 180 COMPLETED
expect_same likelihood.alone.h5 nodes.h5

# an array that is not told how many rows there are, and a job without data, are refused in a sentence
COUNT=0 OUT=$HERE/none.h5 submit --array=0-1 "$JOBS/likelihood.sbatch"
for task in 0 1; do expect_end "${id}_$task" 60 FAILED; done
DATA= OUT=$HERE/none.h5 submit "$JOBS/likelihood.sbatch"
expect_end "$id" 60 FAILED
expect_log "$id" "DATA is not set"
[ ! -e none.h5 ] || fail "none.h5 was made"
