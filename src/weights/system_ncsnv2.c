/* NCSNv2 (Song and Ermon 2020): a list [model, optimizer, epoch, step, EMA]; the EMA has the names
 * of the parameters without "module.", and no buffers. */
#include <string.h>

#include "weights/refinenet_shapes.h"

extern const tw_system tw_system_ncsnv2;

enum { LEVELS_MAX = 8192 };

static tw_claim claims(const tw_source *s)
{
    return refinenet_looks(s, false) ? TW_CLAIM_SURE : TW_CLAIM_NO;
}

static tw_status configure(tw_found *out, const tw_item *model)
{
    tw_status st = TW_OK;
    float sigma[LEVELS_MAX];
    const tw_item *sigmas = tw_item_find(model, "module.sigmas");
    const int64_t n = sigmas && sigmas->type == TW_ITEM_TENSOR ? sigmas->as.tensor->count : 0;
    const char *variant = tw_state_dict_find(&out->state, "res31.0.conv1.weight") ? "ncsnv2_deepest"
                          : tw_state_dict_find(&out->state, "res5.0.conv1.weight") ? "ncsnv2_deeper"
                                                                                   : "ncsnv2";
    TW_CHECK(n >= 2 && n <= LEVELS_MAX, TW_EDATA, "it has %lld noise levels (module.sigmas)",
             (long long)n);
    TW_TRY(tw_tensor_read(sigmas->as.tensor, sigma));
    TW_CHECK(sigma[0] > sigma[n - 1] && sigma[n - 1] > 0, TW_EDATA,
             "its noise levels do not fall from %g to %g", (double)sigma[0], (double)sigma[n - 1]);
    TW_TRY(refinenet_configure(out, variant, n, (double)sigma[0], (double)sigma[n - 1]));
done:
    return st;
}

static tw_status read(tw_found *out, const tw_source *s, bool ema)
{
    tw_status st = TW_OK;
    const tw_item *model = tw_item_at(s->archive->root, 0),
                  *average = tw_item_at(s->archive->root, 4);
    const bool has_ema = average && average->type == TW_ITEM_DICT;
    TW_CHECK(!ema || has_ema, TW_EDATA, "it has no EMA weights");
    TW_TRY(tw_state_dict_add_all(&out->state, ema ? average : model, ema ? "" : "module."));
    TW_TRY(tw_text_add(&out->weights, ema ? "ema:unknown" : "raw"));
    out->has_ema = has_ema && !ema;
    (void)tw_item_integer(tw_item_at(s->archive->root, 3), &out->step);
    if (!out->configured) TW_TRY(configure(out, model));
done:
    return st;
}

static bool ignores(const char *name)
{
    return strcmp(name, "sigmas") == 0;
}

const tw_system tw_system_ncsnv2 = {
    .name = "ncsnv2",
    .summary = "NCSNv2, also Deeper and Deepest",
    .claims = claims,
    .read = read,
    .ignores = ignores,
};
