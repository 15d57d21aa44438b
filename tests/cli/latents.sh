#!/usr/bin/env bash
# The chain of latent diffusion: an autoencoder, the latents of data, a model of them, decoded samples.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

pictures png/train 10
pictures png/test 2
expect_exit 0 "$TWEEDIE" import data.h5 --format images --split-folders png
autoencoder >ae.ini <<END
[train]
steps = 4
batch = 4
microbatch = 2
rank_independent = yes
[ema]
rates = 0.5
[log]
grid_every = 2
grid_count = 3
validate_every = 2
[sample]
batch = 4
END
expect_exit 0 "$TWEEDIE" train ae.ini --run ae
expect_message "validation loss"
expect_message "next         tweedie encode-data ae --data "
[ -s ae/samples/step-000000004.png ] || fail "no grid of pairs"
expect_exit 75 "$TWEEDIE" train ae.ini --run again --stop-at-step 3
expect_exit 0 ranks 2 "$TWEEDIE" train ae.ini --run again
expect_exit 0 "$TWEEDIE" checkpoint diff ae/checkpoints/step-000000004.h5 again/checkpoints/step-000000004.h5

# nothing is a score here
expect_exit 78 "$TWEEDIE" sample ae --count 2 --out s.h5
expect_message "has no score"
expect_exit 78 "$TWEEDIE" likelihood ae --data data.h5 --out l.h5
expect_message "has no score"
expect_exit 78 "$TWEEDIE" train ae.ini --run other network.classes=2
expect_message "network.classes"

# latents: labels and splits of the data, the same bytes on any number of ranks
expect_exit 0 "$TWEEDIE" encode-data ae --data data.h5 --out z.h5
expect_output "which is 1 in model units"
expect_exit 0 ranks 2 "$TWEEDIE" encode-data ae --data data.h5 --out z2.h5
cmp z.h5 z2.h5 || fail "latents depend on the ranks"
expect_exit 0 "$TWEEDIE" inspect --json z.h5
expect_output '"train"'
expect_output '"test"'
expect_exit 0 "$TWEEDIE" reconstruct ae --data data.h5 --out r.h5 --grid r.png
expect_output "PSNR"
expect_exit 0 "$TWEEDIE" decode-data ae --latents z.h5 --out x.h5
expect_exit 0 "$TWEEDIE" inspect --json r.h5
reconstructed=$(json_value digest "$OUT")
expect_exit 0 "$TWEEDIE" inspect --json x.h5
expect_equal "what latents decode to" "$(json_value digest "$OUT")" "$reconstructed"

# a model of them
cat >ldm.ini <<END
[data]
path = z.h5
[network]
kind = unet
base = 8
groups = 4
mult = 1, 2
blocks = 1
[train]
steps = 3
batch = 4
[ema]
rates = 0.5
[log]
grid_every = 3
grid_count = 3
grid_steps = 2
[sample]
steps = 3
batch = 4
decode = ae
END
expect_exit 0 "$TWEEDIE" train ldm.ini --run ldm
[ -s ldm/samples/step-000000003.png ] || fail "no decoded grid"
expect_exit 0 "$TWEEDIE" sample ldm --count 6 --out s.h5 --grid s.png
expect_exit 0 ranks 2 "$TWEEDIE" sample ldm --count 6 --out s2.h5
cmp s.h5 s2.h5 || fail "decoded samples depend on the ranks"
expect_exit 0 "$TWEEDIE" sample ldm --count 6 --latents --out sz.h5
expect_exit 0 "$TWEEDIE" decode-data ae --latents sz.h5 --out sx.h5
expect_exit 0 "$TWEEDIE" inspect --json s.h5
decoded=$(json_value digest "$OUT")
expect_exit 0 "$TWEEDIE" inspect --json sx.h5
expect_equal "samples decoded later" "$(json_value digest "$OUT")" "$decoded"

# another autoencoder's weights, and what is no latent
expect_exit 0 "$TWEEDIE" train ae.ini --run third run.seed=1
expect_exit 78 "$TWEEDIE" sample ldm --count 2 --decode third --out t.h5
expect_message "was trained on latents of the weights"
expect_exit 65 "$TWEEDIE" decode-data third --latents z.h5 --out t.h5
expect_message "holds latents of the weights"
expect_exit 78 "$TWEEDIE" sample ldm --count 2 --decode ldm --out t.h5
expect_message "is no autoencoder"
expect_exit 78 "$TWEEDIE" encode-data ldm --data z.h5 --out t.h5
expect_message "is no autoencoder"
expect_exit 64 "$TWEEDIE" sample ldm --count 2 --latents --decode ae --out t.h5
expect_exit 65 "$TWEEDIE" decode-data ae --latents r.h5 --out t.h5

# codes: trained with an objective of their own, and their use told
expect_exit 78 "$TWEEDIE" train ae.ini --run vq network.codes=8
expect_message "vector_quantised"
expect_exit 78 "$TWEEDIE" train ae.ini --run vq objective.kind=vector_quantised
expect_message "network.codes"
expect_exit 0 "$TWEEDIE" train ae.ini --run vq network.codes=8 objective.kind=vector_quantised
expect_exit 0 ranks 2 "$TWEEDIE" reconstruct vq --data data.h5 --out vq.h5
expect_output "of 8 codes used"
