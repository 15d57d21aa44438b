/* From input_blocks and output_blocks to the configuration. With L levels of n blocks there are 1 +
 * L n + L − 1 input blocks: a convolution, the residual blocks, and a change of resolution between
 * levels. */
#include "weights/adm_shapes.h"

#include <stdio.h>
#include <string.h>

enum { LEVELS_MAX = 8 };

static bool has_key(const tw_item *dict, const char *key)
{
    return tw_item_find(dict, key) != NULL;
}

/* The k-th last block of a level has, behind its parts, what makes it larger. */
static bool has_resize(const tw_item *root, int block, const char *leaf)
{
    char key[96];
    for (int part = 1; part <= 2; part++) {
        snprintf(key, sizeof key, "output_blocks.%d.%d.%s", block, part, leaf);
        if (has_key(root, key)) return true;
    }
    return false;
}

adm_looks adm_look(const tw_source *s)
{
    adm_looks l = {.network = false};
    const tw_item *root = s->archive->root;
    const char *slash = strrchr(s->file, '/'), *name = slash ? slash + 1 : s->file;
    l.network = has_key(root, "time_embed.0.weight") && has_key(root, "input_blocks.0.0.weight") &&
                has_key(root, "out.2.weight");
    for (int k = 0; k < 64; k++) l.blocks_resize |= has_resize(root, k, "in_layers.2.weight");
    if (sscanf(name, "ema_%31[0-9.]_", l.rate) == 1) l.averaged = true;
    return l;
}

typedef struct plan {
    int64_t levels, blocks, base, channels, outputs, classes, side;
    double mult[LEVELS_MAX];
    bool attends[LEVELS_MAX], scale_shift;
} plan;

/* Dimension k of a tensor of input block n, or -1. */
static int64_t size(const tw_state_dict *d, const char *leaf, int n, int k)
{
    char name[96];
    snprintf(name, sizeof name, "input_blocks.%d.%s", n, leaf);
    return tw_state_dict_size(d, name, k);
}

static tw_status read_plan(plan *p, const tw_state_dict *d, const tw_item *root)
{
    tw_status st = TW_OK;
    int inputs = 0;
    p->base = tw_state_dict_size(d, "time_embed.0.weight", 1);
    p->channels = tw_state_dict_size(d, "input_blocks.0.0.weight", 1);
    p->outputs = tw_state_dict_size(d, "out.2.weight", 0);
    const int64_t classes = tw_state_dict_size(d, "label_emb.weight", 0);
    p->classes = classes > 0 ? classes : 0;
    p->levels = 1;
    for (int k = 0; k < 64; k++)
        p->levels +=
            has_resize(root, k, "in_layers.2.weight") || has_resize(root, k, "conv.weight");
    while (inputs < 512 && (tw_state_dict_findf(d, "input_blocks.%d.0.weight", inputs) ||
                            tw_state_dict_findf(d, "input_blocks.%d.0.op.weight", inputs) ||
                            tw_state_dict_findf(d, "input_blocks.%d.0.in_layers.2.weight", inputs)))
        inputs++;
    TW_CHECK(p->base > 0 && p->channels > 0 && p->levels <= LEVELS_MAX &&
                 (inputs - p->levels) % p->levels == 0 && inputs > p->levels,
             TW_EDATA, "%d input blocks and %lld levels are none of its networks", inputs,
             (long long)p->levels);
    p->blocks = inputs / p->levels - 1;
    p->side = INT64_C(8) << (p->levels - 1);
    for (int64_t l = 0; l < p->levels; l++) {
        const int first = (int)(1 + l * (p->blocks + 1));
        const int64_t out = size(d, "0.out_layers.3.weight", first, 0);
        TW_CHECK(out > 0, TW_EDATA, "input block %d is no residual block", first);
        p->mult[l] = (double)out / (double)p->base;
        p->attends[l] = size(d, "1.qkv.weight", first, 0) > 0;
        p->scale_shift = size(d, "0.emb_layers.1.weight", first, 0) == 2 * out;
    }
    TW_CHECK(p->outputs == p->channels || p->outputs == 2 * p->channels, TW_EDATA,
             "it has %lld channels in and %lld out", (long long)p->channels, (long long)p->outputs);
done:
    return st;
}

static tw_status write_config(tw_text *t, const plan *p, bool updown, const char *attention,
                              const char *schedule)
{
    tw_status st = TW_OK;
    const int64_t side = p->side;
    bool any = false;
    TW_TRY(tw_text_add(t,
                       "[data]\nshape = %lld, %lld, %lld\n[network]\nkind = adm\nbase = %lld\n"
                       "blocks = %lld\nscale_shift = %s\nresblock_updown = %s\n%smult = ",
                       (long long)side, (long long)side, (long long)p->channels, (long long)p->base,
                       (long long)p->blocks, p->scale_shift ? "yes" : "no", updown ? "yes" : "no",
                       attention));
    for (int64_t l = 0; l < p->levels; l++)
        TW_TRY(tw_text_add(t, "%s%.9g", l ? ", " : "", p->mult[l]));
    TW_TRY(tw_text_add(t, "\nattention_downsample = "));
    for (int64_t l = 0; l < p->levels; l++) {
        if (!p->attends[l]) continue;
        TW_TRY(tw_text_add(t, "%s%d", any ? ", " : "", 1 << l));
        any = true;
    }
    TW_TRY(tw_text_add(t, "%s\n", any ? "" : "none"));
    if (p->classes > 0) TW_TRY(tw_text_add(t, "classes = %lld\n", (long long)p->classes));
    TW_TRY(tw_text_add(t,
                       "[process]\nkind = ddpm\n%s[prediction]\nkind = epsilon\nvariance = %s\n"
                       "[objective]\nkind = %s\n",
                       schedule, p->outputs > p->channels ? "learned_range" : "fixed",
                       p->outputs > p->channels ? "hybrid" : "denoising"));
done:
    return st;
}

tw_status adm_read(tw_found *out, const tw_source *s, bool ema, const char *attention,
                   const char *schedule)
{
    tw_status st = TW_OK;
    plan p = {0};
    const adm_looks looks = adm_look(s);
    TW_CHECK(looks.averaged || !ema, TW_EDATA,
             "it holds the weights themselves; its EMA is a file of its own, ema_RATE_STEP.pt");
    TW_TRY(tw_state_dict_add_all(&out->state, s->archive->root, ""));
    if (looks.averaged)
        TW_TRY(tw_text_add(&out->weights, "ema:%s", looks.rate));
    else
        TW_TRY(tw_text_add(&out->weights, "raw"));
    const char *digits = s->file + strlen(s->file);
    while (digits > s->file && !(digits[-1] >= '0' && digits[-1] <= '9')) digits--;
    while (digits > s->file && digits[-1] >= '0' && digits[-1] <= '9') digits--;
    long long step;
    if (sscanf(digits, "%18lld", &step) == 1) out->step = step;
    if (out->configured) goto done;
    TW_TRY(read_plan(&p, &out->state, s->archive->root));
    TW_TRY(write_config(&out->config, &p, looks.blocks_resize, attention, schedule));
    TW_TRY(tw_text_add(&out->network, "%lld levels of %lld block%s, %lld channels%s%s",
                       (long long)p.levels, (long long)p.blocks, p.blocks > 1 ? "s" : "",
                       (long long)p.base, p.outputs > p.channels ? ", learned variance" : "",
                       p.classes ? ", class-conditional" : ""));
    if (!out->height)
        TW_TRY(tw_text_add(&out->assumed, "samples of %lld x %lld (data.shape), ",
                           (long long)p.side, (long long)p.side));
    TW_TRY(tw_text_add(&out->assumed,
                       "heads and order of attention (network.heads, network.head_channels, "
                       "network.attention_order), a linear schedule of 1000 steps "
                       "(process.schedule, process.timesteps)"));
done:
    return st;
}
