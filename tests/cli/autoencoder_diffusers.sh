#!/usr/bin/env bash
# slow
# timeout: 1800
# An AutoencoderKL that the library diffusers wrote gives its latents and decoded images here, and comes back the same; one of ours opens there
# and gives ours. $PYTHON names a Python that has torch, diffusers and h5py; else they are installed for the test, where python3 with pip and the
# network are at hand.
. "$(dirname "$0")/lib.sh"
export HF_HUB_OFFLINE=1
PYTHON=${PYTHON:-python3}
command -v "$PYTHON" >/dev/null || skip "there is no python3"
if ! "$PYTHON" -c 'import torch, diffusers, h5py' 2>/dev/null; then
    "$PYTHON" -m venv venv >/dev/null 2>&1 || skip "python3 cannot make environments"
    timeout 1200 venv/bin/pip install --quiet torch diffusers h5py >pip.log 2>&1 || skip "torch, diffusers and h5py cannot be installed: $(tail -n 1 pip.log)"
    PYTHON=$PWD/venv/bin/python
fi

cat >make.py <<'END'
import h5py, numpy as np, torch
from diffusers import AutoencoderKL
torch.manual_seed(1)
AutoencoderKL(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
              block_out_channels=(16, 32, 48), layers_per_block=2, latent_channels=4, norm_num_groups=8, sample_size=32).save_pretrained("theirs")
with h5py.File("images.h5", "w") as f:
    f["a"] = np.random.RandomState(0).randint(0, 256, (8, 32, 32, 3)).astype("u1")
END
# Latents to 1e-5 of their deviation; decoded images are bytes, one of which may be rounded the other way.
cat >compare.py <<'END'
import sys, h5py, numpy as np, torch
from diffusers import AutoencoderKL
m = AutoencoderKL.from_pretrained(sys.argv[1]).eval()
x = torch.from_numpy(h5py.File(sys.argv[2])["images"][:]).permute(0, 3, 1, 2).float() / 127.5 - 1
with torch.no_grad():
    z = m.encode(x).latent_dist.mean
    y = m.decode(z).sample
nhwc = lambda t: t.permute(0, 2, 3, 1).numpy()
ours = h5py.File(sys.argv[3])["images"][:]
error = np.abs(ours - nhwc(z)).max() / nhwc(z).std()
assert error < 1e-5, error
bytes = np.clip(np.round((nhwc(y) + 1) * 127.5), 0, 255)
far = np.abs(h5py.File(sys.argv[4])["images"][:] - bytes)
assert far.max() <= 1 and (far > 0).mean() < 1e-3, (far.max(), (far > 0).mean())
if len(sys.argv) > 5:
    a, b = m.state_dict(), AutoencoderKL.from_pretrained(sys.argv[5]).state_dict()
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
print("equal")
END
exact=(compute.precision=f32 compute.convolution=direct)
expect_exit 0 "$PYTHON" make.py
expect_exit 0 "$TWEEDIE" import data.h5 --format hdf5 images.h5:/a --layout NHWC --keep-order
expect_exit 0 "$TWEEDIE" import-weights theirs --out theirs-w.h5
expect_exit 0 "$TWEEDIE" encode-data theirs-w.h5 --data data.h5 --out z.h5 "${exact[@]}"
expect_exit 0 "$TWEEDIE" reconstruct theirs-w.h5 --data data.h5 --out y.h5 "${exact[@]}"
expect_exit 0 "$TWEEDIE" export-weights theirs-w.h5 --format autoencoder_kl --out through
expect_exit 0 "$PYTHON" compare.py theirs data.h5 z.h5 y.h5 through
expect_output equal

# ours
autoencoder >ae.ini <<END
[train]
steps = 3
batch = 4
[optimizer]
learning_rate = 0.01
[compute]
precision = f32
END
expect_exit 0 "$TWEEDIE" train ae.ini --run run
expect_exit 0 "$TWEEDIE" checkpoint export run --weights raw --out w.h5
expect_exit 0 "$TWEEDIE" encode-data w.h5 --data data.h5 --out zo.h5 "${exact[@]}"
expect_exit 0 "$TWEEDIE" reconstruct w.h5 --data data.h5 --out yo.h5 "${exact[@]}"
expect_exit 0 "$TWEEDIE" export-weights w.h5 --format autoencoder_kl --out ours
expect_exit 0 "$PYTHON" compare.py ours data.h5 zo.h5 yo.h5
expect_output equal
