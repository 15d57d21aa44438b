# slow
# The checkpoint job: verifies, exports, copies and prunes; twice at once, killed anywhere and repeated it does no harm; a damaged checkpoint is
# told and not copied; and it comes back while the training is in the queue, and no longer.
. "$(dirname "$0")/lib.sh"
tiny
sed -i 's/^every = .*/every = 10/; s/^keep = .*/keep = 100/' tiny.ini
expect_exit 0 "$TWEEDIE" train tiny.ini --run "$HERE/run" # ten checkpoints
cp -r run damaged
cluster 3
export RUN=$HERE/run STORE=$HERE/store
# the steps of the files below a folder whose names are step-NUMBER and what follows
present() { find "$1" -name "step-?????????${2:-}.h5" -printf '%f\n' | sed 's/^step-0*//; s/[-.].*//' | sort -n | xargs; }

# three at once, of which one is killed; then one more
echo 30 >run/checkpoints/hold
for i in 1 2 3; do
    KEEP=4 KEEP_EVERY=50 submit "$JOBS/checkpoint.sbatch"
    pass[i]=$id
done
sleep 1
on_cluster scancel --signal=KILL --full "${pass[2]}"
for i in 1 2 3; do wait_until 60 ended "${pass[i]}"; done
KEEP=4 KEEP_EVERY=50 submit "$JOBS/checkpoint.sbatch"
expect_end "$id" 60 COMPLETED
expect_equal "checkpoints that stay: four, the held, the majors" "$(present run)" "30 50 70 80 90 100"
expect_equal "copies" "$(present store)" "10 20 30 40 50 60 70 80 90 100"
expect_equal "exports" "$(present run -ema-0.99)" 100
expect_equal "debris" "$(find run store -name '*.tmp*' -o -name '.*.part' | xargs)" ""
find store -name 'step-*.h5' -exec "$TWEEDIE" checkpoint verify {} + >"$OUT" 2>"$ERR" || fail "a copy does not verify"

# what was read once is not read again
KEEP=4 KEEP_EVERY=50 submit "$JOBS/checkpoint.sbatch"
expect_end "$id" 60 COMPLETED
! grep -q ": good: " "$HERE/$id.out" || fail "it verified again"

# a damaged one: told, not copied, and the rest goes on; samples behind it would not start
printf X | dd of=damaged/checkpoints/step-000000060.h5 bs=1 seek=9000 conv=notrunc status=none
RUN=$HERE/damaged STORE=$HERE/store2 FINAL=1 submit "$JOBS/checkpoint.sbatch"
expect_end "$id" 60 FAILED
expect_log "$id" "step-000000060.h5"
expect_equal "copies of the rest" "$(present store2)" "10 20 30 40 50 70 80 90 100"

# beside a training that writes and prunes all the time: no pass fails for what is gone meanwhile
RUN=$HERE/busy submit --nodes=1 --cpus-per-task=1 "$JOBS/train.sbatch" train.steps=1000000 checkpoint.every=5
busy=$id
wait_until 60 reached "$HERE/busy" 50
for i in 1 2 3 4; do
    RUN=$HERE/busy STORE=$HERE/store3 submit "$JOBS/checkpoint.sbatch"
    expect_end "$id" 60 COMPLETED
done
on_cluster scancel "$busy"
expect_end "$busy" 60 CANCELLED

# copies of two runs do not mix
expect_exit 0 "$TWEEDIE" train tiny.ini --run "$HERE/other" run.seed=2 # the same steps
sums=$(cksum store/*.h5)
RUN=$HERE/other STORE=$HERE/store submit "$JOBS/checkpoint.sbatch"
expect_end "$id" 60 FAILED
expect_log "$id" "is a copy from another run"
expect_log "$id" "nothing is pruned by this pass"
expect_equal "copies" "$(cksum store/*.h5)" "$sums"
expect_equal "checkpoints that were not copied" "$(present other)" "10 20 30 40 50 60 70 80 90 100"

# beside a training: again and again, one successor at a time
RUN=$HERE/run submit --nodes=1 --wrap "sleep 600"
training=$id
successors() { on_cluster squeue --noheader --name=beside --format=%i | wc -l; }
mkdir elsewhere
for i in 1 2; do
    TRAIN_JOB=$training EVERY=1 submit --job-name=beside --chdir="$HERE/elsewhere" "$JOBS/checkpoint.sbatch"
    expect_end "$id" 60 COMPLETED
done
expect_equal "successors" "$(successors)" 1
next=$(on_cluster squeue --noheader --name=beside --format=%i)
on_cluster scancel "$training"
expect_end "$next" 120 COMPLETED
[ -s "beside-$next.out" ] || fail "the successor's log is not beside the first pass's"
expect_equal "successors when the training is over" "$(successors)" 0

# no run, no checkpoint
RUN=$HERE/nothing submit "$JOBS/checkpoint.sbatch"
expect_end "$id" 60 FAILED
mkdir empty
RUN=$HERE/empty submit "$JOBS/checkpoint.sbatch"
expect_end "$id" 60 COMPLETED
