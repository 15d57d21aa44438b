# tweedie schedule: noise levels from data, as a configuration that trains.
. "$(dirname "$0")/lib.sh"

# two points 5 apart, one between
printf '0 0\n3 4\n1 1\n' >three.txt
expect_exit 0 "$TWEEDIE" import three.h5 --format points three.txt --normalise none
expect_exit 0 "$TWEEDIE" schedule three.h5 --json
expect_equal distance "$(printf %.6g "$(json_value largest_distance "$OUT")")" 5
expect_equal "at most" "$(printf %.6g "$(json_value largest_distance_at_most "$OUT")")" 5
expect_equal levels "$(json_value levels "$OUT")" 9 # log2(500), and one: the ratio that is taken in few dimensions
expect_equal dimensions "$(json_value dimensions "$OUT")" 2

# what is left out is bounded
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 3000 --test-fraction 0.2
expect_exit 0 "$TWEEDIE" schedule circles.h5 --json
cp "$OUT" one.json
expect_exit 0 ranks 2 "$TWEEDIE" schedule circles.h5 --json
expect_equal "distance on two ranks" "$(json_value largest_distance "$OUT")" "$(json_value largest_distance one.json)"
expect_exit 0 "$TWEEDIE" schedule circles.h5 --sample 10
expect_output "among 10, the farthest from the mean; at most"

# the published ladder of CIFAR-10 from its size and largest distance alone (in its units)
head -c 3072 /dev/zero | tr '\0' '\377' >white
cat white <(head -c 3072 /dev/zero) | od -An -v -tu1 -w3072 >flat.txt
expect_exit 0 "$TWEEDIE" import flat.h5 --format points flat.txt --normalise none
expect_exit 0 "$TWEEDIE" schedule flat.h5 --sigma-max 50 --json
expect_equal levels "$(json_value levels "$OUT")" 232
expect_equal step "$(json_value step_size "$OUT" | cut -c1-4)" 6.18
expect_exit 0 "$TWEEDIE" schedule flat.h5 --sigma-max 50 --evaluations 1160 --json
expect_equal "steps of 1160 evaluations" "$(json_value corrector_steps "$OUT")" 5
expect_exit 64 "$TWEEDIE" schedule flat.h5 --sigma-max 50 --evaluations 100
expect_message "the ladder has 232 levels"

# what is printed is accepted
for process in ladder edm; do
    expect_exit 0 "$TWEEDIE" schedule circles.h5 --process $process
    cp "$OUT" $process.ini
    expect_exit 0 "$TWEEDIE" train $process.ini --run $process train.steps=3 checkpoint.every=3
    expect_exit 0 "$TWEEDIE" sample $process --count 8 --out $process-samples.h5
done

printf '1 2\n1 2\n' >same.txt
expect_exit 0 "$TWEEDIE" import same.h5 --format points same.txt --normalise none
expect_exit 65 ranks 2 "$TWEEDIE" schedule same.h5
expect_message "all samples are equal"
printf '1 2\n' >single.txt
expect_exit 0 "$TWEEDIE" import single.h5 --format points single.txt --normalise none
expect_exit 65 "$TWEEDIE" schedule single.h5
expect_message "single.h5: 1 samples have no distance"
expect_exit 66 "$TWEEDIE" schedule nowhere.h5
