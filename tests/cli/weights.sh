#!/usr/bin/env bash
# Published checkpoints become weights files that sample, likelihood and train take; and files that are no weights, or hostile, are
# refused with one message.
. "$(dirname "$0")/lib.sh"
peers=$SOURCE/tests/weights/peers

# ---- recognised, and said what was used

expect_exit 0 "$TWEEDIE" import-weights "$peers/sde_ddpmpp/checkpoint_2.pth" --ema --out sde.h5
expect_output "DDPM++: 2 levels of 1 block, 4 channels (score_sde, torch zip)"
expect_output "used        154 tensors of 12539 values, ema:0.9999"
expect_output "not needed  sigmas"
expect_message "samples of 8 x 8 (data.shape)"
expect_exit 0 "$TWEEDIE" import-weights "$peers/diffusers_safetensors" --out unet2d.h5 --json
expect_quiet
expect_equal system "$(json_value system "$OUT")" '"diffusers"'
expect_equal container "$(json_value container "$OUT")" '"safetensors"'
expect_equal parameters "$(json_value parameters "$OUT")" 30183

# ---- taken by the other commands

expect_exit 0 "$TWEEDIE" inspect sde.h5
expect_output tweedie-weights
expect_exit 0 "$TWEEDIE" sample sde.h5 --count 2 --out s.h5 sample.kind=euler_maruyama sample.steps=3 sample.batch=2 compute.precision=f32
expect_exit 0 "$TWEEDIE" sample unet2d.h5 --count 2 --out u.h5 sample.steps=3 sample.batch=2 compute.precision=f32
mkdir -p png && for i in 0 1 2 3; do cp "$SOURCE/tests/weights/pixel.png" "png/$i.png"; done
expect_exit 0 "$TWEEDIE" import data.h5 --format images png
cat >train.ini <<END
[data]
path = data.h5
[network]
kind = diffusers_unet
block_out_channels = 8, 12
layers_per_block = 1
down_attention = 1
up_attention = 0
attention_head_dim = 4
norm_num_groups = 4
[process]
kind = ddpm
[train]
steps = 1
batch = 2
[compute]
precision = f32
END
expect_exit 0 "$TWEEDIE" train train.ini --run run --init unet2d.h5
expect_message "started from unet2d.h5 (raw)"
grep -q "started from unet2d.h5 (raw)" run/train.log || fail "the run does not say what it began with"
sed -i 's/8, 12/8, 16/' train.ini
expect_exit 65 "$TWEEDIE" train train.ini --run other --init unet2d.h5
expect_message "has the shape"

# ---- refused

expect_exit 65 "$TWEEDIE" import-weights "$peers/sde_ddpmpp/checkpoint_2.pth" --out x.h5 network.base=8
expect_message "of another shape: all_modules.0.weight is [16, 4] and [32, 8] was expected"
expect_exit 65 "$TWEEDIE" import-weights "$peers/ncsn/checkpoint_5.pth" --from score_sde --out x.h5
expect_exit 64 "$TWEEDIE" import-weights "$peers/ncsn/checkpoint_5.pth" --from nobody --out x.h5
expect_message "improved-diffusion"
expect_exit 65 "$TWEEDIE" import-weights "$peers/ncsn/checkpoint_5.pth" --ema --out x.h5
expect_message "no EMA"
expect_exit 64 "$TWEEDIE" import-weights "$peers/sde_ddpmpp/checkpoint_2.pth" --out sde.h5
expect_message "sde.h5"
expect_exit 66 "$TWEEDIE" import-weights missing.pth --out x.h5
for file in "$SOURCE"/tests/weights/hostile/*; do
    [ "${file##*.}" != json ] || continue
    expect_exit 65 "$TWEEDIE" import-weights "$file" --out x.h5
    expect_equal "lines about $file" "$(wc -l <"$ERR")" 1
    expect_message "$(basename "$file")"
done
[ ! -e x.h5 ] || fail "x.h5 was made"

# advice that is tried: whose the names are, and what no file says
expect_exit 65 "$TWEEDIE" import-weights "$SOURCE/tests/weights/hostile/good.safetensors" --out x.h5
expect_message "--from says whose they are"
expect_exit 65 "$TWEEDIE" import-weights "$SOURCE/tests/weights/hostile/good.safetensors" --from diffusers --config train.ini --out x.h5 \
    data.shape=8,8,3
expect_message "missing: time_embedding.linear_1.weight"
cp "$peers/diffusers_safetensors/unet/diffusion_pytorch_model.safetensors" alone.safetensors
expect_exit 65 "$TWEEDIE" import-weights alone.safetensors --out x.h5
expect_message "--config may say its configuration"
sed -i 's/8, 16/8, 12/' train.ini
expect_exit 0 "$TWEEDIE" import-weights alone.safetensors --config train.ini --out alone.h5 data.shape=8,8,3
expect_exit 0 "$TWEEDIE" checkpoint diff unet2d.h5 alone.h5

# ---- exported

expect_exit 0 "$TWEEDIE" export-weights unet2d.h5 --format diffusers --out pipeline
expect_output pipeline/unet/diffusion_pytorch_model.safetensors
expect_exit 64 "$TWEEDIE" export-weights unet2d.h5 --format diffusers --out pipeline
expect_exit 0 "$TWEEDIE" export-weights unet2d.h5 --format diffusers --out pipeline --force
expect_exit 0 "$TWEEDIE" import-weights pipeline --out again.h5
expect_exit 0 "$TWEEDIE" checkpoint diff unet2d.h5 again.h5
expect_exit 0 "$TWEEDIE" export-weights sde.h5 --format score_sde --out sde
expect_exit 0 "$TWEEDIE" import-weights sde/checkpoint.pth --ema --out sde-again.h5
expect_exit 0 "$TWEEDIE" checkpoint diff sde.h5 sde-again.h5
expect_exit 0 "$TWEEDIE" export-weights sde.h5 --format safetensors --out plain
expect_exit 78 "$TWEEDIE" export-weights sde.h5 --format diffusers --out nothing
expect_exit 64 "$TWEEDIE" export-weights sde.h5 --format onnx --out nothing
expect_message "diffusers, safetensors, score_sde"
