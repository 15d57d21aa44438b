# Weights that others trained, in every command that takes weights: samples, likelihoods, inpainting, training that goes on.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
peers=$SOURCE/tests/weights/peers
import() { expect_exit 0 "$TWEEDIE" import-weights "$peers/$2" --out "$1.h5"; }
import edm edm_ddpmpp_vp/network-snapshot-000200.pkl
import sde sde_ddpmpp/checkpoint_2.pth
import ncsn ncsn/checkpoint_5.pth
import ncsnv2 ncsnv2/checkpoint_5.pth
import classes improved_cond/ema_0.9999_000010.pt
mkdir png && for i in 0 1 2 3; do cp "$SOURCE/tests/weights/pixel.png" "png/$i.png"; done
expect_exit 0 "$TWEEDIE" import data.h5 --format images png
expect_exit 0 "$TWEEDIE" import large.h5 --format images png --size 32

# ---- samples, of the sampler that its authors used

for w in "edm sample.kind=heun sample.steps=3" "edm sample.kind=ode" "sde sample.kind=pc sample.corrector=langevin sample.steps=3" \
    "ncsn sample.corrector_steps=1" "ncsnv2 sample.corrector_steps=1" "classes sample.class=3 sample.steps=3" "classes sample.kind=ddim sample.steps=3"; do
    set -- $w
    expect_exit 0 "$TWEEDIE" sample "$1.h5" --count 2 --out "$1-samples.h5" --force "${@:2}" sample.batch=2
done

# ---- likelihoods: exact by the flow, a bound of discrete steps, alike from one sample to the next

for w in edm sde; do
    expect_exit 0 "$TWEEDIE" likelihood $w.h5 --data data.h5 --count 2 --out $w-logp.h5 --json likelihood.rtol=1e-3 likelihood.atol=1e-3
    bits=$(json_value bits_per_dimension "$OUT")
    awk "BEGIN { exit !($bits > 0 && $bits < 100) }" ||
        fail "$w: $bits bits per dimension"
done

# ---- inpainting by annealed Langevin dynamics around what is given

for w in ncsn ncsnv2; do
    expect_exit 0 "$TWEEDIE" sample $w.h5 --count 2 --out given-$w.h5 sample.corrector_steps=1 sample.batch=2 \
        sample.known=large.h5 sample.mask=large.h5
done

# ---- training goes on, here with augmentations, whose layer the weights have

cat >edm.ini <<'END'
[data]
path = data.h5
augment = edm
[network]
kind = ncsnpp
library = edm
base = 4
mult = 1, 2
blocks = 1
attention = 4
augment_labels = 9
channel_mult_noise = 1
[process]
kind = edm
sigma_min = 0.0009765625
sigma_max = 152.166976929
[prediction]
kind = edm_vp
[train]
steps = 1
batch = 4
[compute]
precision = f32
END
expect_exit 0 "$TWEEDIE" train edm.ini --run run --init edm.h5
expect_message "started from edm.h5 (ema:unknown)"
expect_exit 0 "$TWEEDIE" export-weights run --format safetensors --out out
