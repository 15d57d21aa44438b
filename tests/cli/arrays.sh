# tweedie import --format hdf5 as its user calls it; what channels are called goes all the way to the sample set.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 200
expect_exit 64 "$TWEEDIE" import bad.h5 --format hdf5 circles.h5
expect_message "it holds /labels [200], /points [200, 2]"
expect_exit 64 "$TWEEDIE" import bad.h5 --format hdf5 circles.h5:/points circles.h5:/points
expect_message "--stack"
expect_exit 0 "$TWEEDIE" import stacked.h5 --format hdf5 --stack circles.h5:/points circles.h5:/points
expect_output "200 points of 1 x 1 x 4"
expect_output "  channel 3 points.1: "
expect_exit 0 "$TWEEDIE" import straight.h5 --format hdf5 circles.h5:/points --keep-order
expect_output "  channel 0 points.0: "
digest() { sed -n 's/.*digest //p' "$OUT"; }
straight=$(digest)
expect_exit 0 "$TWEEDIE" import turned.h5 --format hdf5 circles.h5:/points --order F --layout DN --keep-order --force
expect_equal "digest of the same points by columns" "$(digest)" "$straight"

cat >points.ini <<END
[data]
path = straight.h5
[network]
kind = mlp
width = 16
depth = 1
[objective]
timesteps = 100
[train]
steps = 2
batch = 16
END
expect_exit 0 "$TWEEDIE" train points.ini --run run
expect_exit 0 "$TWEEDIE" sample run --out samples.h5 --count 16
expect_exit 0 "$TWEEDIE" import again.h5 --format hdf5 samples.h5:/points
expect_output "  channel 1 points.1: "

# of what a conditional model is given, and of what is restored, too
expect_exit 0 "$TWEEDIE" import given.h5 --format hdf5 circles.h5:/points --condition circles.h5:/points
expect_exit 0 "$TWEEDIE" train points.ini --run given data.path=given.h5 data.condition=yes
expect_exit 0 "$TWEEDIE" sample given --condition given.h5 --out given-samples.h5 --count 16
expect_exit 0 "$TWEEDIE" import again.h5 --format hdf5 given-samples.h5:/condition --force
expect_output "  channel 1 points.1: "
expect_exit 0 "$TWEEDIE" restore run --task denoise task.noise=1 --input samples.h5 --rows 2 --count 2 --out restored.h5 sample.steps=2
expect_exit 0 "$TWEEDIE" import again.h5 --format hdf5 restored.h5:/points --force
expect_output "  channel 1 points.1: "
