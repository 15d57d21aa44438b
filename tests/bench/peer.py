"""The DDPM U-Net of CIFAR-10 (Ho, Jain, Abbeel 2020) in plain PyTorch, timed in turn with Tweedie on the same cores.

tests/bench/peer.sh makes the environment for it and says how it is used. One network, one batch of noise, the same work on both sides:
training is noising, forward, mean squared error, backward, clipping, Adam, EMA; sampling is one evaluation without gradients. Each way of
PyTorch (eager, torch.compile, diffusers' network compiled) is a process of its own that stays ready between its turns.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import time

BASE, MULT, BLOCKS, SIDE, CHANNELS, DROPOUT, GROUPS, ATTENTION = 128, (1, 2, 2, 2), 2, 32, 3, 0.1, 32, 16
TRAIN, SAMPLE = ("eager", "compile"), ("eager", "compile", "diffusers")


# ---- the network ----

def network():
    import math

    import torch
    from torch import nn
    from torch.nn import functional as F

    def norm(c):
        return nn.GroupNorm(GROUPS, c, eps=1e-6)

    class Residual(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.norm1, self.conv1 = norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
            self.time = nn.Linear(4 * BASE, outputs)
            self.norm2, self.conv2 = norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
            self.dropout = nn.Dropout(DROPOUT)
            self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

        def forward(self, x, e):
            h = self.conv1(F.silu(self.norm1(x))) + self.time(e)[:, :, None, None]
            return self.conv2(self.dropout(F.silu(self.norm2(h)))) + self.shortcut(x)

    class Attention(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.norm, self.qkv, self.proj = norm(c), nn.Conv2d(c, 3 * c, 1), nn.Conv2d(c, c, 1)

        def forward(self, x):
            n, c, height, width = x.shape
            q, k, v = self.qkv(self.norm(x)).permute(0, 2, 3, 1).reshape(n, 1, height * width, 3 * c).chunk(3, -1)
            h = F.scaled_dot_product_attention(q, k, v)
            return x + self.proj(h.reshape(n, height, width, c).permute(0, 3, 1, 2))

    class Down(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.conv = nn.Conv2d(c, c, 3, stride=2)

        def forward(self, x):
            return self.conv(F.pad(x, (0, 1, 0, 1)))

    class Up(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.conv = nn.Conv2d(c, c, 3, padding=1)

        def forward(self, x):
            return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))

    class Level(nn.Module):
        """Residual blocks, each followed by attention at its resolution."""

        def __init__(self, inputs, outputs, side):
            super().__init__()
            self.residual = nn.ModuleList(Residual(c, outputs) for c in inputs)
            self.attention = nn.ModuleList(Attention(outputs) if side == ATTENTION else nn.Identity() for _ in inputs)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.time = nn.Sequential(nn.Linear(BASE, 4 * BASE), nn.SiLU(), nn.Linear(4 * BASE, 4 * BASE), nn.SiLU())
            self.conv_in = nn.Conv2d(CHANNELS, BASE, 3, padding=1)
            c, side, skips = BASE, SIDE, [BASE]
            self.down, self.downsample, self.up, self.upsample = (nn.ModuleList() for _ in range(4))
            for i, m in enumerate(MULT):
                out = BASE * m
                self.down.append(Level([c] + [out] * (BLOCKS - 1), out, side))
                c = out
                skips += [c] * BLOCKS
                if i < len(MULT) - 1:
                    self.downsample.append(Down(c))
                    skips.append(c)
                    side //= 2
            self.middle = nn.ModuleList([Residual(c, c), Attention(c), Residual(c, c)])
            for i, m in reversed(list(enumerate(MULT))):
                out, inputs = BASE * m, []
                for _ in range(BLOCKS + 1):
                    inputs.append(c + skips.pop())
                    c = out
                self.up.append(Level(inputs, out, side))
                if i > 0:
                    self.upsample.append(Up(c))
                    side *= 2
            self.norm_out, self.conv_out = norm(c), nn.Conv2d(c, CHANNELS, 3, padding=1)

        def forward(self, x, t):
            frequencies = torch.exp(-math.log(10000) / (BASE // 2 - 1) * torch.arange(BASE // 2, dtype=torch.float32))
            angles = t[:, None].float() * frequencies
            e = self.time(torch.cat([angles.sin(), angles.cos()], 1))
            h = self.conv_in(x)
            skips = [h]
            for i, level in enumerate(self.down):
                for residual, attention in zip(level.residual, level.attention):
                    h = attention(residual(h, e))
                    skips.append(h)
                if i < len(self.downsample):
                    h = self.downsample[i](h)
                    skips.append(h)
            h = self.middle[2](self.middle[1](self.middle[0](h, e)), e)
            for i, level in enumerate(self.up):
                for residual, attention in zip(level.residual, level.attention):
                    h = attention(residual(torch.cat([h, skips.pop()], 1), e))
                if i < len(self.upsample):
                    h = self.upsample[i](h)
            return self.conv_out(F.silu(self.norm_out(h)))

    return UNet()


def diffusers_network():
    from diffusers import UNet2DModel

    widths = tuple(BASE * m for m in MULT)
    plain, attends = "DownBlock2D", "AttnDownBlock2D"
    model = UNet2DModel(sample_size=SIDE, in_channels=CHANNELS, out_channels=CHANNELS, layers_per_block=BLOCKS, block_out_channels=widths,
                        down_block_types=(plain, attends, plain, plain), up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
                        attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6, norm_num_groups=GROUPS)
    forward = model.forward
    model.forward = lambda x, t: forward(x, t, return_dict=False)[0]
    return model


# ---- one way of PyTorch's, as a process that answers one line with one time ----

def trainer(model, compiled, bf16, batch, torch):
    model.train()
    parameters = list(model.parameters())
    ema = [p.detach().clone() for p in parameters]
    adam = torch.optim.Adam(parameters, lr=1e-6, fused=True)
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
    x0 = torch.randn(batch, CHANNELS, SIDE, SIDE).to(memory_format=torch.channels_last)

    def step():
        t, z = torch.randint(1000, (batch,)), torch.randn_like(x0)
        a = alpha_bar[t][:, None, None, None]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = compiled(a.sqrt() * x0 + (1 - a).sqrt() * z, t)
        torch.nn.functional.mse_loss(out.float(), z).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        adam.step()
        adam.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(ema, parameters, 1e-4)

    return step


def evaluator(compiled, bf16, batch, torch):
    x = torch.randn(batch, CHANNELS, SIDE, SIDE).to(memory_format=torch.channels_last)
    t = torch.full((batch,), 500)

    def step():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            compiled(x, t)

    return step


def worker(task, precision, way, batch, threads):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    bf16 = precision == "bf16"
    model = (diffusers_network() if way == "diffusers" else network()).to(memory_format=torch.channels_last)
    count = sum(p.numel() for p in model.parameters())
    compiled = model
    if task == "sample":
        model.eval()
    if way != "eager":
        if task == "sample":  # weights are constants, laid out once
            import torch._inductor.config as inductor
            inductor.freezing = True
        compiled = torch.compile(model)
    step = trainer(model, compiled, bf16, batch, torch) if task == "train" else evaluator(compiled, bf16, batch, torch)
    for _ in range(2):
        step()
    print(json.dumps({"parameters": count, "version": torch.__version__}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(json.dumps({"ms": 1e3 * (time.perf_counter() - start),
                          "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)


# ---- both in turn ----

class Worker:
    def __init__(self, task, precision, way, o):
        arguments = [sys.executable, __file__, "--worker", task, precision, way, "--batch", str(o.batch), "--threads", str(o.threads)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=None if o.verbose else subprocess.DEVNULL)
        self.hello = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def step(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def tweedie(o, arguments):
    return json.loads(subprocess.run([o.tweedie] + arguments, stdout=subprocess.PIPE, check=True, text=True,
                                     stderr=None if o.verbose else subprocess.DEVNULL).stdout)


def tweedie_step(o, task, precision):
    name = {"train": "step", "sample": "sample"}[task]
    r = tweedie(o, ["bench", name, o.config, "--alone", "--repetitions", str(o.steps), "--json", f"data.shape={SIDE},{SIDE},{CHANNELS}",
                    f"train.batch={o.batch}", f"compute.precision={precision}", f"compute.threads={o.threads}"])
    return {"ms": r["step_ms" if task == "train" else "evaluation_ms"], "peak": r["peak_rss_bytes"]}, r["parameters"]


def best_of(steps):
    return {"ms": min(s["ms"] for s in steps), "peak": max(s["peak"] for s in steps)}


def compare(task, precision, way, o):
    """One way of PyTorch against Tweedie: o.rounds turns of o.steps steps each, the fastest step of both."""
    w = Worker(task, precision, way, o)
    if not w.hello:
        w.close()
        return None
    ours, theirs, count = [], [], 0
    for _ in range(o.rounds):
        met, count = tweedie_step(o, task, precision)
        ours.append(met)
        theirs += [w.step() for _ in range(o.steps)]
    w.close()
    if count != w.hello["parameters"]:
        sys.exit(f"peer: Tweedie's network has {count} parameters, PyTorch's ({way}) {w.hello['parameters']}")
    return {"way": way, "ours": best_of(ours), "theirs": best_of(theirs), "version": w.hello["version"], "parameters": count}


def gigabytes(b):
    return f"{b / 1e9:.2f}"


def cell(task, precision, o):
    ways = [w for w in (TRAIN if task == "train" else SAMPLE) if w in o.ways]
    found = []
    for way in ways:
        r = compare(task, precision, way, o)
        if not r:
            print(f"peer: {task} {precision} {way}: PyTorch failed (--verbose shows why)", file=sys.stderr)
            continue
        print(f"{task:6} {precision:4} {way:9} Tweedie {r['ours']['ms']:8.1f} ms, {gigabytes(r['ours']['peak'])} GB   "
              f"PyTorch {r['theirs']['ms']:8.1f} ms, {gigabytes(r['theirs']['peak'])} GB   ratio {r['theirs']['ms'] / r['ours']['ms']:.2f}", flush=True)
        found.append(r)
    return min(found, key=lambda r: r["theirs"]["ms"] / r["ours"]["ms"]) if found else None


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return "unknown processor"


def row(cells, o):
    """The table's row: of each cell the way of PyTorch that does best against Tweedie."""
    texts = [f"{processor()}, {o.threads} thread{'s' if o.threads > 1 else ''}, {tweedie(o, ['version', '--json'])['isa']}"]
    peak = []
    for (task, precision), r in cells.items():
        if not r:
            texts.append("-")
            continue
        texts.append(f"{r['ours']['ms']:.0f} / {r['theirs']['ms']:.0f} ms ({r['way']}): {r['theirs']['ms'] / r['ours']['ms']:.2f}")
        if task == "train":
            peak.append(f"{precision} {gigabytes(r['ours']['peak'])} / {gigabytes(r['theirs']['peak'])} GB")
    return "| " + " | ".join(texts + [", ".join(peak)]) + " |"


def main():
    p = argparse.ArgumentParser(prog="peer.sh", description="Tweedie beside PyTorch: the CIFAR-10 network, training and sampling, in turn.")
    p.add_argument("--tasks", default="train,sample")
    p.add_argument("--precisions", default="f32,bf16")
    p.add_argument("--ways", default="eager,compile,diffusers", help="of PyTorch")
    p.add_argument("--rounds", type=int, default=3, help="turns of each")
    p.add_argument("--steps", type=int, default=2, help="steps in a turn")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--verbose", action="store_true", help="let both say what they say")
    p.add_argument("--tweedie", default=os.environ.get("TWEEDIE", "tweedie"), help=argparse.SUPPRESS)
    p.add_argument("--config", help=argparse.SUPPRESS)
    p.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.worker:
        worker(*o.worker, o.batch, o.threads)
        return
    cells = {(task, precision): cell(task, precision, o) for task in o.tasks.split(",") for precision in o.precisions.split(",")}
    version = next((r["version"] for r in cells.values() if r), "?")
    print(f"\nTweedie / PyTorch {version}, milliseconds of {o.batch} images, then the time of PyTorch over that of Tweedie\n")
    print("| processor | " + " | ".join(f"{'training' if t == 'train' else 'sampling'} {p}" for t, p in cells) +
          " | peak memory of training |")
    print("|---" * (len(cells) + 2) + "|")
    print(row(cells, o))


if __name__ == "__main__":
    main()
