#!/usr/bin/env bash
# What latents are for beside plain samples: images restored in latent space through the decoder, the same bits however the work is cut; classes and
# guidance of latent models, decoded; what is refused.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

for class in cat dog; do pictures "png/$class" 6; done
expect_exit 0 "$TWEEDIE" import data.h5 --format images png --test-fraction 0.5
autoencoder >ae.ini <<END
[train]
steps = 2
batch = 2
[ema]
rates = 0.5
END
expect_exit 0 "$TWEEDIE" train ae.ini --run ae
expect_exit 0 "$TWEEDIE" encode-data ae --data data.h5 --out z.h5

# ---- classes: told to the model of the latents, guided, decoded ----
expect_exit 0 "$TWEEDIE" inspect --json z.h5
expect_equal "classes of latents" "$(json_value num_classes "$OUT")" 2
cat >ldm.ini <<END
[data]
path = z.h5
[network]
kind = unet
base = 8
groups = 4
mult = 1, 2
blocks = 1
classes = 2
label_dropout = 0.2
[train]
steps = 3
batch = 2
[ema]
rates = 0.5
[log]
grid_every = 3
grid_count = 4
grid_steps = 2
[sample]
steps = 3
batch = 4
decode = ae
END
expect_exit 0 "$TWEEDIE" train ldm.ini --run ldm
[ -s ldm/samples/step-000000003.png ] || fail "no decoded grid"
guided=(--scale 2 guidance.kind=classifier_free)
expect_exit 0 "$TWEEDIE" sample ldm --count 4 --class all "${guided[@]}" --out all.h5 --grid all.png
expect_exit 0 "$TWEEDIE" inspect --json all.h5
expect_equal "classes of decoded samples" "$(json_value num_classes "$OUT")" 2
size() { head -c 24 "$1" | tail -c 8 | od -An -tu1 | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }'; }
expect_equal "two columns, two rows" "$(size all.png)" "$(size ldm/samples/step-000000003.png)"
expect_exit 0 "$TWEEDIE" sample ldm --count 4 --class 1 "${guided[@]}" --out one.h5 --decode ae
if command -v h5dump >/dev/null; then
    labels() { h5dump -d labels -y -w 1 "$1" | sed -n '/^ *DATA {/,/}/p' | grep -E '^ +-?[0-9]' | tr -d ' ,\n'; }
    image() { h5dump -d images -s "$2,0,0,0" -c 1,4,4,3 -y "$1" | sed -n '/^ *DATA {/,/}/p'; }
    expect_equal "labels of all" "$(labels all.h5)" 0101
    expect_equal "labels of one" "$(labels one.h5)" 1111
    expect_equal "labels of the latents" "$(labels z.h5)" "$(labels data.h5)"
    expect_equal "sample 3, of class 1 in both" "$(image all.h5 3)" "$(image one.h5 3)"
fi
expect_exit 0 ranks 2 "$TWEEDIE" sample ldm --count 4 --class all "${guided[@]}" --out ranks.h5
cmp all.h5 ranks.h5 || fail "guided, decoded samples depend on the ranks"

# ---- restored: measurements are of images ----
expect_exit 0 "$TWEEDIE" restore --simulate --task superres task.factor=2 task.noise=3 --input data.h5 --split test --out y.h5
rows=6
restore() { "$TWEEDIE" restore ldm --task superres task.factor=2 task.noise=3 --input y.h5 --count 2 --keep sample.steps=4 sample.batch=4 "$@"; }
expect_exit 0 restore --out x.h5 --grid x.png --truth data.h5 --truth-split test
expect_output "x.h5: measurements 0 to $((rows - 1)), 2 samples each"
expect_exit 0 "$TWEEDIE" inspect --json data.h5
shape=$(json_value height "$OUT")x$(json_value width "$OUT")x$(json_value channels "$OUT")
expect_exit 0 "$TWEEDIE" inspect --json x.h5
expect_equal "shape of what is restored" "$(json_value height "$OUT")x$(json_value width "$OUT")x$(json_value channels "$OUT")" "$shape"
expect_exit 0 ranks 2 "$TWEEDIE" restore ldm --task superres task.factor=2 task.noise=3 --input y.h5 --count 2 --keep sample.steps=4 sample.batch=4 --out x2.h5
cmp x.h5 x2.h5 || fail "restored images depend on the ranks"
expect_exit 0 restore --out split.h5 --first 0 --rows 2
expect_exit 0 restore --out split.h5 --first 4 --rows 2
expect_exit 0 restore --out split.h5
cmp x.h5 split.h5 || fail "restored images depend on the split"
expect_exit 0 "$TWEEDIE" evaluate x.h5 --posterior --truth data.h5 --split test --json
expect_equal measurements "$(json_value measurements "$OUT")" $rows
if command -v h5dump >/dev/null; then
    h5dump -a /settings -w 0 x.h5 | grep -q 'method=dps.* decode=[0-9a-f]' || fail "settings name no decoder"
fi
expect_exit 0 restore --class 1 --out one-x.h5
expect_exit 64 restore --class 0 --out one-x.h5
expect_message "made with other weights, data or settings"

# of a class, guided without a classifier; a classifier has no second derivative
expect_exit 0 restore --class all "${guided[@]}" --out guided-x.h5
cat >judge.ini <<END
[data]
path = z.h5
[network]
kind = wideresnet
blocks = 1
widen = 1
classes = 2
[objective]
kind = classify
[train]
steps = 2
batch = 2
[ema]
rates = 0.5
END
expect_exit 0 "$TWEEDIE" train judge.ini --run judge
expect_exit 0 "$TWEEDIE" sample ldm --count 4 --guide judge --scale 2 --class 1 --out judged.h5
expect_exit 78 restore --guide judge --class 1 --out judged-x.h5
expect_message "a second network guides it"

# the latents themselves, measured: any method, a result of its own
expect_exit 0 "$TWEEDIE" restore --simulate --task denoise task.noise=0.1 --input z.h5 --split test --rows 2 --out yz.h5
expect_exit 0 "$TWEEDIE" restore ldm --latents --task denoise task.noise=0.1 --method ddrm --input yz.h5 --count 2 --out xz.h5 sample.steps=3

# refused before anything runs
bad() { "$TWEEDIE" restore ldm --task superres task.factor=2 --input y.h5 --out bad.h5 "$@"; }
expect_exit 78 bad --method pigdm
expect_message "these work by gradients alone: dps"
grep -v decode ldm.ini >plain.ini
expect_exit 0 "$TWEEDIE" train plain.ini --run plain
expect_exit 78 "$TWEEDIE" restore plain --task superres task.factor=2 --input y.h5 --out bad.h5
expect_message "--decode names the autoencoder"
expect_exit 0 "$TWEEDIE" restore plain --decode ae --task superres task.factor=2 task.noise=3 --input y.h5 --rows 2 --count 2 --out other-x.h5 sample.steps=3
expect_exit 64 bad --latents --decode ae
expect_message "exclude each other"
expect_exit 0 "$TWEEDIE" train ae.ini --run other run.seed=1
expect_exit 78 bad --decode other
expect_message "was trained on latents of the weights"
expect_exit 65 "$TWEEDIE" restore ldm --latents --task superres task.factor=2 --input y.h5 --out bad.h5
expect_message "measurements of task superres are"
expect_exit 0 "$TWEEDIE" train plain.ini --run pixels data.path=data.h5
expect_exit 78 "$TWEEDIE" restore pixels --task superres task.factor=2 --input y.h5 --out bad.h5 --decode ae
expect_message "are no latents"
expect_exit 64 "$TWEEDIE" restore pixels --latents --task superres task.factor=2 --input y.h5 --out bad.h5
expect_message "are no latents"
[ ! -e bad.h5 ] && [ ! -e bad.h5.parts ] || fail "something was made of what was refused"
