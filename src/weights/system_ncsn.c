/* NCSN (Song and Ermon 2019): a list [model, optimizer]. Its noise levels are not in the file: 1 to
 * 0.01 as published, for samples in 0 to 1. */
#include "weights/refinenet_shapes.h"

extern const tw_system tw_system_ncsn;

static tw_claim claims(const tw_source *s)
{
    return refinenet_looks(s, true) ? TW_CLAIM_SURE : TW_CLAIM_NO;
}

static tw_status read(tw_found *out, const tw_source *s, bool ema)
{
    tw_status st = TW_OK;
    TW_CHECK(!ema, TW_EDATA, "it has no EMA weights");
    TW_TRY(tw_state_dict_add_all(&out->state, tw_item_at(s->archive->root, 0), "module."));
    TW_TRY(tw_text_add(&out->weights, "raw"));
    if (out->configured) goto done;
    const int64_t levels = tw_state_dict_size(&out->state, "normalizer.embed.weight", 0);
    TW_CHECK(levels > 1, TW_EDATA, "its normalisations are not conditional: is it NCSNv2's?");
    TW_TRY(refinenet_configure(out, "ncsn", levels, 1, 0.01));
    TW_TRY(tw_text_add(&out->assumed,
                       "%snoise levels of 1 to 0.01 in the paper's units "
                       "(process.sigma_max, process.sigma_min: twice as large)",
                       out->assumed.length ? ", " : ""));
done:
    return st;
}

const tw_system tw_system_ncsn = {
    .name = "ncsn",
    .summary = "NCSN",
    .claims = claims,
    .read = read,
};
