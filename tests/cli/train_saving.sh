# slow
# Training goes on while a checkpoint is written to a disk that is slow: a save lasts for many steps, of which the longest waits for at
# most one step more than the others; and data that do not fit into memory are read ahead meanwhile. Prints both figures.
. "$(dirname "$0")/train/lib.sh"
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_slow.so
[ -f "$SHIM" ] || fail "$SHIM was not built"

# one position whose blocks of 1 MiB last for 64 steps each: every save begins just where a block ends, so that the one after the next is
# asked for behind the save's first piece, and needed 64 steps later; the save is over before the next one begins
idx_images images 512 128 128 1000000
expect_exit 0 "$TWEEDIE" import big.h5 --format idx images
cat >big.ini <<'END'
[data]
path = big.h5
memory = 1
[network]
kind = unet
base = 16
groups = 4
mult = 1, 1, 1, 1, 4
blocks = 1
attention = 1
[train]
steps = 1280
batch = 1
[checkpoint]
every = 256
keep = 2
[log]
every = 1
END

# what a block's steps take, without a save among them
expect_exit 0 train 1 quick big.ini train.steps=128 checkpoint.every=128
# Milliseconds of a step, from the times in metrics.jsonl, step by step; the first after a save began holds the copying of the state.
intervals() { sed -n 's/.*"step": \([0-9]*\), "samples".*"time": \([0-9.e+]*\).*/\1 \2/p' "$1/metrics.jsonl" | awk 'NR > 1 { printf "%d %.3f\n", $1, 1e3 * ($2 - last) } { last = $2 }'; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
step=$(intervals quick | cut -d ' ' -f 2 | median)
slack=$(awk "BEGIN { print 64 * $step }")

# a piece takes less than a block lasts, a save more; without reading ahead between its pieces the next block would be late
megabytes=$(stat --format=%s quick/checkpoints/*.h5 | awk '{ print $1 / 1e6 }')
export SLOW_PATH=/checkpoints
SLOW_WRITE_MS=$(awk "BEGIN { print 0.3 * $slack / $megabytes }") SLOW_FLUSH_MS=$(awk "BEGIN { print 0.35 * $slack }")
# and reading a block takes a quarter of what its steps last, so that a step which waits for it is seen
SLOW_READ_MS=$(awk "BEGIN { print 0.25 * $slack }")
export SLOW_WRITE_MS SLOW_FLUSH_MS SLOW_READ_MS SLOW_READ_PATH=/big.h5
slow() { LD_PRELOAD=$SHIM ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "$TWEEDIE" train big.ini --run slow; }
expect_exit 0 slow
saves=$(sed -n 's/^checkpoint of step [0-9]* written in \([0-9.]*\) s$/\1/p' "$ERR" | head -n -1)
expect_equal "saves beside training" "$(wc -l <<<"$saves")" 4
seconds=$(median <<<"$saves")

# The longest step of each 128 in which there was a save, and of each 128 in which there was none: a loaded machine lengthens both. An odd
# number of them, so that the median is one of them.
intervals slow | awk '$1 > 256 && $1 <= 1024 { k = int(($1 - 1) / 128); if ($2 > longest[k]) longest[k] = $2 }
    END { for (k in longest) print k % 2, longest[k] }' >longest
with=$(sed -n 's/^0 //p' longest | median) without=$(sed -n 's/^1 //p' longest | median)
stall=$(awk "BEGIN { print ($with > $without ? $with - $without : 0) }")
echo "a step takes $step ms, a save $(awk "BEGIN { print int(1e3 * $seconds / $step) }") steps; its longest step takes $stall ms more than without"
awk "BEGIN { exit !($seconds * 1e3 > $slack) }" || fail "a save takes $seconds s, less than a block lasts: nothing was tested"
awk "BEGIN { exit !($stall <= $step) }" || fail "a save delays a step by $stall ms, more than the $step ms that it takes"

# a block that is read when it is needed holds a step up for 16 others; one that was read ahead does not
awk "BEGIN { exit !($without <= 8 * $step) }" || fail "the longest steps without a save take $without ms, of $step ms: data are not read ahead"

# and what is learnt does not depend on any of it
expect_exit 0 train 1 straight big.ini checkpoint.every=1280 data.memory=1024
same slow straight
