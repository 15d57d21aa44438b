# slow
# jobs/submit: from nothing to trained, checked, copied and sampled by one command; and what happens behind a training that fails.
. "$(dirname "$0")/lib.sh"
tiny
submit_run() { on_cluster "$JOBS/submit" "$@"; }
id_of() { sed -n "s/^\([0-9]*\) .*$1.*/\1/p" "$OUT" | head -n 1; }

expect_exit 0 "$JOBS/submit" tiny.ini run --dry-run --samples 100 --array 2 --chain 2
expect_equal "commands" "$(grep -c ' sbatch ' "$OUT")" 6
expect_output "--dependency=afterany:JOB1"
expect_output "JOB1: CONFIG=$HERE/tiny.ini RUN=$HERE/run " # what it prints can be run
[ ! -e run ] || fail "--dry-run made the run"
expect_exit 64 "$JOBS/submit" tiny.ini
expect_exit 64 "$JOBS/submit" tiny.ini run --nods 3
expect_message "there is no option --nods"
expect_exit 64 "$JOBS/submit" tiny.ini run --samples many
expect_exit 64 "$JOBS/submit" tiny.ini run --nodes few
expect_message "--nodes few: a number or a range"
expect_exit 66 "$JOBS/submit" missing.ini run
expect_exit 66 "$JOBS/submit" . run
expect_exit 78 "$JOBS/submit" tiny.ini run --dry-run train.stps=3
expect_message "unknown key train.stps (did you mean train.steps?)"

cluster 4
expect_exit 74 submit_run tiny.ini tiny.ini/run
expect_message "tiny.ini/run/logs cannot be made"
queue() { on_cluster squeue --noheader --format=%i | wc -l; }
expect_exit 69 submit_run tiny.ini refused --checkpoint "--no-such-option"
expect_message "sbatch refuses the job 'checkpoints, every 60 minutes from the start of 1': none is submitted"
wait_until 30 eval '[ "$(queue)" -eq 0 ]'
expect_exit 0 submit_run tiny.ini run --nodes 2 --cpus-per-rank 1 --store "$HERE/store" --every 1 --samples 500 --array 3 train.steps=200
expect_equal "jobs" "$(grep -c '^[0-9]' "$OUT")" 5
join=$(id_of "joins them") training=$(id_of training)
cp "$OUT" said
expect_exit 73 submit_run tiny.ini run --nodes 2
expect_message "the training of $HERE/run is in the queue already, as job $training ("
expect_equal "jobs of two submissions" "$(queue)" 5
cp said "$OUT"
expect_end "$join" 240 COMPLETED
expect_equal "steps" "$(steps_reached run)" 200
[ -e run/samples/samples.h5 ] || fail "no samples"
expect_exit 0 "$TWEEDIE" inspect run/samples/samples.h5
expect_output 500
expect_exit 0 "$TWEEDIE" checkpoint verify run
ls run/weights/step-000000200-*.h5 >/dev/null || fail "no exported weights"
find store -name 'step-000000200.h5' | grep -q . || fail "the last checkpoint is not in the store"
[ -s "$(find store -name manifest.jsonl)" ] || fail "no manifest"
find store -name 'step-*.h5' -exec "$TWEEDIE" checkpoint verify {} + >"$OUT" 2>"$ERR" || fail "a copy does not verify"

# longer, when it is finished: goes on, and draws into another file
expect_exit 0 submit_run tiny.ini run --nodes 2 --cpus-per-rank 1 --store "$HERE/store" --samples 100 --out more.h5 train.steps=300
expect_end "$(id_of samples)" 240 COMPLETED
expect_equal "steps" "$(steps_reached run)" 300
[ -e more.h5 ] || fail "no more samples"

# a training that diverges: no samples, and nobody waits for them for ever
for ((i = 0; i < 100; i++)); do echo "1e30 -1e30"; done >huge.txt
expect_exit 0 "$TWEEDIE" import huge.h5 --format points --normalise none huge.txt
expect_exit 0 submit_run tiny.ini bad --nodes 1 --cpus-per-rank 1 --samples 100 data.path="$HERE/huge.h5"
expect_end "$(id_of training)" 120 FAILED
expect_end "$(id_of 'checkpoints, after')" 120 FAILED
expect_end "$(id_of samples)" 120 CANCELLED
grep -q "ended with 76" bad/logs/*-train-*.out || fail "it did not diverge"

# a chain, for sites where jobs may not be requeued: its links go on where the one before stopped, and those after the end have nothing to do
expect_exit 0 submit_run tiny.ini chain --nodes 1 --cpus-per-rank 1 --chain 3 --train "--export=ALL,MAX_HOURS=0.001" train.steps=100000
mapfile -t links < <(sed -n 's/^\([0-9]*\) *training.*/\1/p' "$OUT")
expect_equal "links" "${#links[@]}" 3
for link in "${links[@]}"; do expect_end "$link" 120 FAILED; done
grep -q "start 1 on .* from step-" chain/logs/*-"${links[2]}".out || fail "the third link did not go on"

# a training that starts again twice: what waits for its end waits for the end of the last start
expect_exit 0 submit_run tiny.ini again --nodes 1 --cpus-per-rank 1 --train "--export=ALL,MAX_HOURS=0.0005,REQUEUE=2" train.steps=100000000
final=$(id_of 'checkpoints, after') training=$(id_of training)
expect_end "$training" 240 FAILED
expect_equal "restarts" "$(restarts "$training")" 2
expect_end "$final" 60 FAILED
grep -qF "step-$(printf %09d "$(steps_reached again)").h5: good" again/logs/*-final-"$final".out || fail "it has not seen the last checkpoint"
grep -q "the training is not at its last step (100000000)" again/logs/*-final-"$final".out || fail "it does not say why it fails"
