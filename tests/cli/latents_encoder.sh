#!/usr/bin/env bash
# Latents that are sampled anew at each step, and training from images through the frozen encoder: the same bits as on
# the dataset of latents, on any ranks and after a resume.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

# 88 images of 16 x 16, four classes
{ printf '\0\0\010\003\0\0\0\130\0\0\0\020\0\0\0\020' && seq 1 9999 | head -c $((88 * 256)); } >images
{ printf '\0\0\010\001\0\0\0\130' && for i in $(seq 22); do printf '\0\001\002\003'; done; } >labels
expect_exit 0 "$TWEEDIE" import data.h5 --format idx images labels --test-fraction 0.1
cat >ae.ini <<END
[data]
path = data.h5
[network]
kind = autoencoder
block_out_channels = 4, 8
layers_per_block = 1
latent_channels = 2
norm_num_groups = 2
[objective]
kind = autoencoder
[train]
steps = 2
batch = 4
[ema]
rates = 0.5
[sample]
batch = 3
END
expect_exit 0 "$TWEEDIE" train ae.ini --run ae

# moments: beside the means, of the digest, of the units
expect_exit 0 "$TWEEDIE" encode-data ae --data data.h5 --out mean.h5
expect_exit 0 "$TWEEDIE" encode-data ae --data data.h5 --out both.h5 --moments
expect_output "sampled from their moments of standard deviation"
expect_exit 0 ranks 2 "$TWEEDIE" encode-data ae --data data.h5 --out both2.h5 --moments
cmp both.h5 both2.h5 || fail "moments depend on the ranks"
expect_exit 0 "$TWEEDIE" inspect --json both.h5
expect_output '"log_variance": true'
both=$(json_value digest "$OUT")
expect_exit 0 "$TWEEDIE" inspect --json mean.h5
expect_output '"log_variance": false'
[ "$(json_value digest "$OUT")" != "$both" ] || fail "log variances are not in the digest"

# a job that is killed in its midst leaves parts, and goes on with what is missing on any ranks
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
[ -f "$SHIM" ] || fail "$SHIM was not built"
parts() { find "$1.parts" -name 'part-*.h5' | wc -l; }
expect_exit 0 "$TWEEDIE" encode-data ae --data data.h5 --out whole.h5 --moments sample.batch=1
for n in 1 2 4; do
    mpirun -q -n "$n" env LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 FAULT_PATH="killed$n.h5.parts/" \
        FAULT_CALL=30 FAULT_ACTION=kill "$TWEEDIE" encode-data ae --data data.h5 --out "killed$n.h5" --moments sample.batch=1 >"$OUT" 2>"$ERR" &&
        fail "not killed on $n ranks"
    before=$(parts "killed$n.h5")
    [ "$before" -ge 1 ] && [ "$before" -lt 11 ] && [ ! -e "killed$n.h5" ] || fail "killed on $n ranks after $before of 11 parts"
    expect_exit 0 ranks $((4 / n)) "$TWEEDIE" encode-data ae --data data.h5 --out "killed$n.h5" --moments sample.batch=1
    expect_message "$before are there"
    cmp whole.h5 "killed$n.h5" || fail "killed on $n ranks: other latents"
done

cat >ldm.ini <<END
[data]
path = both.h5
latents = sample
[network]
kind = unet
base = 8
groups = 4
mult = 1, 2
blocks = 1
classes = 4
[train]
steps = 6
batch = 4
microbatch = 1
rank_independent = yes
[ema]
rates = 0.5
[checkpoint]
every = 3
[log]
every = 1
validate_every = 3
grid_every = 6
grid_count = 3
grid_steps = 2
[sample]
steps = 3
batch = 4
decode = ae
END
last=checkpoints/step-000000006.h5
same() { expect_exit 0 "$TWEEDIE" checkpoint diff "$1/$last" "$2/$last"; }

expect_exit 0 "$TWEEDIE" train ldm.ini --run sampled
expect_exit 75 ranks 2 "$TWEEDIE" train ldm.ini --run again --stop-at-step 3
expect_exit 0 ranks 4 "$TWEEDIE" train ldm.ini --run again
same sampled again

# from images: no file of latents, the same bits
encoder=(data.path=data.h5 data.encoder=ae)
expect_exit 0 ranks 2 "$TWEEDIE" train ldm.ini --run encoded "${encoder[@]}"
expect_message "which is 1 in model units"
same sampled encoded
cmp <(pixels sampled/samples/step-000000006.png) <(pixels encoded/samples/step-000000006.png) || fail "other samples"
cmp <(pixels sampled/samples/data.png) <(pixels encoded/samples/data.png) || fail "other pictures of the data"
losses() { grep -o '"validation_loss": [^,}]*' "$1/metrics.jsonl"; }
expect_equal "validation" "$(losses encoded)" "$(losses sampled)"
expect_exit 75 "$TWEEDIE" train ldm.ini --run resumed "${encoder[@]}" --stop-at-step 3
expect_exit 0 ranks 4 "$TWEEDIE" train ldm.ini --run resumed "${encoder[@]}"
grep -q "which is 1 in model units" "$ERR" && fail "a resume measures again"
same sampled resumed
expect_exit 0 "$TWEEDIE" train ldm.ini --run m1 data.path=mean.h5 data.latents=mean
expect_exit 0 "$TWEEDIE" train ldm.ini --run m2 "${encoder[@]}" data.latents=mean train.microbatch=1
same m1 m2
expect_exit 1 "$TWEEDIE" checkpoint diff "sampled/$last" "m1/$last"
expect_exit 0 "$TWEEDIE" train ldm.ini --run flipped "${encoder[@]}" data.flip=yes # before encoding
expect_exit 1 "$TWEEDIE" checkpoint diff "sampled/$last" "flipped/$last"
expect_exit 0 "$TWEEDIE" train ldm.ini --run given "${encoder[@]}" data.latent_scale=2 train.steps=1 log.grid_every=0
grep -q "which is 1 in model units" "$ERR" && fail "a given scale is measured"
expect_exit 0 "$TWEEDIE" sample encoded --count 3 --out s.h5
expect_exit 0 "$TWEEDIE" inspect --json s.h5
expect_output '"samples_kind": "uint8 images"'
expect_exit 0 "$TWEEDIE" train ldm.ini --run dry "${encoder[@]}" --dry-run
expect_message "frozen encoder"
expect_exit 0 "$TWEEDIE" inspect --plan ldm.ini "${encoder[@]}"

# a latent's likelihood is no image's
expect_exit 0 "$TWEEDIE" likelihood encoded --data both.h5 --out l.h5 --count 2 likelihood.batch=2
expect_output "nats a latent"
expect_output "not of the samples that they decode to"

# what does not fit
expect_exit 78 "$TWEEDIE" train ldm.ini --run no "${encoder[@]}" data.encoder=encoded
expect_message "is no autoencoder"
expect_exit 78 "$TWEEDIE" train ldm.ini --run no data.encoder=ae
expect_message "encodes uint8 images of 16 x 16 x 1, and"
expect_exit 78 "$TWEEDIE" train ldm.ini --run no data.path=mean.h5
expect_message "encode-data --moments"
expect_exit 78 "$TWEEDIE" train ldm.ini --run no data.flip=yes
expect_message "data.flip"
expect_exit 78 "$TWEEDIE" train ldm.ini --run no data.latent_scale=2
expect_message "belongs to data.encoder"
expect_exit 0 "$TWEEDIE" train ae.ini --run other run.seed=1
expect_exit 0 "$TWEEDIE" encode-data other --data data.h5 --out theirs.h5
expect_exit 65 "$TWEEDIE" likelihood encoded --data theirs.h5 --out l2.h5
expect_message "holds latents of the weights"
expect_exit 75 "$TWEEDIE" train ldm.ini --run moved "${encoder[@]}" --stop-at-step 3
expect_exit 78 "$TWEEDIE" train ldm.ini --run moved "${encoder[@]}" data.encoder=other sample.decode=other
expect_message "the run was trained on latents of the weights"

# codes: vectors, which have no variance
expect_exit 0 "$TWEEDIE" train ae.ini --run vq network.codes=8 objective.kind=vector_quantised
expect_exit 78 "$TWEEDIE" encode-data vq --data data.h5 --out v.h5 --moments
expect_message "--moments"
expect_exit 0 "$TWEEDIE" encode-data vq --data data.h5 --out v.h5
expect_exit 78 "$TWEEDIE" train ldm.ini --run no data.path=data.h5 data.encoder=vq
expect_message "network.codes"
expect_exit 0 "$TWEEDIE" train ldm.ini --run v1 data.path=v.h5 data.latents=mean sample.decode=vq
expect_exit 0 "$TWEEDIE" train ldm.ini --run v2 data.path=data.h5 data.encoder=vq data.latents=mean sample.decode=vq
same v1 v2
