#!/usr/bin/env python3
"""A slow reference of U-Nets in double, by the published names of their parameters (numpy alone).

Where the numbers of tests/model/test_unets.c come from that no published code gave:

    tests/golden/unet_reference.py

prints for each network below what `tweedie inspect --fingerprint` measures of its output. The forward
pass of `diffusers` was held against outputs of the library itself.
"""
import numpy as np

PARAMS = {}


def fnv(key):
    h = 2166136261
    for c in key.encode():
        h = ((h ^ c) * 16777619) & 0xFFFFFFFF
    return h


def param(key, *shape):
    """The fingerprint's rule."""
    if key not in PARAMS:
        count = int(np.prod(shape))
        s = np.sin(2 * np.pi * (fnv(key) % 1000) / 1000 + 0.7 * np.arange(count))
        if len(shape) > 1:
            v = s / np.sqrt(count / shape[0])
        else:
            v = (1 if key.endswith("weight") else 0) + 0.1 * s
        PARAMS[key] = v.reshape(shape)
    return PARAMS[key]


def silu(x):
    return x / (1 + np.exp(-x))


def conv(x, key, out, k=3, stride=1, before=1, after=1):
    spatial = x.ndim - 2
    w, b = param(key + ".weight", out, x.shape[1], *[k] * spatial), param(key + ".bias", out)
    x = np.pad(x, [(0, 0), (0, 0)] + [(before, after)] * spatial)
    size = [(n - k) // stride + 1 for n in x.shape[2:]]
    y = np.zeros([x.shape[0], out] + size)
    for at in np.ndindex(*[k] * spatial):
        part = x[(slice(None), slice(None)) + tuple(slice(a, a + stride * (n - 1) + 1, stride) for a, n in zip(at, size))]
        y += np.moveaxis(np.tensordot(part, w[(slice(None), slice(None)) + at], (1, 1)), -1, 1)
    return y + b.reshape([1, -1] + [1] * spatial)


def linear(x, key, out):
    return x @ param(key + ".weight", out, x.shape[1]).T + param(key + ".bias", out)


def normalised(x, groups, eps):
    g = x.reshape(x.shape[0], groups, -1)
    g = (g - g.mean(-1, keepdims=True)) / np.sqrt(g.var(-1, keepdims=True) + eps)
    return g.reshape(x.shape)


def channelwise(v, x):
    return np.asarray(v).reshape(list(np.asarray(v).shape) + [1] * (x.ndim - 2))


def norm(x, key, groups, eps):
    c = x.shape[1]
    return normalised(x, groups, eps) * channelwise(param(key + ".weight", c), x) + channelwise(param(key + ".bias", c), x)


def attend(q, k, v, heads):
    """[N, C, P] each, heads along C."""
    n, c, p = q.shape
    q, k, v = (a.reshape(n * heads, c // heads, p) for a in (q, k, v))
    w = np.einsum("ncp,ncq->npq", q, k) / np.sqrt(c // heads)
    w = np.exp(w - w.max(-1, keepdims=True))
    return np.einsum("npq,ncq->ncp", w / w.sum(-1, keepdims=True), v).reshape(n, c, p)


def up(x):
    for d in range(2, x.ndim):
        x = np.repeat(x, 2, d)
    return x


def pool(x):
    for d in range(2, x.ndim):
        x = (x.take(range(0, x.shape[d], 2), d) + x.take(range(1, x.shape[d], 2), d)) / 2
    return x


def sinusoids(t, dim, shift, cosines_first):
    half = dim // 2
    phase = np.asarray(t)[:, None] * np.exp(-np.log(10000) * np.arange(half) / (half - shift))
    parts = [np.sin(phase), np.cos(phase)]
    return np.concatenate(parts[::-1] if cosines_first else parts, 1)


def residual(x, emb, names, key, out, o, resample=None, divide=1.0):
    h = silu(norm(x, f"{key}.{names[0]}", o["groups"], o["eps"]))
    if resample:
        h, x = resample(h), resample(x)
    h = conv(h, f"{key}.{names[1]}", out)
    e = linear(emb, f"{key}.{names[2]}", 2 * out if o["scale_shift"] else out)
    if o["scale_shift"]:
        h = norm(h, f"{key}.{names[3]}", o["groups"], o["eps"])
        h = h * (1 + channelwise(e[:, :out], h)) + channelwise(e[:, out:], h)
    else:
        h = norm(h + channelwise(e, h), f"{key}.{names[3]}", o["groups"], o["eps"])
    h = conv(silu(h), f"{key}.{names[4]}", out)
    if x.shape[1] != out:
        x = conv(x, f"{key}.{names[5]}", out, 1, 1, 0, 0)
    return (x + h) / divide


# ---- diffusers ----

DIFFUSERS = ("norm1", "conv1", "time_emb_proj", "norm2", "conv2", "conv_shortcut")


def diffusers_attention(x, key, o, groups, divide=1.0):
    n, c = x.shape[:2]
    h = (norm(x, key + ".group_norm", groups, o["eps"]) if groups else x).reshape(n, c, -1)
    rows = h.transpose(0, 2, 1)
    q, k, v = (
        (rows @ param(f"{key}.{a}.weight", c, c).T + param(f"{key}.{a}.bias", c)).transpose(0, 2, 1)
        for a in ("to_q", "to_k", "to_v")
    )
    h = attend(q, k, v, c // o["head_dim"] if o["head_dim"] else 1).transpose(0, 2, 1)
    h = (h @ param(key + ".to_out.0.weight", c, c).T + param(key + ".to_out.0.bias", c)).transpose(0, 2, 1)
    return (x + h.reshape(x.shape)) / divide


def diffusers(x, t, y, o):
    ch = o["channels"]
    if o["center"]:
        x = 2 * x - 1
    emb = sinusoids(t, ch[0], o["shift"], o["cosines_first"])
    emb = silu(linear(emb, "time_embedding.linear_1", 4 * ch[0]))
    emb = linear(emb, "time_embedding.linear_2", 4 * ch[0])
    if y is not None:
        emb = emb + param("class_embedding.weight", o["classes"], 4 * ch[0])[y]
    emb = silu(emb)
    h = conv(x, "conv_in", ch[0])
    skips = [h]
    for i, out in enumerate(ch):
        for j in range(o["layers"]):
            h = residual(h, emb, DIFFUSERS, f"down_blocks.{i}.resnets.{j}", out, o)
            if i in o["down"]:
                h = diffusers_attention(h, f"down_blocks.{i}.attentions.{j}", o, o["groups"])
            skips.append(h)
        if i + 1 < len(ch):
            p = o["padding"]
            h = conv(h, f"down_blocks.{i}.downsamplers.0.conv", out, 3, 2, p, 1)
            skips.append(h)
    h = residual(h, emb, DIFFUSERS, "mid_block.resnets.0", ch[-1], o, None, o["mid"])
    h = diffusers_attention(h, "mid_block.attentions.0", o, 0 if o["scale_shift"] else o["groups"], o["mid"])
    h = residual(h, emb, DIFFUSERS, "mid_block.resnets.1", ch[-1], o, None, o["mid"])
    for i, out in enumerate(reversed(ch)):
        for j in range(o["layers"] + 1):
            h = residual(np.concatenate([h, skips.pop()], 1), emb, DIFFUSERS, f"up_blocks.{i}.resnets.{j}", out, o)
            if i in o["up"]:
                h = diffusers_attention(h, f"up_blocks.{i}.attentions.{j}", o, o["groups"])
        if i + 1 < len(ch):
            h = conv(up(h), f"up_blocks.{i}.upsamplers.0.conv", out)
    return conv(silu(norm(h, "conv_norm_out", o["groups"], o["eps"])), "conv_out", o["out"])


# ---- guided-diffusion ----

ADM = ("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3", "skip_connection")


def split(qkv, heads, legacy):
    """[N, 3C, P] as q, k, v with heads along C."""
    n, c, p = qkv.shape
    c //= 3
    if not legacy:
        return np.split(qkv, 3, 1)
    parts = qkv.reshape(n, heads, 3, c // heads, p)
    return [parts[:, :, i].reshape(n, c, p) for i in range(3)]


def pointwise(x, key, out):
    w = param(key + ".weight", out, x.shape[1], 1)[:, :, 0]
    return np.einsum("oc,ncp->nop", w, x) + param(key + ".bias", out)[None, :, None]


def adm_attention(x, key, o, heads):
    n, c = x.shape[:2]
    heads = c // o["head_channels"] if o["head_channels"] else heads
    qkv = pointwise(norm(x, key + ".norm", o["groups"], o["eps"]).reshape(n, c, -1), key + ".qkv", 3 * c)
    return x + pointwise(attend(*split(qkv, heads, o["legacy"]), heads), key + ".proj_out", c).reshape(x.shape)


def adm_encode(x, t, y, o):
    base = o["base"]
    emb = silu(linear(sinusoids(t, base, 0, True), "time_embed.0", 4 * base))
    emb = linear(emb, "time_embed.2", 4 * base)
    if y is not None:
        emb = emb + param("label_emb.weight", o["classes"], 4 * base)[y]
    emb = silu(emb)
    h = conv(x, "input_blocks.0.0", int(base * o["mult"][0]))
    skips = [h]
    for level, m in enumerate(o["mult"]):
        for _ in range(o["blocks"]):
            key = f"input_blocks.{len(skips)}"
            h = residual(h, emb, ADM, key + ".0", int(base * m), o)
            if 2**level in o["attention"]:
                h = adm_attention(h, key + ".1", o, o["heads"])
            skips.append(h)
        if level + 1 < len(o["mult"]):
            key = f"input_blocks.{len(skips)}.0"
            if o["updown"]:
                h = residual(h, emb, ADM, key, h.shape[1], o, pool)
            else:
                h = conv(h, key + ".op", h.shape[1], 3, 2) if o["conv_resample"] else pool(h)
            skips.append(h)
    c = h.shape[1]
    h = residual(h, emb, ADM, "middle_block.0", c, o)
    h = adm_attention(h, "middle_block.1", o, o["heads"])
    return residual(h, emb, ADM, "middle_block.2", c, o), emb, skips


def adm(x, t, y, o):
    h, emb, skips = adm_encode(x, t, y, o)
    block = 0
    for level in reversed(range(len(o["mult"]))):
        for i in range(o["blocks"] + 1):
            key, part = f"output_blocks.{block}", 1
            h = residual(np.concatenate([h, skips.pop()], 1), emb, ADM, key + ".0", int(o["base"] * o["mult"][level]), o)
            if 2**level in o["attention"]:
                h, part = adm_attention(h, key + ".1", o, o["heads_up"] or o["heads"]), 2
            if level and i == o["blocks"]:
                key = f"{key}.{part}"
                if o["updown"]:
                    h = residual(h, emb, ADM, key, h.shape[1], o, up)
                else:
                    h = conv(up(h), key + ".conv", h.shape[1]) if o["conv_resample"] else up(h)
            block += 1
    return conv(silu(norm(h, "out.0", o["groups"], o["eps"])), "out.2", o["out"])


def adm_classifier(x, t, y, o):
    h, _, skips = adm_encode(x, t, y, o)
    n, c = h.shape[:2]
    if o["pool"].startswith("spatial"):
        f = np.concatenate([s.reshape(n, s.shape[1], -1).mean(-1) for s in skips + [h]], 1)
        f = linear(f, "out.0", 2048)
        if o["pool"] == "spatial":
            return linear(np.maximum(f, 0), "out.2", o["out"])
        return linear(silu(norm(f, "out.1", o["groups"], o["eps"])), "out.3", o["out"])
    h = silu(norm(h, "out.0", o["groups"], o["eps"])).reshape(n, c, -1)
    if o["pool"] == "adaptive":
        w = param("out.3.weight", o["out"], c, 1, 1)[:, :, 0, 0]
        return h.mean(-1) @ w.T + param("out.3.bias", o["out"])
    h = np.concatenate([h.mean(-1, keepdims=True), h], 2)
    h = h + param("out.2.positional_embedding", c, h.shape[2])
    h = attend(*np.split(pointwise(h, "out.2.qkv_proj", 3 * c), 3, 1), c // o["head_channels"])
    return pointwise(h, "out.2.c_proj", o["out"])[:, :, 0]


# ---- Ho's DDPM, by the names that score_sde gives the same modules in its flat list ----


def ddpm(x, t, y, o):
    number = [0]

    def key(inner=None):
        return f"all_modules.{number[0]}" + (f".{inner}" if inner else "")

    def nin(h, k, out):
        c = h.shape[1]
        w = param(key(f"NIN_{k}.W"), c, out)
        flat = np.einsum("co,ncp->nop", w, h.reshape(h.shape[0], c, -1)) + param(key(f"NIN_{k}.b"), out)[None, :, None]
        return flat.reshape([h.shape[0], out] + list(h.shape[2:]))

    def res(x, out):
        h = conv(silu(norm(x, key("GroupNorm_0"), o["groups"], 1e-6)), key("Conv_0"), out)
        h = h + channelwise(linear(emb, key("Dense_0"), out), h)
        h = conv(silu(norm(h, key("GroupNorm_1"), o["groups"], 1e-6)), key("Conv_1"), out)
        x = nin(x, 0, out) if x.shape[1] != out else x
        number[0] += 1
        return x + h

    def attention(x):
        n, c = x.shape[:2]
        h = norm(x, key("GroupNorm_0"), o["groups"], 1e-6)
        q, k, v = (nin(h, i, c).reshape(n, c, -1) for i in range(3))
        h = nin(attend(q, k, v, 1).reshape(x.shape), 3, c)
        number[0] += 1
        return x + h

    def plain(f):
        y = f(key())
        number[0] += 1
        return y

    base = o["base"]
    emb = sinusoids(t, base, 1, False)
    emb = silu(plain(lambda k: linear(emb, k, 4 * base)))
    emb = silu(plain(lambda k: linear(emb, k, 4 * base)))
    h = plain(lambda k: conv(x, k, base))
    skips = [h]
    for level, m in enumerate(o["mult"]):
        for _ in range(o["blocks"]):
            h = res(h, base * m)
            if h.shape[2] in o["attention"]:
                h = attention(h)
            skips.append(h)
        if level + 1 < len(o["mult"]):
            h = plain(lambda k: conv(h, k + ".Conv_0", base * m, 3, 2, 0, 1))
            skips.append(h)
    h = res(attention(res(h, h.shape[1])), h.shape[1])
    for level in reversed(range(len(o["mult"]))):
        for _ in range(o["blocks"] + 1):
            h = res(np.concatenate([h, skips.pop()], 1), base * o["mult"][level])
            if h.shape[2] in o["attention"]:
                h = attention(h)
        if level:
            h = plain(lambda k: conv(up(h), k + ".Conv_0", h.shape[1]))
    h = silu(plain(lambda k: norm(h, k, o["groups"], 1e-6)))
    return plain(lambda k: conv(h, k, o["out"]))


# ---- the networks ----

BASE_ADM = dict(groups=4, eps=1e-5, scale_shift=True, base=8, mult=(1, 2), blocks=1, attention=(2,), heads=2, heads_up=0,
                head_channels=0, legacy=True, updown=False, conv_resample=True, classes=5, out=3)
BASE_DIFFUSERS = dict(groups=4, eps=1e-5, scale_shift=False, channels=(8, 12), layers=1, down=(1,), up=(0,), head_dim=4, mid=1.0,
                      center=False, shift=0, cosines_first=True, padding=1, classes=5, out=3)
BASE_DDPM = dict(groups=4, base=8, mult=(1, 2), blocks=2, attention=(4, 8), out=3)

NETWORKS = [
    ("unet_ho", ddpm, BASE_DDPM, (3, 8, 8), None),
    ("unet_ho_signal", ddpm, BASE_DDPM, (3, 16), None),
    ("unet_ho_volume", ddpm, dict(BASE_DDPM, blocks=1, attention=(2,)), (3, 4, 8, 4), None),
    ("diffusers", diffusers, BASE_DIFFUSERS, (3, 8, 8), None),
    ("diffusers_ho", diffusers, dict(BASE_DIFFUSERS, eps=1e-6, head_dim=0, shift=1, cosines_first=False, padding=0), (3, 8, 8), None),
    ("diffusers_options", diffusers,
     dict(BASE_DIFFUSERS, scale_shift=True, layers=2, down=(0, 1), up=(0, 1), head_dim=2, mid=1.5, center=True), (3, 8, 8), (1, 4)),
    ("adm_updown", adm, dict(BASE_ADM, updown=True, legacy=False, head_channels=4, mult=(1, 2, 3), attention=(1, 4), out=6), (3, 8, 8), (1, 4)),
    ("adm_plain", adm, dict(BASE_ADM, scale_shift=False, conv_resample=False, heads_up=4, blocks=2), (3, 8, 8), None),
    ("adm_signal", adm, BASE_ADM, (3, 16), None),
] + [
    ("classifier_" + p, adm_classifier, dict(BASE_ADM, updown=True, head_channels=8, groups=8, base=16, pool=p, out=7), (3, 8, 8), None)
    for p in ("adaptive", "attention", "spatial", "spatial_v2")
]


def measure(f, options, shape, labels):
    """Output, loss, and the sum of squares of the loss's slopes along each input (central differences)."""

    def loss(x):
        y = f(x, (100.0, 700.0), labels and list(labels), options).ravel()
        return y, (y * np.sin(1 + 0.23 * np.arange(y.size))).sum()

    PARAMS.clear()
    x = np.sin(0.3 + 0.11 * np.arange(2 * np.prod(shape))).reshape((2,) + shape)
    y, value = loss(x)
    squares, h = 0, 1e-5
    for at in np.ndindex(x.shape):
        there = x.copy()
        there[at] += h
        back = x.copy()
        back[at] -= h
        squares += ((loss(there)[1] - loss(back)[1]) / (2 * h)) ** 2
    return y, value, squares, sum(v.size for v in PARAMS.values())


def main():
    for name, f, options, shape, labels in NETWORKS:
        y, loss, squares, count = measure(f, options, shape, labels)
        print(f"{name}: params {count}\n  first8 " + ", ".join("%.12g" % v for v in y[:8]))
        print(f"  sum {y.sum():.12g} sumsq {(y * y).sum():.12g} L {loss:.12g} input_grad_sumsq {squares:.9g}")


if __name__ == "__main__":
    main()
