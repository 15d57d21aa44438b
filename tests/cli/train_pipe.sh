# A log whose reader is gone and a file that may grow no further do not end a training: it goes on to its last checkpoint.
. "$(dirname "$0")/train/lib.sh"
make_points

LAST="a reader of the log that leaves at once"
"$TWEEDIE" train points.ini --run piped log.seconds=0 2>&1 | true
expect_equal "exit code" "${PIPESTATUS[0]}" 0
expect_equal "steps" "$(newest piped)" 8
expect_equal "lines of metrics" "$(grep -c '"samples"' piped/metrics.jsonl)" 8

# 32 MB of metrics, and a line that a full disk tore
LAST="a limit on the size of files"
"$TWEEDIE" train points.ini --run limited >/dev/null 2>&1 || fail "no run"
lines=$(wc -l <limited/metrics.jsonl)
yes '{"padding": 1}' | head -n 2300000 >>limited/metrics.jsonl
printf '{"step": 9, "samp' >>limited/metrics.jsonl
code=0
(ulimit -f 32768 && exec "$TWEEDIE" train points.ini --run limited train.steps=16) >limited.out 2>limited.err || code=$?
expect_equal "exit code" "$code" 0
expect_equal "steps" "$(newest limited)" 16
grep -q "its last line was not written to the end" limited.err || fail "the torn line is not told"
expect_equal "messages about the metrics" "$(grep -c "metrics.jsonl: cannot be written: File too large" limited.err)" 1
expect_equal "lines that stay" "$(wc -l <limited/metrics.jsonl)" $((lines + 2300000))
expect_equal "the end of the last" "$(tail -c 1 limited/metrics.jsonl | od -An -c | tr -d ' ')" '\n'
