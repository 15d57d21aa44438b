# Conditional models: trained on the conditions of the data, sampled under given ones, the same samples on any number of ranks.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

# y ~ N(0, 1) and x = (1.5 y, -y) + 0.5 z
awk 'function g() { return sqrt(-2 * log(1 - rand())) * cos(6.283185307 * rand()) }
     BEGIN { srand(5); for (i = 0; i < 4000; i++) { y = g(); printf "%.6f\n", y >"y.txt"; printf "%.6f %.6f\n", 1.5 * y + 0.5 * g(), -y + 0.5 * g() >"x.txt" } }'
expect_exit 0 "$TWEEDIE" import xy.h5 --format points x.txt --condition y.txt --normalise none --test-fraction 0.1
expect_output "conditions: points of 1 x 1 x 1"
expect_exit 0 "$TWEEDIE" inspect --json xy.h5
expect_output '"condition_kind": "points"'
cat >vp.ini <<END
[data]
path = xy.h5
condition = yes
verify = yes
[network]
kind = mlp
width = 64
depth = 2
[process]
kind = vp
[train]
steps = 800
batch = 256
microbatch = 64
rank_independent = yes
[optimizer]
learning_rate = 0.005
decay = cosine
[ema]
rates = 0.98
[checkpoint]
every = 400
[log]
validate_every = 400
grid_every = 800
[sample]
kind = dpmpp
batch = 64
END
expect_exit 0 "$TWEEDIE" train vp.ini --run vp
# stopped, resumed, on other ranks: the same bits
expect_exit 75 "$TWEEDIE" train vp.ini --run again --stop-at-step 300
expect_exit 0 ranks 2 "$TWEEDIE" train vp.ini --run again
expect_exit 0 "$TWEEDIE" checkpoint diff vp/checkpoints/step-000000800.h5 again/checkpoints/step-000000800.h5
expect_exit 0 "$TWEEDIE" inspect --json vp
expect_output '"condition_channels": 1'
ls vp/samples/*.png >/dev/null || fail "no grid"

# conditions that are the samples of a file: −2, 2, −2, 2, ...
numbers() { h5dump -d "$2" -m %.7g -y -w 0 "$1" | awk '/DATA \{/ && !on { on = 1; next } /}/ && on { exit } on' | tr -d ','; }
mean() { numbers "$1" "$2" | awk -v k="$3" -v of="$4" 'NR % 2 == of { s += $k; q += $k * $k; n++ } END { printf "%.3f %.3f\n", s / n, sqrt(q / n - s / n * (s / n)) }'; }
near() { awk -v m="$2" -v w="$3" -v by="$4" 'BEGIN { exit !(m > w - by && m < w + by) }' || fail "$1: $2, wanted $3 within $4"; }
printf -- '-2.0\n2.0\n' >two.txt
expect_exit 0 "$TWEEDIE" import two.h5 --format points two.txt --keep-order --normalise none
expect_exit 0 "$TWEEDIE" sample vp --condition two.h5 --count 1024 --out s.h5 compute.precision=f32
read -r m1 d1 <<<"$(mean s.h5 points 1 0)"
read -r m2 d2 <<<"$(mean s.h5 points 2 1)"
# of 512 samples the mean has a deviation of 0.022; what is left of the tolerance is training
near "E x1 at y = 2" "$m1" 3 0.2
near "deviation of x1 at y = 2" "$d1" 0.5 0.1
near "E x2 at y = -2" "$m2" 2 0.2
near "deviation of x2 at y = -2" "$d2" 0.5 0.1
expect_equal "conditions in the set" "$(numbers s.h5 condition | head -n 4 | tr -d ' ' | tr '\n' ' ')" "-2 2 -2 2 "
expect_exit 0 ranks 2 "$TWEEDIE" sample vp --count 1024 --out ranks.h5 sample.condition=two.h5 compute.precision=f32
cmp s.h5 ranks.h5 || fail "another number of ranks, other samples"
expect_exit 0 "$TWEEDIE" sample vp --condition two.h5 --first 512 --count 512 --join --out part.h5 compute.precision=f32
expect_equal "samples 512 ... 1023" "$(numbers part.h5 points | cksum)" "$(numbers s.h5 points | tail -n 512 | cksum)"
h5dump -a sampling s.h5 | grep -q "condition=[0-9a-f]*:samples:0:2" || fail "the set does not say what it was given"

# log p(x | y) of each row under its own condition: N((1.5 y, -y), I / 4), entropy log(2 pi e / 4) = 1.4516
expect_exit 0 "$TWEEDIE" likelihood vp --data xy.h5 --split train --count 256 --out l.h5 likelihood.batch=64 likelihood.trace=exact
near "mean log p(x | y)" "$(h5dump -a mean_nats l.h5 | sed -n 's/.*(0): //p')" -1.4516 0.25
expect_exit 0 "$TWEEDIE" encode vp --data xy.h5 --count 64 --out z.h5 likelihood.batch=32
expect_exit 0 "$TWEEDIE" decode vp --codes z.h5 --out x.h5 likelihood.batch=32
expect_equal "conditions after encoding and decoding" "$(numbers x.h5 condition | cksum)" "$(numbers xy.h5 condition | head -n 64 | cksum)"
far=$(paste <(numbers x.h5 points) <(numbers xy.h5 points | head -n 64) | awk '{ d = ($1 - $3) ^ 2 + ($2 - $4) ^ 2; if (d > m) m = d } END { print sqrt(m) }')
near "what decoding gives back" "$far" 0 0.01
expect_exit 0 "$TWEEDIE" score vp --input s.h5 --time 0.5 --out score.h5

# what does not fit is refused, with what would
expect_exit 78 "$TWEEDIE" sample vp --count 2 --out no.h5
expect_message "sample.condition: the model is conditional: --condition FILE"
printf -- '-2.0 1.0\n2.0 1.0\n' >wide.txt
expect_exit 0 "$TWEEDIE" import wide.h5 --format points wide.txt
expect_exit 65 "$TWEEDIE" sample vp --count 2 --out no.h5 --condition wide.h5
expect_message "wide.h5 holds points of 1 x 1 x 2, the network is given points of 1 x 1 x 1"
expect_exit 65 "$TWEEDIE" likelihood vp --data wide.h5 --out no.h5
expect_message "wide.h5: holds no conditions"
expect_exit 64 "$TWEEDIE" plot score vp --out no.png
expect_message "its model is conditional"
expect_exit 78 "$TWEEDIE" train vp.ini --run no data.path=wide.h5
expect_message "wide.h5 has no conditions; tweedie import --condition IN"
expect_exit 78 "$TWEEDIE" train vp.ini --run vp data.condition=no
expect_message "data.condition"
expect_exit 0 "$TWEEDIE" train vp.ini --run plain data.condition=no train.steps=2
expect_message "xy.h5 holds conditions, which are not used: data.condition=yes"
expect_exit 78 "$TWEEDIE" sample plain --condition two.h5 --count 2 --out no.h5
expect_message "the network was given no conditions in training"
expect_exit 78 "$TWEEDIE" export-weights vp --format diffusers --out no
head -n 3999 y.txt >short.txt
expect_exit 65 "$TWEEDIE" import no.h5 --format points x.txt --condition short.txt
expect_message "holds 3999 for the 4000 samples of x.txt"


# a downscaling model: bytes, given their own averages over 4 x 4 pixels; or coarse images from elsewhere, repeated
idx() { # FILE COUNT SIDE: images of some bytes
    { printf '\0\0\010\003\0\0\0' && printf "\\x$(printf %x "$2")\0\0\0\\x$(printf %x "$3")\0\0\0\\x$(printf %x "$3")" && tail -c $(($2 * $3 * $3)) "$SOURCE/datasets/mnist.h5"; } >"$1"
}
idx fine 64 8
idx coarse 64 2
expect_exit 0 "$TWEEDIE" import own.h5 --format idx fine --condition-coarse 4 --test-fraction 0.25
expect_output "conditions: uint8 images of 8 x 8 x 1, averages over 4 x 4 pixels"
expect_exit 0 "$TWEEDIE" import given.h5 --format idx fine --condition coarse --test-fraction 0.25
expect_output "conditions: uint8 images of 8 x 8 x 1"
expect_exit 0 "$TWEEDIE" import coarse.h5 --format idx coarse --keep-order
expect_exit 64 "$TWEEDIE" import no.h5 --format idx fine --condition-coarse 3
expect_message "--condition-coarse 3: images of 8 x 8 are not made of such blocks"
idx odd 64 3
expect_exit 65 "$TWEEDIE" import no.h5 --format idx fine --condition odd
expect_message "--condition odd: is of 3 x 3; the sides of the samples, 8 x 8, or divisors"
cat >down.ini <<END
[data]
path = own.h5
condition = yes
flip = yes
[network]
kind = unet
base = 8
groups = 4
mult = 1, 2
blocks = 1
attention = 4
[process]
timesteps = 50
beta_min = 0.0001
beta_max = 0.02
[train]
steps = 4
batch = 16
microbatch = 4
rank_independent = yes
[ema]
rates = 0.5
[log]
validate_every = 2
validate_count = 8
grid_every = 4
grid_count = 8
[sample]
batch = 8
END
expect_exit 0 "$TWEEDIE" train down.ini --run down
expect_exit 0 ranks 2 "$TWEEDIE" train down.ini --run down2 data.memory=1
expect_exit 0 "$TWEEDIE" checkpoint diff down/checkpoints/step-000000004.h5 down2/checkpoints/step-000000004.h5
expect_equal "validation loss" "$(grep -o '"validation_loss": [^,}]*' down/metrics.jsonl)" "$(grep -o '"validation_loss": [^,}]*' down2/metrics.jsonl)"
cmp <(pixels down/samples/step-000000004.png) <(pixels down2/samples/step-000000004.png) || fail "the grids differ"
expect_exit 0 "$TWEEDIE" checkpoint export down --out w.h5
expect_exit 0 "$TWEEDIE" sample w.h5 --condition own.h5 --count 16 --out own-samples.h5
expect_exit 0 "$TWEEDIE" sample down --condition coarse.h5 --count 16 --out coarse-samples.h5
# row 0 of 2 x 2 bytes, each 4 x 4 times
expect_equal "bytes of a repeated condition" "$(numbers coarse-samples.h5 condition | head -n 8 | tr -d ' \n')" "$(numbers coarse.h5 images | head -n 2 | awk '{ printf "%s%s%s%s", $1, $1, $1, $1 }')"
expect_exit 0 "$TWEEDIE" train down.ini --run dry --dry-run
expect_exit 0 "$TWEEDIE" inspect --plan down.ini
expect_output "condition"
grep -v "^path" down.ini >nodata.ini
expect_exit 0 "$TWEEDIE" inspect --plan nodata.ini data.shape=8,8,1 data.condition_channels=1
expect_exit 78 "$TWEEDIE" inspect --plan nodata.ini data.shape=8,8,1
expect_message "data.condition_channels: must be given"
expect_exit 0 "$TWEEDIE" inspect --fingerprint down --times 3,4

# periodic boundaries are part of the plan and of the run
expect_exit 0 "$TWEEDIE" inspect --plan down.ini network.padding=circular
expect_output "c:circular"
expect_exit 78 "$TWEEDIE" train down.ini --run down network.padding=circular
expect_message "network.padding"

# power and coherence by scale: five rings of 8 x 8 pixels
expect_exit 0 "$TWEEDIE" evaluate own.h5 --reference own.h5 --split all --spectrum --paired --json
expect_equal "distance of a set to itself" "$(json_value spectrum_distance "$OUT")" 0
expect_equal rings "$(json_value frequency "$OUT" | tr -cd , | wc -c)" 4
expect_output '"coherence": [['
expect_exit 0 ranks 2 "$TWEEDIE" evaluate own-samples.h5 --reference own.h5 --split all --limit 16 --spectrum --paired
expect_output "distance of power spectra"
expect_exit 64 "$TWEEDIE" evaluate own-samples.h5 --reference own.h5 --split all --spectrum --paired
expect_message "--paired: 16 samples and 64 of the data"
expect_exit 64 "$TWEEDIE" evaluate s.h5 --reference xy.h5 --spectrum
expect_message "points have none"
expect_exit 0 "$TWEEDIE" plot spectrum own-samples.h5 coarse-samples.h5 --reference own.h5 --out spectrum.png --json
expect_output '"distance of own-samples"'
expect_exit 64 "$TWEEDIE" plot spectrum own-samples.h5 --channel 1 --out no.png
expect_message "has channels 0 to 0"
expect_exit 64 "$TWEEDIE" evaluate own-samples.h5 --reference own.h5 --paired
expect_message "--paired: needs --spectrum"
