# tweedie checkpoint: what each subcommand answers, and with which exit code, for good files, damaged ones and none.
. "$(dirname "$0")/lib.sh"

# makes checkpoints 200 and 300 of a small state
make_run() {
    mkdir -p "$1/checkpoints" "$1/weights"
    "$MAKER" save "$1" || fail "no checkpoints were made"
}
MAKER=$(dirname "$TWEEDIE")/tests/test_checkpoint_faults
[ -x "$MAKER" ] || skip "the maker of test checkpoints was not built"
make_run run
make_run other
FILE=run/checkpoints/step-000000300.h5
flip() { printf '\377' | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }

expect_exit 0 "$TWEEDIE" checkpoint list run
expect_equal "lines" "$(wc -l <"$OUT")" 3
expect_equal "header" "$(head -n 1 "$OUT" | xargs)" "step MB age loss state file"
expect_output "         0.5  valid    $FILE"
expect_exit 0 "$TWEEDIE" checkpoint list run --json
expect_equal "JSON lines" "$(wc -l <"$OUT")" 1
expect_output '"step": 300'

expect_exit 0 "$TWEEDIE" checkpoint verify run $FILE
expect_output "$FILE: good: 10 arrays, digest "
expect_exit 0 "$TWEEDIE" checkpoint show run
expect_output "$FILE: a checkpoint file"
expect_output "step             300"
expect_output "seed = 1"
expect_exit 0 "$TWEEDIE" checkpoint show $FILE --json
expect_equal "step" "$(json_value step "$OUT")" 300
expect_equal "default weights" "$(json_value weights "$OUT")" '"ema:0.9999"'

expect_exit 0 "$TWEEDIE" checkpoint diff run other
expect_output "equal: step 300, 10 arrays and 3 losses, bit for bit"
mkdir -p losses/checkpoints
"$MAKER" others losses || fail "no checkpoints were made"
expect_exit 1 "$TWEEDIE" checkpoint diff run losses
expect_output "/loss_history: 1 of 6 values differ, by at most 0.25"
expect_exit 1 "$TWEEDIE" checkpoint diff run run/checkpoints/step-000000200.h5
expect_output "step: 300 and 200"
expect_equal "totals first" "$(sed -n 2p "$OUT" | grep -cE "^different: 10 arrays; [0-9]+ of [0-9]+ values, by at most [0-9.e-]+$")" 1
expect_output "/params/down.0.conv1.weight: "
expect_output " of 288 values differ, by at most "
expect_quiet
expect_exit 1 "$TWEEDIE" checkpoint diff run run/checkpoints/step-000000200.h5 --json
expect_equal "different" "$(json_value different "$OUT")" true
expect_equal "arrays differing" "$(json_value arrays_differing "$OUT")" 10

expect_exit 0 "$TWEEDIE" checkpoint export run
expect_output "run/weights/step-000000300-ema-0.9999.h5"
expect_exit 0 "$TWEEDIE" checkpoint export run --weights raw --out raw.h5
expect_exit 0 "$TWEEDIE" checkpoint show raw.h5
expect_output "raw.h5: a weights file"
expect_output "made from        $FILE"
expect_exit 65 "$TWEEDIE" checkpoint export run --weights ema:0.5 --out x.h5
expect_message "has no weights ema:0.5, only ema:0.999, ema:0.9999, raw"
expect_exit 64 "$TWEEDIE" checkpoint export run --weights best --out x.h5
[ ! -e x.h5 ] || fail "a failed export left a file"
if command -v h5dump >/dev/null; then
    expect_exit 0 h5dump -n 1 raw.h5
    expect_output "/params/down.0.conv1.bias"
fi

expect_exit 64 "$TWEEDIE" checkpoint drain run
expect_exit 0 "$TWEEDIE" checkpoint drain run --to durable
expect_output "3 files copied to durable, 0 were there already"
expect_exit 0 "$TWEEDIE" checkpoint drain run --to durable --json
expect_equal "copied" "$(json_value copied "$OUT")" 0
expect_exit 0 "$TWEEDIE" checkpoint verify durable/step-000000300.h5
expect_equal "manifest lines" "$(wc -l <durable/manifest.jsonl)" 3
expect_equal "temporary files" "$(find . -name '*.tmp' | wc -l)" 0

# the same step, trained again after a loss, replaces its copy; that of another run does not
mv run/checkpoints/step-000000300.h5 kept.h5
cp losses/checkpoints/step-000000300.h5 run/checkpoints/step-000000300.h5
expect_exit 0 "$TWEEDIE" checkpoint drain "$PWD/run" --to durable
expect_output "1 files copied to durable, 2 were there already"
mv kept.h5 run/checkpoints/step-000000300.h5
before=$(cksum durable/step-*.h5)
expect_exit 78 "$TWEEDIE" checkpoint drain other --to durable
expect_message "durable/step-000000300.h5: is a copy from another run"
expect_message "one directory for each run"
expect_equal "copies" "$(cksum durable/step-*.h5)" "$before"
expect_exit 0 "$TWEEDIE" checkpoint drain run --to durable
expect_output "1 files copied to durable, 2 were there already"
expect_exit 66 "$TWEEDIE" checkpoint drain nowhere --to elsewhere
expect_message "nowhere: there is no such run"
[ ! -e elsewhere ] || fail "a directory was made for nothing"
touch durable/.step-000000300.h5.n9-1-0.tmp durable/.best.h5.n9-1-0.tmp durable/.mine.tmp
expect_exit 0 "$TWEEDIE" checkpoint drain run --to durable
expect_equal "hidden files" "$(cd durable && echo .[a-z]*)" ".mine.tmp" # what a killed drain left has gone, and nothing else
rm durable/.mine.tmp

cp run/checkpoints/step-000000200.h5 run/checkpoints/step-000000100.h5
echo "step 100, please" >run/checkpoints/hold
expect_exit 65 "$TWEEDIE" checkpoint prune run --keep 1
expect_message "run/checkpoints/hold, line 1: 'step 100, please' is neither a step nor the name of a checkpoint; nothing is removed"
rm run/checkpoints/hold
expect_exit 0 "$TWEEDIE" checkpoint prune run --keep 1 --dry-run
expect_output "would remove step 100"
expect_exit 0 "$TWEEDIE" checkpoint prune run --keep 1 --json
expect_equal "removed" "$(json_value removed "$OUT")" "[100]"
expect_exit 0 "$TWEEDIE" checkpoint prune run --keep 1
expect_output "nothing to remove"

flip $FILE 9000
expect_exit 65 "$TWEEDIE" checkpoint verify run
expect_output "$FILE: is damaged: its bytes do not have the hash that its head says"
expect_message "1 of 2 files do not verify"
expect_exit 65 "$TWEEDIE" checkpoint verify run --json
expect_output '"valid": false'
expect_exit 65 "$TWEEDIE" checkpoint list run # all of them, and then that one is damaged
expect_output "DAMAGED"
expect_output "valid  "
expect_message "1 checkpoint cannot be used (tweedie checkpoint verify says why)"
mkfifo run/checkpoints/step-000000010.h5
ln -s nowhere run/checkpoints/step-000000020.h5
mkdir run/checkpoints/step-000000030.h5
expect_exit 65 "$TWEEDIE" checkpoint list run
expect_equal "lines with odd things among them" "$(wc -l <"$OUT")" 6
expect_exit 65 "$TWEEDIE" checkpoint list run --json
expect_equal "JSON lines of damaged ones" "$(wc -l <"$OUT")" 1
expect_exit 65 "$TWEEDIE" checkpoint verify run
expect_message "4 of 5 files do not verify"
rm -r run/checkpoints/step-0000000[123]0.h5
expect_exit 65 "$TWEEDIE" checkpoint show $FILE
expect_exit 0 "$TWEEDIE" checkpoint show run # the one before it
expect_message "trying the one before it"
expect_output "step             200"
flip run/checkpoints/step-000000200.h5 100
expect_exit 65 "$TWEEDIE" checkpoint show run
expect_message "none of its 2 checkpoints verifies"

expect_exit 66 "$TWEEDIE" checkpoint list nowhere
expect_message "nowhere/checkpoints"
expect_exit 66 "$TWEEDIE" checkpoint verify nowhere
expect_exit 65 "$TWEEDIE" checkpoint show "$0"
expect_message "neither a checkpoint nor a weights file"
mkdir -p empty/checkpoints
expect_exit 0 "$TWEEDIE" checkpoint list empty
expect_exit 66 "$TWEEDIE" checkpoint show empty
expect_message "the run has no checkpoint yet"
long=$(printf 'x%.0s' $(seq 5000))
for arguments in "show $long" "list $long" "diff $long run" "prune $long" "export durable/step-000000200.h5 --out $long"; do
    expect_exit 64 "$TWEEDIE" checkpoint $arguments
    expect_message "a name is too long: "
done
cp durable/step-000000200.h5 step-000000009.h5
expect_exit 65 "$TWEEDIE" checkpoint show step-000000009.h5
expect_message "step-000000009.h5: holds step 200, not the one of its name"
echo torn >>durable/manifest.jsonl
expect_exit 65 "$TWEEDIE" checkpoint drain run --to durable
expect_message "durable/manifest.jsonl, line 5: is not a line of a manifest"
expect_exit 64 "$TWEEDIE" checkpoint verfy run
expect_message "did you mean verify?"
expect_exit 64 "$TWEEDIE" checkpoint diff run
expect_message "checkpoint diff takes 2 paths, not 1"
