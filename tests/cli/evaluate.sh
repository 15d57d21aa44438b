# tweedie evaluate: distances of sample sets to data.
. "$(dirname "$0")/lib.sh"

expect_exit 0 "$TWEEDIE" import a.h5 --format circles --count 3000 --seed 1
expect_exit 0 "$TWEEDIE" import b.h5 --format circles --count 2000 --seed 2
expect_exit 0 "$TWEEDIE" import spiral.h5 --format spiral --count 2000
printf '0 0\n0 0\n0 0\n' >origin.txt
expect_exit 0 "$TWEEDIE" import origin.h5 --format points origin.txt --normalise none

distance() { # SAMPLES DATA
    expect_exit 0 "$TWEEDIE" evaluate "$1" --reference "$2" --json
    expect_equal "lines of JSON" "$(wc -l <"$OUT")" 1
    json_value sliced_wasserstein "$OUT"
}
claim() { # VALUE CONDITION
    awk "BEGIN { d = $1; exit !($2) }" || fail "$1, wanted $2"
}
claim "$(distance a.h5 a.h5)" "d == 0"
claim "$(distance a.h5 b.h5)" "d > 0 && d < 0.06"
claim "$(distance spiral.h5 a.h5)" "d > 0.1"
# all at the origin: the root mean square of the data's coordinates, sqrt((1.5^2 + 0.75^2) / 4 + 0.05^2)
claim "$(distance origin.h5 a.h5)" "d > 0.82 && d < 0.86"
expect_equal dimensions "$(json_value dimensions "$OUT")" 2
expect_equal samples "$(json_value samples "$OUT")" 3
expect_equal reference "$(json_value reference "$OUT")" 3000

# the same bits at any number of ranks
expect_exit 0 "$TWEEDIE" evaluate a.h5 --reference b.h5 --json
cp "$OUT" one.json
for n in 2 3; do
    expect_exit 0 ranks $n "$TWEEDIE" evaluate a.h5 --reference b.h5 --json
    cmp one.json "$OUT" || fail "$n ranks differ"
done

expect_exit 0 "$TWEEDIE" evaluate a.h5 --reference b.h5 --limit 500
expect_output "500 samples against 500 of the data"
expect_output "sliced Wasserstein distance"

expect_exit 65 ranks 2 "$TWEEDIE" evaluate a.h5 --reference "$SOURCE/datasets/mnist.h5"
expect_message "they cannot be compared"
expect_exit 66 ranks 2 "$TWEEDIE" evaluate a.h5 --reference nowhere.h5
expect_exit 78 "$TWEEDIE" evaluate a.h5 --reference b.h5 --split validation
expect_exit 64 "$TWEEDIE" evaluate a.h5
expect_message "--reference DATA.h5 must be given"
