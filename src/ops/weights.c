/* Weights of convolutions in the store's layouts. */
#include "ops/weights.h"

#include <string.h>

tw_status tw_weights_md(tw_md *out, tw_shape s, tw_layout layout)
{
    static const dnnl_format_tag_t plain[] = {dnnl_abc, dnnl_abcd, dnnl_abcde};
    static const dnnl_format_tag_t blocked[] = {dnnl_ABc16b16a, dnnl_ABcd16b16a, dnnl_ABcde16b16a};
    return tw_md_tag(out, s.rank, s.dims, TW_DTYPE_F32, layout == TW_BLOCKED ? blocked[s.rank - 3] : plain[s.rank - 3]);
}

tw_shape tw_weights_flipped_shape(tw_shape s)
{
    int64_t o = s.dims[0];
    s.dims[0] = s.dims[1];
    s.dims[1] = o;
    return s;
}

static void flip_blocked(int64_t blocks_out, int64_t blocks_in, int64_t taps, const float *w, float *f)
{
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t i = 0; i < blocks_in; i++)
        for (int64_t o = 0; o < blocks_out; o++)
            for (int64_t k = 0; k < taps; k++) {
                const float *from = w + ((o * blocks_in + i) * taps + k) * 256;
                float *to = f + ((i * blocks_out + o) * taps + taps - 1 - k) * 256;
                for (int64_t a = 0; a < 16; a++)
                    for (int64_t b = 0; b < 16; b++) to[a * 16 + b] = from[b * 16 + a];
            }
}

static void flip_plain(int64_t out, int64_t in, int64_t taps, const float *w, float *f)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < in; i++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t k = 0; k < taps; k++) f[(i * out + o) * taps + taps - 1 - k] = w[(o * in + i) * taps + k];
}

void tw_weights_flip(tw_shape s, tw_layout layout, const float *weights, float *flipped)
{
    int64_t taps = 1;
    for (int d = 2; d < s.rank; d++) taps *= s.dims[d];
    if (layout == TW_BLOCKED)
        flip_blocked(s.dims[0] / 16, s.dims[1] / 16, taps, weights, flipped);
    else
        flip_plain(s.dims[0], s.dims[1], taps, weights, flipped);
}

static tw_status plan_reorder(tw_packed_weights *p, tw_task *t, const tw_md *stored, const tw_md *wanted)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL;
    const tw_primitive_arg args[] = {{DNNL_ARG_FROM, stored}, {DNNL_ARG_TO, wanted}, {0}};
    TW_TRY(tw_pd_reorder(&pd, stored, wanted));
    TW_TRY(tw_primitive_create(&p->reorder, pd, args));
    p->reordered = true;
    if (p->flip) p->flip_bytes = ((size_t)tw_shape_count(p->shape) * sizeof(float) + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
    if (t->scratch_bytes < p->flip_bytes + p->reorder.scratch_bytes) t->scratch_bytes = p->flip_bytes + p->reorder.scratch_bytes;
done:
    return st;
}

tw_status tw_packed_weights_plan(tw_packed_weights *out, tw_task *t, const tw_value *w, bool flip, const tw_md *wanted)
{
    tw_status st = TW_OK;
    tw_packed_weights p = {.flip = flip, .layout = w->layout, .shape = w->shape};
    tw_md stored = {.set = false};
    TW_TRY(tw_weights_md(&stored, flip ? tw_weights_flipped_shape(w->shape) : w->shape, w->layout));
    if (!tw_md_equal(&stored, wanted))
        TW_TRY(plan_reorder(&p, t, &stored, wanted));
    else
        p.direct = !flip;
    if (!p.direct) t->packed_bytes += tw_md_size(wanted);
    *out = p;
    memset(&p, 0, sizeof p);
done:
    tw_md_destroy(&stored);
    tw_packed_weights_destroy(&p);
    return st;
}

void tw_packed_weights_destroy(tw_packed_weights *p)
{
    tw_primitive_destroy(&p->reorder);
}

void tw_packed_weights_pack(tw_packed_weights *p, const tw_task *t, float *param)
{
    float *from = param;
    if (p->direct) return;
    if (p->flip) {
        float *flipped = p->reordered ? t->scratch : t->packed;
        tw_weights_flip(p->shape, p->layout, param, flipped);
        from = flipped;
    }
    if (p->reordered) tw_primitive_run(&p->reorder, (void *[]){from, t->packed}, (char *)t->scratch + p->flip_bytes);
}

void *tw_packed_weights_data(const tw_packed_weights *p, const tw_task *t, float *param)
{
    return p->direct ? param : t->packed;
}
