#!/usr/bin/env bash
# slow
# timeout: 1800
# The library diffusers opens an exported pipeline, and gives the outputs that we give. $PYTHON names a Python that has torch and
# diffusers; else both are installed for the test, where python3 with pip and the network are at hand.
. "$(dirname "$0")/lib.sh"
export HF_HUB_OFFLINE=1
PYTHON=${PYTHON:-python3}
command -v "$PYTHON" >/dev/null || skip "there is no python3"
if ! "$PYTHON" -c 'import torch, diffusers' 2>/dev/null; then
    "$PYTHON" -m venv venv >/dev/null 2>&1 || skip "python3 cannot make environments"
    timeout 1200 venv/bin/pip install --quiet torch diffusers >pip.log 2>&1 || skip "torch and diffusers cannot be installed: $(tail -n 1 pip.log)"
    PYTHON=$PWD/venv/bin/python
fi

mkdir png && for i in 0 1 2 3; do cp "$SOURCE/tests/weights/pixel.png" "png/$i.png"; done
expect_exit 0 "$TWEEDIE" import data.h5 --format images png
cat >config.ini <<END
[data]
path = data.h5
[network]
kind = unet
base = 32
mult = 1, 2
blocks = 1
attention = 4
[process]
kind = ddpm
[train]
steps = 2
batch = 2
[optimizer]
learning_rate = 0.01
[compute]
precision = f32
END
cat >compare.py <<'END'
import json, math, sys
import torch
from diffusers import DDPMPipeline
pipeline = DDPMPipeline.from_pretrained(sys.argv[1])
x = torch.tensor([math.sin(0.3 + 0.11 * i) for i in range(2 * 3 * 8 * 8)]).reshape(2, 3, 8, 8)
with torch.no_grad():
    y = pipeline.unet(x, torch.tensor([3.0, 250.0])).sample.double()
met = {"first8": y.flatten()[:8].tolist(), "sum": y.sum().item(), "sumsq": (y * y).sum().item()}
ours = json.load(open(sys.argv[2]))
scale = math.sqrt(ours["sumsq"] / y.numel())
for a, b in zip(met["first8"], ours["first8"]):
    assert abs(a - b) <= 1e-5 * scale, (a, b)
assert abs(met["sumsq"] - ours["sumsq"]) <= 1e-5 * ours["sumsq"], (met["sumsq"], ours["sumsq"])
print(pipeline(num_inference_steps=2, batch_size=1).images[0].size)
END
expect_exit 0 "$TWEEDIE" train config.ini --run run
expect_exit 0 "$TWEEDIE" checkpoint export run --weights raw --out w.h5
expect_exit 0 "$TWEEDIE" inspect --fingerprint w.h5 --times 3,250 --json
cp "$OUT" ours.json
expect_exit 0 "$TWEEDIE" export-weights w.h5 --format diffusers --out pipeline
expect_exit 0 "$PYTHON" compare.py pipeline ours.json
expect_output "(8, 8)"

# what diffusers wrote itself, through us and back
expect_exit 0 "$TWEEDIE" import-weights "$SOURCE/tests/weights/peers/diffusers_safetensors" --out d.h5
expect_exit 0 "$TWEEDIE" inspect --fingerprint d.h5 --times 3,250 --json
cp "$OUT" ours.json
expect_exit 0 "$TWEEDIE" export-weights d.h5 --format diffusers --out through
expect_exit 0 "$PYTHON" compare.py through ours.json
