# tweedie sample of an energy model: MALA reports its acceptance, which the sample set keeps, the same on any ranks; a model
# without energy, and what does not go together, are refused before anything runs.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=2

cat >energy.ini <<END
[data]
path = circles.h5
[process]
kind = ladder
sigma_min = 0.1
sigma_max = 1
levels = 5
[network]
kind = mlp
width = 32
depth = 2
activation = silu
[prediction]
kind = energy
[train]
steps = 20
batch = 32
[ema]
rates = 0.5
[sample]
kind = mala
steps = 20
step_size = 3
batch = 16
END
reported() { h5dump -a /reported "$1" | sed -n 's/.*(0): "\(.*\)"/\1/p'; }

expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 200
expect_exit 0 "$TWEEDIE" train energy.ini --run energy
expect_exit 0 "$TWEEDIE" sample energy --count 40 --out one.h5
grep -q "the sampler reports acceptance=0\." "$OUT" "$ERR" || fail "the acceptance is not told"
met=$(reported one.h5)
case $met in acceptance=0.[0-9]*) ;; *) fail "one.h5 keeps '$met' as what was reported" ;; esac
expect_exit 0 ranks 2 "$TWEEDIE" sample energy --count 40 --out two.h5
LAST="cmp one.h5 two.h5"
cmp one.h5 two.h5 || fail "other ranks, another file"

# a sampler that reports nothing leaves no attribute
expect_exit 0 "$TWEEDIE" sample energy --count 16 --out plain.h5 sample.kind=langevin sample.steps=5 sample.step_size=0.01
LAST="h5dump -A plain.h5"
h5dump -A plain.h5 | grep -q reported && fail "plain.h5 reports something"

expect_exit 0 "$TWEEDIE" train energy.ini --run score prediction.kind=epsilon
expect_exit 78 "$TWEEDIE" sample score --count 4 --out none.h5 sample.kind=mala
expect_message "prediction.kind = energy"
[ ! -e none.h5 ] && [ ! -e none.h5.parts ] || fail "something ran that was refused"

# an energy guides another network: of scale 0 it changes nothing, of scale 1 it adds its own score
plain=(--count 32 sample.kind=langevin sample.steps=5 sample.step_size=0.01)
points() { h5dump -d points -m %.9g -y -w 0 "$1"; }
expect_exit 0 "$TWEEDIE" sample score "${plain[@]}" --out p.h5
expect_exit 0 "$TWEEDIE" sample score "${plain[@]}" --guide energy --scale 0 --out p0.h5
LAST="guided with a scale of 0"
[ "$(points p0.h5 | tail -n +2)" = "$(points p.h5 | tail -n +2)" ] || fail "a scale of 0 changes the samples"
expect_exit 0 "$TWEEDIE" sample score "${plain[@]}" --guide energy --scale 1 --out p1.h5
expect_exit 0 ranks 2 "$TWEEDIE" sample score "${plain[@]}" --guide energy --scale 1 --out p2.h5
LAST="guided with a scale of 1"
[ "$(points p1.h5 | tail -n +2)" != "$(points p.h5 | tail -n +2)" ] || fail "a scale of 1 changes nothing"
cmp p1.h5 p2.h5 || fail "other ranks, other guided samples"
expect_exit 0 "$TWEEDIE" sample energy "${plain[@]}" --guide energy --scale 1 --out own.h5
h5dump -a sampling own.h5 | grep -q "guidance=energy scale=1" || fail "the set does not say what guided it"
exit 0
