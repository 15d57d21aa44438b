# tweedie init writes a configuration that suits the data and trains as it stands.
. "$(dirname "$0")/train/lib.sh"

set_of() {
    idx_images train-images 64 "$1" "$2" 1000000
    expect_exit 0 "$TWEEDIE" import set.h5 --force --format idx train-images
}
fitted=0
fits() { # what init writes passes a dry run
    expect_exit 0 "$TWEEDIE" init "$@"
    expect_quiet
    cp "$OUT" my.ini
    fitted=$((fitted + 1))
    expect_exit 0 "$TWEEDIE" train my.ini --run run$fitted --dry-run
}
set_of 8 12
(mkdir elsewhere && cd elsewhere && "$TWEEDIE" init ../set.h5 >../my.ini) || fail "init failed"
grep -qx "path = $(pwd -P)/set.h5" my.ini || fail "the path is not absolute"
fits set.h5
grep -qx "mult = 1, 2" my.ini || fail "two levels were expected"
! grep -q "^pad" my.ini || fail "nothing is to be padded"
expect_exit 75 "$TWEEDIE" train my.ini --run run --stop-at-step 1
set_of 9 10
fits set.h5 --preset vp --hours 0.01
grep -qx "pad = reflect" my.ini || fail "9 cannot be halved"
hours=$(sed -n 's/.*(\([0-9.]*\) hours).*/\1/p' my.ini)
awk -v h="$hours" 'BEGIN { exit !(h > 0.005 && h <= 0.0101) }' || fail "0.01 hours became $hours"
expect_exit 0 "$TWEEDIE" import points.h5 --format circles --count 100 --test-fraction 0.2
for preset in ddpm vp edm flow; do fits points.h5 --preset $preset; done
grep -qx "batch = 64" my.ini || fail "80 points hold no larger batch"
grep -qx "validation_split = test" my.ini || fail "there is a split to validate on"
expect_exit 66 "$TWEEDIE" init nothing.h5
