# tweedie plot: every picture is written whole with its numbers, and refused with a reason.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

is_png() { # FILE
    [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$1 is no PNG"
}
claim() { # KEY CONDITION on v
    local v
    v=$(json_value "$1" "$OUT")
    awk "BEGIN { v = $v; exit !($2) }" || fail "$1 is $v, wanted $2"
}
tiny() { # RUN DATA [settings]
    local run=$1 data=$2
    shift 2
    printf '[data]\npath = %s\n[network]\nkind = mlp\nwidth = 16\ndepth = 1\n[train]\nsteps = 4\nbatch = 64\n[checkpoint]\nevery = 4\n' "$data" >tiny.ini
    expect_exit 0 "$TWEEDIE" train tiny.ini --run "$run" "$@"
}
expect_exit 0 "$TWEEDIE" import modes.h5 --format modes --count 2000
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 2000 --seed 1
tiny vp modes.h5 process.kind=vp
tiny energy modes.h5 process.kind=single process.sigma=0.5 prediction.kind=energy

expect_exit 0 "$TWEEDIE" plot score vp --time 0.1 --density modes --out score.png --json
is_png score.png
claim relative_error "v > 0"
expect_exit 0 "$TWEEDIE" plot energy energy --density modes --out energy.png --json
is_png energy.png
claim total_variation "v > 0 && v <= 1"
expect_exit 0 "$TWEEDIE" plot noise vp --density modes --samples 200 --out noise.png --json
is_png noise.png
claim exact_slope "v > -0.1 && v < 0.1" # data with a density: the score stays as it is
expect_exit 0 "$TWEEDIE" plot paths vp --count 3 --samples 50 --out paths.png --json sample.kind=ancestral sample.steps=20
is_png paths.png
claim sde_evaluations "v == 20"
claim sliced_wasserstein_of_ends "v > 0"
expect_exit 0 "$TWEEDIE" plot samples modes.h5 circles.h5 --reference modes.h5 --density modes --out samples.png --json
is_png samples.png
claim modes_mode_0 "v > 0.76 && v < 0.84"
claim modes_mode_1 "v > 0.16 && v < 0.24"
claim modes_sliced_wasserstein "v == 0"
claim circles_sliced_wasserstein "v > 0.2"
printf '{"step": 1, "loss": 3}\n{"step": 2, "loss": 2}\n{"step": 2, "loss": 1.5}\n' >metrics.jsonl
expect_exit 0 "$TWEEDIE" plot curve metrics.jsonl --out curve.png --json
is_png curve.png
claim loss "v == 1.5"

# an output that exists stays, an input is never one
expect_exit 64 "$TWEEDIE" plot curve metrics.jsonl --out curve.png
expect_exit 0 "$TWEEDIE" plot curve metrics.jsonl --out curve.png --force
expect_exit 64 "$TWEEDIE" plot curve metrics.jsonl --out metrics.jsonl --force

expect_exit 64 "$TWEEDIE" plot energy vp --out x.png
expect_message "this model has no energy"
expect_exit 64 "$TWEEDIE" plot noise energy --density modes --out x.png
expect_message "a model of one noise level has no curve"
expect_exit 64 "$TWEEDIE" plot score vp --time 2 --out x.png
expect_message "--time 2: this model's times are above 0"
expect_exit 64 "$TWEEDIE" plot score vp --density square --out x.png
expect_message "there is no density 'square'"
expect_exit 64 "$TWEEDIE" plot paths vp --out x.png sample.kind=ode
expect_message "has no common times to draw"
expect_exit 64 "$TWEEDIE" plot pie vp --out x.png
expect_message 'tweedie plot: there is no "pie"; there are '
expect_exit 64 "$TWEEDIE" plot curve metrics.jsonl --density modes --out x.png
expect_exit 65 "$TWEEDIE" plot curve metrics.jsonl --keys nothing --out x.png
expect_exit 64 "$TWEEDIE" plot samples "$SOURCE/datasets/mnist.h5" --out x.png
expect_message "only points in the plane can be drawn"
[ ! -e x.png ] || fail "a refused picture is there"
