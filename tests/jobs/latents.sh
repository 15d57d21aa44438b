# slow
# Latent diffusion as one chain of jobs: an autoencoder, its data's latents, a model of them, decoded samples; the same files as without Slurm.
# Where the autoencoder fails, nothing behind it begins.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
pictures png 10
expect_exit 0 "$TWEEDIE" import data.h5 --format images png
autoencoder >ae.ini <<END
[train]
steps = 4
batch = 4
microbatch = 1
rank_independent = yes
[ema]
rates = 0.5
END
cat >ldm.ini <<END
[data]
path = z.h5
[network]
kind = unet
base = 8
groups = 4
mult = 1, 2
blocks = 1
[process]
kind = vp
[train]
steps = 4
batch = 4
microbatch = 1
rank_independent = yes
[ema]
rates = 0.5
[sample]
kind = heun
steps = 4
batch = 4
decode = ae
END
submit_run() { on_cluster "$JOBS/submit" "$@" --cpus-per-rank 1; }
id_of() { sed -n "s/^\([0-9]*\) .*$1.*/\1/p" "$OUT" | head -n 1; }
expect_exit 64 "$JOBS/submit" ldm.ini ldm --after soon
expect_message "--after soon: job ids were expected"

cluster 4
expect_exit 0 submit_run ae.ini ae --nodes 2 --latents z.h5 --parsable
ae=$(cat "$OUT")
[[ $ae =~ ^[0-9]+$ ]] || fail "'$ae' is no job id"
expect_exit 0 submit_run ldm.ini ldm --nodes 2 --after "$ae" --samples 10
samples=$(id_of samples) training=$(id_of training)
expect_output "training, after $ae"
expect_end "$samples" 300 COMPLETED
expect_end "$training" 10 COMPLETED

# by hand
expect_exit 0 "$TWEEDIE" train ae.ini --run alone
expect_exit 0 "$TWEEDIE" checkpoint diff ae/checkpoints/step-000000004.h5 alone/checkpoints/step-000000004.h5
expect_exit 0 "$TWEEDIE" encode-data ae --data data.h5 --out z-alone.h5
LAST="cmp z.h5 z-alone.h5"
cmp z.h5 z-alone.h5 || fail "the latents differ"
expect_exit 0 "$TWEEDIE" sample ldm --count 10 --out alone.h5
LAST="cmp samples.h5 alone.h5"
cmp ldm/samples/samples.h5 alone.h5 || fail "the samples differ"

# back, and how good it is; the autoencoder's own data need no name
COMMAND=decode-data WEIGHTS=$HERE/ae DATA=$HERE/z.h5 OUT=$HERE/x.h5 submit --nodes=2 --cpus-per-task=1 "$JOBS/likelihood.sbatch"
expect_end "$id" 120 COMPLETED
COMMAND=reconstruct WEIGHTS=$HERE/ae OUT=$HERE/r.h5 submit --nodes=2 --cpus-per-task=1 "$JOBS/likelihood.sbatch"
expect_end "$id" 120 COMPLETED
expect_log "$id" "PSNR"
[ -e x.h5 ] || fail "nothing was decoded"

# an autoencoder that fails
expect_exit 0 submit_run ae.ini bad --nodes 1 --latents bad.h5 --parsable data.path="$HERE/missing.h5"
ae=$(cat "$OUT")
expect_exit 0 submit_run ldm.ini never --nodes 1 --after "$ae" --samples 10 data.path="$HERE/bad.h5"
expect_end "$(id_of training)" 180 CANCELLED
expect_end "$(id_of samples)" 120 CANCELLED
expect_end "$ae" 10 CANCELLED
[ ! -e bad.h5 ] || fail "latents of nothing"
