#!/usr/bin/env bash
# The worked examples of src/README.md, built into a program as they stand there: each is one file, is found, is trained or sampled with,
# and has keys of its own.
. "$(dirname "$0")/lib.sh"

expect_exit 0 "$TWEEDIE_EXAMPLES" hello --greeting welcome
expect_output "welcome from rank 0 of 1"
expect_exit 0 "$TWEEDIE_EXAMPLES" import points.h5 --format mixture --count 2000 --seed 3 --test-fraction 0.2

cat >all.ini <<END
[data]
path = points.h5
[network]
kind = mlp
width = 32
depth = 2
[process]
kind = trig
end = 0.98
[prediction]
kind = louder
volume = 3
[objective]
kind = robust
delta = 0.5
[train]
steps = 40
batch = 128
[optimizer]
learning_rate = 0.005
[checkpoint]
every = 40
[log]
validate_every = 40
[compute]
precision = f32
END
expect_exit 0 "$TWEEDIE_EXAMPLES" train all.ini --run all
expect_exit 0 grep -qx "volume = 3" all/config.ini
for sampler in "kind=tempered sample.temperature=0.5" "kind=pc sample.corrector=ascent sample.climbs=2 sample.steps=20" \
               "kind=ode sample.solver=ralston sample.ode_steps=10"; do
    rm -rf s.h5 s.h5.parts
    # shellcheck disable=SC2086 # several words
    expect_exit 0 "$TWEEDIE_EXAMPLES" sample all --count 64 --out s.h5 sample.steps=20 sample.$sampler
    h5dump -a /sampling s.h5 >told
    for word in ${sampler//sample./}; do
        case $word in kind=pc | kind=ode | kind=tempered | steps=*) ;; *) grep -q "${word}" told || fail "the sample set does not say $word" ;; esac
    done
done
expect_exit 78 "$TWEEDIE" train all.ini --run other
expect_message 'process.kind: there is no "trig"'

# the network with the operation
sed 's/kind = mlp/kind = linear\nbias = no\nsquares = yes/; /^width/d; /^depth/d' all.ini >linear.ini
expect_exit 0 "$TWEEDIE_EXAMPLES" train linear.ini --run linear
expect_exit 0 "$TWEEDIE_EXAMPLES" inspect --plan linear.ini
expect_output "square"

# the optimiser; its array is a group of the checkpoint
sed 's/^\[optimizer\]/&\nkind = signsgd\nbeta = 0.8/' all.ini >signsgd.ini
expect_exit 0 "$TWEEDIE_EXAMPLES" train signsgd.ini --run signsgd
expect_exit 0 grep -qx "beta = 0.8" signsgd/config.ini
expect_exit 0 h5dump -n signsgd/checkpoints/step-000000040.h5
expect_output "/signsgd/momentum"

# a status that is ignored is a warning, and one that is ignored on purpose is none
printf '#include "tweedie/status.h"\ntw_status f(void);\nvoid g(void);\nvoid g(void) { (void)f(); }\n' >ignored.c
expect_exit 0 "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$SOURCE/include" ignored.c
sed -i 's/(void)f()/f()/' ignored.c
expect_exit 1 "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$SOURCE/include" ignored.c

# a metric of features, with the numbers of the points for features
expect_exit 0 "$TWEEDIE_EXAMPLES" import a.h5 --format circles --count 60 --seed 1
expect_exit 0 "$TWEEDIE_EXAMPLES" evaluate a.h5 --reference a.h5 --features samples --metrics means --json
expect_equal "distance of means" "$(json_value means_distance "$OUT")" 0
