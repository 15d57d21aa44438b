/* From the blocks of a U-Net to its configuration.
 *
 * Of L levels with n blocks each, the way down has L n blocks, the middle 2, the way up L (n + 1).
 * BigGAN's blocks also change the resolution, L − 1 times on each way: those have a convolution in
 * the shortcut though channels stay, which no other has. What has no parameters (filters, the side
 * of the images, the rescaling of skips) is taken as in the published configurations, which know
 * positional embeddings with the VP SDE and Fourier features, filters and division by sigma with
 * the VE SDE. Those of VE were trained on data in 0 to 1: in model units, -1 to 1, noise levels are
 * twice theirs and scores half, which a network over sigma gives by itself; its Fourier features
 * are told of half the level. */
#include "weights/sde_shapes.h"

typedef struct plan {
    bool biggan;
    int64_t levels, blocks, mult[SDE_LEVELS_MAX], height;
    bool attends[SDE_LEVELS_MAX];
} plan;

static tw_status count_levels(plan *p, const sde_facts *f)
{
    tw_status st = TW_OK;
    int changes = 0;
    for (int i = 0; i < f->block_count; i++) {
        p->biggan |= f->blocks[i].conv;
        changes += f->blocks[i].conv && f->blocks[i].in == f->blocks[i].out;
    }
    p->levels = (p->biggan ? changes : f->resamplings) / 2 + 1;
    const int64_t plain = f->block_count - 2 - (p->biggan ? changes : 0);
    TW_CHECK(p->levels <= SDE_LEVELS_MAX && plain > 0 && plain % p->levels == 0 &&
                 plain / p->levels % 2 == 1,
             TW_EDATA, "%d residual blocks and %lld levels are none of its networks",
             f->block_count, (long long)p->levels);
    p->blocks = (plain / p->levels - 1) / 2;
    TW_CHECK(p->blocks > 0 && f->base > 0, TW_EDATA, "it has no residual blocks on the way down");
done:
    return st;
}

static tw_status read_levels(plan *p, const sde_facts *f, int64_t height)
{
    tw_status st = TW_OK;
    const int64_t stride = p->blocks + p->biggan;
    for (int64_t l = 0; l < p->levels; l++) {
        const sde_block *first = &f->blocks[l * stride];
        TW_CHECK(first->out % f->base == 0 && first->out > 0, TW_EDATA,
                 "level %lld has %lld channels, no multiple of the first's %lld", (long long)l,
                 (long long)first->out, (long long)f->base);
        p->mult[l] = first->out / f->base;
        p->attends[l] = first->attends;
    }
    /* the lowest resolution of the published networks is 4 x 4 */
    p->height = height ? height : INT64_C(4) << (p->levels - 1);
done:
    return st;
}

/* JAX's numbers do not say where attention is: at 16 x 16 as published, if the channels fit. */
static void place_attention(plan *p, const sde_facts *f)
{
    int64_t best = -1;
    if (f->attention_placed || f->attention_count < 2) return;
    for (int64_t l = 0; l < p->levels; l++) {
        if (p->mult[l] * f->base != f->attention_channels) continue;
        if (best < 0 || p->height >> best != 16) best = l;
    }
    if (best >= 0) p->attends[best] = true;
}

static tw_status add_list(tw_text *t, const char *key, const int64_t *values, int64_t count)
{
    tw_status st = TW_OK;
    TW_TRY(tw_text_add(t, "%s = ", key));
    for (int64_t i = 0; i < count; i++)
        TW_TRY(tw_text_add(t, "%s%lld", i ? ", " : "", (long long)values[i]));
    TW_TRY(tw_text_add(t, "%s\n", count ? "" : "none"));
done:
    return st;
}

static tw_status add_network(tw_text *t, const plan *p, const sde_facts *f)
{
    tw_status st = TW_OK;
    int64_t heights[SDE_LEVELS_MAX], n = 0;
    for (int64_t l = 0; l < p->levels; l++)
        if (p->attends[l]) heights[n++] = p->height >> l;
    TW_TRY(tw_text_add(t, "[network]\nkind = %s\nbase = %lld\nblocks = %lld\n",
                       p->biggan ? "ncsnpp" : "unet", (long long)f->base, (long long)p->blocks));
    TW_TRY(add_list(t, "mult", p->mult, p->levels));
    TW_TRY(add_list(t, "attention", heights, n));
    if (!p->biggan) TW_TRY(tw_text_add(t, "attention_placement = score_sde\n"));
    if (!p->biggan) goto done;
    TW_TRY(tw_text_add(t, "library = score_sde\nresblock = biggan\nskip_rescale = yes\n"));
    if (f->fourier)
        TW_TRY(tw_text_add(t, "embedding = fourier\nfir = yes\nscale_by_sigma = yes\n"
                              "centered = yes\nsigma_unit = 2\n"));
    const int down = (int)(p->levels * p->blocks + p->levels - 1); /* blocks on the way down */
    TW_TRY(tw_text_add(t, "progressive_input = %s\nprogressive = %s\n",
                       f->joins                              ? "input_skip"
                       : f->chains && f->first_chain <= down ? "residual"
                                                             : "none",
                       f->chains && f->last_chain > down ? "residual"
                       : f->heads > 1                    ? "output_skip"
                                                         : "none"));
    if (f->joins > 0 && f->blocks[p->blocks + 1].in == 2 * f->join_rows)
        TW_TRY(tw_text_add(t, "progressive_combine = cat\n"));
done:
    return st;
}

static tw_status add_process(tw_text *t, const sde_facts *f)
{
    if (!f->fourier) return tw_text_add(t, "[process]\nkind = vp\n[prediction]\nkind = epsilon\n");
    return tw_text_add(t,
                       "[process]\nkind = ve\nsigma_min = %.9g\nsigma_max = %.9g\n"
                       "[prediction]\nkind = score\n",
                       2 * (f->sigma_min > 0 ? f->sigma_min : 0.01),
                       2 * (f->sigma_max > 0 ? f->sigma_max : 50));
}

tw_status sde_configure(tw_found *out, const sde_facts *f)
{
    tw_status st = TW_OK;
    plan p = {0};
    if (out->configured) return TW_OK;
    TW_TRY(count_levels(&p, f));
    TW_TRY(read_levels(&p, f, out->height));
    place_attention(&p, f);
    TW_TRY(add_network(&out->config, &p, f));
    TW_TRY(add_process(&out->config, f));
    TW_TRY(tw_text_add(&out->config, "[data]\nshape = %lld, %lld, %lld\n", (long long)p.height,
                       (long long)p.height, (long long)f->channels));
    if (!out->height)
        TW_TRY(tw_text_add(&out->assumed, "samples of %lld x %lld (data.shape)",
                           (long long)p.height, (long long)p.height));
    if (f->fourier)
        TW_TRY(tw_text_add(&out->assumed, "%sfilters (network.fir)", out->height ? "" : ", "));
    TW_TRY(tw_text_add(&out->network, "%s: %lld levels of %lld block%s, %lld channels",
                       !p.biggan    ? "DDPM"
                       : f->fourier ? "NCSN++"
                                    : "DDPM++",
                       (long long)p.levels, (long long)p.blocks, p.blocks > 1 ? "s" : "",
                       (long long)f->base));
done:
    return st;
}
