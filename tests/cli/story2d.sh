# The notebook's story in the plane, by the shipped configurations: a denoiser of one noise level, asked once, puts all samples at the mean
# of the data; the diffusion model generates the data.
# slow
. "$(dirname "$0")/lib.sh"

CONFIG=$SOURCE/jobs/config
export OMP_NUM_THREADS=2

expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 20000 --test-fraction 0.2

# shorter than shipped
distance() { # NAME STEPS
    expect_exit 0 "$TWEEDIE" train "$CONFIG/circles-$1.ini" --run "$1" data.path=circles.h5 train.steps="$2" log.grid_every=0 compute.precision=f32
    expect_exit 0 "$TWEEDIE" sample "$1" --count 4096 --out "$1.h5" --grid "$1.png" sample.batch=1024
    [ -s "$1.png" ] || fail "no heat map"
    expect_exit 0 "$TWEEDIE" evaluate "$1.h5" --reference circles.h5 --split all --json
    cp "$OUT" "$1.json"
    DISTANCE=$(json_value sliced_wasserstein "$OUT")
}
distance onestep 3000
onestep=$DISTANCE
distance ddpm 6000
ddpm=$DISTANCE
echo "sliced Wasserstein distance to the data: one step $onestep, diffusion $ddpm"

# All at the mean: the distance is the deviation of the data in each coordinate, sqrt((1.5^2 + 0.75^2) / 4 + 0.05^2) = 0.840.
# 4096 perfect samples have 0.02 to 0.03; the shipped length reaches 0.011 at 10000 samples.
LAST="compare the distances"
awk "BEGIN { exit !($onestep > 0.6 && $onestep < 0.95) }" || fail "one step: $onestep, wanted 0.84"
awk "BEGIN { exit !($ddpm < 0.08) }" || fail "diffusion: $ddpm, wanted less than 0.08"
awk "BEGIN { exit !($onestep > 8 * $ddpm) }" || fail "one step $onestep, diffusion $ddpm: wanted eight times as much"
if [ -n "${TWEEDIE_KEEP:-}" ]; then cp ./*.png ./*.json "$TWEEDIE_KEEP"; fi
