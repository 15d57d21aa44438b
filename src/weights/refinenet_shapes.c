/* RefineNets know no size of their samples: that of the published data sets is taken. */
#include "weights/refinenet_shapes.h"

#include <string.h>

bool refinenet_looks(const tw_source *s, bool conditional)
{
    const tw_item *model = tw_item_at(s->archive->root, 0);
    return tw_item_find(model, "module.begin_conv.weight") &&
           (tw_item_find(model, "module.normalizer.embed.weight") != NULL) == conditional;
}

tw_status refinenet_configure(tw_found *out, const char *variant, int64_t levels, double sigma_max,
                              double sigma_min)
{
    tw_status st = TW_OK;
    const int64_t base = tw_state_dict_size(&out->state, "begin_conv.weight", 0),
                  channels = tw_state_dict_size(&out->state, "begin_conv.weight", 1);
    const int side = strcmp(variant, "ncsnv2_deepest") == 0  ? 256
                     : strcmp(variant, "ncsnv2_deeper") == 0 ? 128
                     : channels == 1                         ? 28
                                                             : 32;
    TW_CHECK(base > 0 && channels > 0, TW_EDATA, "it has no begin_conv.weight");
    TW_TRY(tw_text_add(&out->config,
                       "[data]\nshape = %d, %d, %lld\n[network]\nkind = refinenet\n"
                       "variant = %s\nbase = %lld\ninput = model\noutput_scale = %s\n",
                       side, side, (long long)channels, variant, (long long)base,
                       strcmp(variant, "ncsn") == 0 ? "0.5" : "1"));
    TW_TRY(tw_text_add(&out->config,
                       "[process]\nkind = ladder\nlevels = %lld\nsigma_max = %.9g\n"
                       "sigma_min = %.9g\n[prediction]\nkind = score\n",
                       (long long)levels, 2 * sigma_max, 2 * sigma_min));
    TW_TRY(tw_text_add(&out->network, "%s: %lld channels, %lld noise levels %g to %g", variant,
                       (long long)base, (long long)levels, sigma_max, sigma_min));
    if (!out->height)
        TW_TRY(tw_text_add(&out->assumed, "samples of %d x %d (data.shape)", side, side));
done:
    return st;
}
