/* Copies of weights by tables, in tiles of 16 x 16 (o, i) for one k. */
#include "ops/weights.h"

#include <string.h>

#include "ops/kern_tile.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

tw_status tw_weights_md(tw_md *out, tw_shape s, tw_layout layout)
{
    static const dnnl_format_tag_t plain[] = {dnnl_abc, dnnl_abcd, dnnl_abcde};
    static const dnnl_format_tag_t blocked[] = {dnnl_ABc16b16a, dnnl_ABcd16b16a, dnnl_ABcde16b16a};
    return tw_md_tag(out, s.rank, s.dims, TW_DTYPE_F32,
                     layout == TW_BLOCKED ? blocked[s.rank - 3] : plain[s.rank - 3]);
}

tw_shape tw_weights_flipped_shape(tw_shape s)
{
    int64_t o = s.dims[0];
    s.dims[0] = s.dims[1];
    s.dims[1] = o;
    return s;
}

/* The part of an element's offset that coordinate x of dimension d gives. */
static int64_t part(const tw_md_blocking *b, int d, int64_t x)
{
    int64_t inner = 1, offset = 0;
    for (int i = b->inner_count - 1; i >= 0; i--) {
        if (b->inner_dim[i] == d) {
            offset += x % b->inner_size[i] * inner;
            x /= b->inner_size[i];
        }
        inner *= b->inner_size[i];
    }
    return offset + x * b->stride[d];
}

static int64_t tap_part(const tw_md_blocking *b, tw_shape s, int64_t k)
{
    int64_t offset = 0;
    for (int d = s.rank - 1; d >= 2; d--) {
        offset += part(b, d, k % s.dims[d]);
        k /= s.dims[d];
    }
    return offset;
}

static void fill_side(const tw_weights_side *side, const tw_md_blocking *b, tw_shape s,
                      int64_t taps)
{
    for (int64_t o = 0; o < s.dims[0]; o++) side->o[o] = part(b, 0, o);
    for (int64_t i = 0; i < s.dims[1]; i++) side->i[i] = part(b, 1, i);
    for (int64_t k = 0; k < taps; k++) side->k[k] = tap_part(b, s, k);
}

int64_t tw_weights_unit(tw_shape s, tw_layout layout)
{
    const int64_t taps = tw_shape_count(s) / (s.dims[0] * s.dims[1]);
    if (layout == TW_BLOCKED) return taps * TW_TILE * TW_TILE;
    return least(TW_TILE, s.dims[0]) * s.dims[1] * taps;
}

tw_weights_tiles tw_weights_tiles_of(tw_shape s, tw_layout layout, int64_t unit)
{
    if (layout == TW_PLAIN) return (tw_weights_tiles){unit * TW_TILE, 0, s.dims[1]};
    const int64_t tiles = s.dims[1] / TW_TILE, first = unit % tiles * TW_TILE;
    return (tw_weights_tiles){unit / tiles * TW_TILE, first, first + TW_TILE};
}

static tw_status allocate(tw_weights_copy *c, tw_shape s, tw_layout layout)
{
    tw_status st = TW_OK;
    c->shape = s;
    c->layout = layout;
    c->out = s.dims[0];
    c->in = s.dims[1];
    c->taps = tw_shape_count(s) / (c->out * c->in);
    const int64_t side = c->out + c->in + c->taps;
    TW_TRY(tw_alloc(&c->tables, 2 * side, sizeof *c->tables, "the tables of a weights copy"));
    c->from = (tw_weights_side){c->tables, c->tables + c->out, c->tables + c->out + c->in};
    c->to = (tw_weights_side){c->tables + side, c->tables + side + c->out,
                              c->tables + side + c->out + c->in};
done:
    return st;
}

static void reverse(int64_t *x, int64_t n)
{
    for (int64_t a = 0, b = n - 1; a < b; a++, b--) {
        const int64_t t = x[a];
        x[a] = x[b];
        x[b] = t;
    }
}

tw_status tw_weights_copy_pack_blocked(tw_weights_copy *out, tw_shape shape, tw_layout layout,
                                       bool flip, const tw_md_blocking *to, tw_dtype type)
{
    tw_status st = TW_OK;
    tw_weights_copy c = {.to_type = type};
    tw_md stored = {.set = false};
    tw_md_blocking from;
    TW_TRY(tw_weights_md(&stored, shape, layout));
    TW_TRY(tw_md_get_blocking(&from, &stored));
    TW_TRY(allocate(&c, shape, layout));
    fill_side(&c.from, &from, shape, c.taps);
    if (flip) { /* the other side's o is our i */
        const tw_weights_side turned = {c.to.i, c.to.o, c.to.k};
        fill_side(&turned, to, tw_weights_flipped_shape(shape), c.taps);
        reverse(c.to.k, c.taps);
    } else {
        fill_side(&c.to, to, shape, c.taps);
    }
    *out = c;
    c.tables = NULL;
done:
    tw_md_destroy(&stored);
    tw_weights_copy_destroy(&c);
    return st;
}

tw_status tw_weights_copy_pack(tw_weights_copy *out, tw_shape shape, tw_layout layout, bool flip,
                               const tw_md *wanted, tw_dtype type)
{
    tw_status st = TW_OK;
    tw_weights_copy c = {0};
    tw_md stored = {.set = false};
    tw_md_blocking to;
    const bool rounded = type == TW_DTYPE_BF16 && !tw_md_is_bf16(wanted);
    TW_TRY(tw_weights_md(&stored, shape, layout));
    TW_TRY(tw_md_get_blocking(&to, wanted));
    TW_TRY(
        tw_weights_copy_pack_blocked(&c, shape, layout, flip, &to, rounded ? TW_DTYPE_F32 : type));
    c.rounded = rounded;
    c.direct = !flip && !rounded && tw_md_equal(&stored, wanted);
    *out = c;
done:
    tw_md_destroy(&stored);
    return st;
}

tw_status tw_weights_copy_unpack_blocked(tw_weights_copy *out, tw_shape shape, tw_layout layout,
                                         const tw_md_blocking *given)
{
    tw_status st = TW_OK;
    tw_weights_copy c = {.to_type = TW_DTYPE_F32};
    tw_md stored = {.set = false};
    tw_md_blocking to;
    TW_TRY(tw_weights_md(&stored, shape, layout));
    TW_TRY(tw_md_get_blocking(&to, &stored));
    TW_TRY(allocate(&c, shape, layout));
    fill_side(&c.from, given, shape, c.taps);
    fill_side(&c.to, &to, shape, c.taps);
    *out = c;
    c.tables = NULL;
done:
    tw_md_destroy(&stored);
    tw_weights_copy_destroy(&c);
    return st;
}

tw_status tw_weights_copy_unpack(tw_weights_copy *out, tw_shape shape, tw_layout layout,
                                 const tw_md *given)
{
    tw_status st = TW_OK;
    tw_md stored = {.set = false};
    tw_md_blocking from;
    TW_TRY(tw_weights_md(&stored, shape, layout));
    TW_TRY(tw_md_get_blocking(&from, given));
    TW_TRY(tw_weights_copy_unpack_blocked(out, shape, layout, &from));
    out->direct = tw_md_equal(&stored, given);
done:
    tw_md_destroy(&stored);
    return st;
}

bool tw_weights_copy_fills(const tw_weights_copy *c, size_t bytes)
{
    return (size_t)(c->out * c->in * c->taps) * tw_dtype_size(c->to_type) == bytes;
}

void tw_weights_copy_destroy(tw_weights_copy *c)
{
    tw_free(&c->tables);
}

void tw_weights_copy_tile(const tw_weights_copy *c, void *to, const float *from, int64_t o,
                          int64_t i)
{
    const tw_kern_tile *kernel = TW_KERNEL_SELECT(tw_kern_tile);
    const tw_tile tile = {.rows = least(TW_TILE, c->in - i),
                          .columns = least(TW_TILE, c->out - o),
                          .from_row = c->from.i + i,
                          .from_column = c->from.o + o,
                          .to_row = c->to.i + i,
                          .to_column = c->to.o + o};
    for (int64_t k = 0; k < c->taps; k++) {
        if (c->to_type == TW_DTYPE_BF16)
            kernel->to_bf16(&tile, (tw_bf16 *)to + c->to.k[k], from + c->from.k[k]);
        else if (c->rounded)
            kernel->to_rounded(&tile, (float *)to + c->to.k[k], from + c->from.k[k]);
        else
            kernel->to_f32(&tile, (float *)to + c->to.k[k], from + c->from.k[k]);
    }
    kernel->finish();
}

void tw_weights_copy_unit(const tw_weights_copy *c, void *to, const float *from, int64_t unit)
{
    const tw_weights_tiles t = tw_weights_tiles_of(c->shape, c->layout, unit);
    for (int64_t i = t.first; i < t.end; i += TW_TILE) tw_weights_copy_tile(c, to, from, t.o, i);
}

void tw_weights_copy_run(const tw_weights_copy *c, void *to, const float *from)
{
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t o = 0; o < c->out; o += TW_TILE)
        for (int64_t i = 0; i < c->in; i += TW_TILE) tw_weights_copy_tile(c, to, from, o, i);
}
