/* Inception-v3 in the names of torchvision and pytorch-fid, a dictionary of tensors:
 * "Mixed_5b.branch1x1.conv.weight". What pytorch-fid's file holds, with its 1008 outputs, is the
 * network of the Fréchet inception distance; a file of another number is told so. */
#include <string.h>

#include "weights/system.h"

extern const tw_system tw_system_inception;

static const char first[] = "Conv2d_1a_3x3.conv.weight",
                  last[] = "Mixed_7c.branch_pool.conv.weight";

static tw_claim claims(const tw_source *s)
{
    return tw_item_find(s->archive->root, first) && tw_item_find(s->archive->root, last)
               ? TW_CLAIM_SURE
               : TW_CLAIM_NO;
}

static tw_status read(tw_found *out, const tw_source *s, bool ema)
{
    tw_status st = TW_OK;
    TW_CHECK(!ema, TW_EDATA, "it holds no EMA weights");
    TW_TRY(tw_state_dict_add_all(&out->state, s->archive->root, ""));
    const int64_t outputs = tw_state_dict_size(&out->state, "fc.weight", 0);
    TW_CHECK(outputs > 1, TW_EDATA, "it has no last layer, fc.weight");
    TW_TRY(tw_text_add(&out->weights, "raw"));
    TW_TRY(tw_text_add(&out->network, "Inception-v3 with %lld outputs", (long long)outputs));
    if (outputs != 1008)
        TW_TRY(tw_text_add(&out->assumed,
                           "the network of the Frechet inception distance has 1008 outputs, and "
                           "this one %lld: its distances are not those that papers quote",
                           (long long)outputs));
    if (out->configured) goto done;
    TW_TRY(tw_text_add(&out->config,
                       "[data]\nshape = 299, 299, 3\n[network]\nkind = inception\nclasses = "
                       "%lld\n[process]\nkind = single\n[objective]\nkind = classify\n",
                       (long long)outputs));
done:
    return st;
}

/* Counters of batches, and the second classifier that training has. */
static bool ignores(const char *name)
{
    const char *leaf = strrchr(name, '.');
    return strcmp(leaf ? leaf + 1 : name, "num_batches_tracked") == 0 ||
           strncmp(name, "AuxLogits.", 10) == 0;
}

const tw_system tw_system_inception = {
    .name = "inception",
    .summary = "Inception-v3 of pytorch-fid or torchvision",
    .claims = claims,
    .read = read,
    .ignores = ignores,
};
