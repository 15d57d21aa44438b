/* diffusers' AutoencoderKL: a folder whose config.json says everything (a pipeline's vae/), or the
 * file of weights beside it. */
#include <stdio.h>
#include <string.h>

#include "weights/diffusers_config.h"

extern const tw_system tw_system_autoencoder_kl;

static tw_claim claims(const tw_source *s)
{
    const tw_item *root = s->archive->root;
    return tw_item_find(root, "encoder.conv_in.weight") &&
                   tw_item_find(root, "decoder.conv_in.weight") &&
                   tw_item_find(root, "post_quant_conv.weight")
               ? TW_CLAIM_SURE
               : TW_CLAIM_NO;
}

static tw_status expect_blocks(const tw_item *config, const char *key, const char *type)
{
    tw_status st = TW_OK;
    char met[64];
    const tw_item *list = tw_item_find(config, key);
    TW_CHECK(list && list->type == TW_ITEM_LIST, TW_EDATA, "its %s are %s", key,
             tw_item_type_name(list));
    for (const tw_link *l = list->as.list.first; l; l = l->next) {
        (void)tw_item_text(l->value, met, sizeof met);
        TW_CHECK(tw_item_is(l->value, type), TW_EDATA, "its block %s is not supported (%s is)", met,
                 type);
    }
done:
    return st;
}

static tw_status configure(tw_found *out, const tw_source *s)
{
    tw_status st = TW_OK;
    static const char *const numbers[] = {"layers_per_block", "latent_channels", "norm_num_groups"};
    int64_t side = 0, channels = 0;
    const tw_item *c = s->config;
    TW_CHECK(c, TW_EDATA, "there is no config.json beside it; --config may say its configuration");
    TW_TRY(tw_diffusers_expect(c, "act_fn", "silu"));
    TW_TRY(expect_blocks(c, "down_block_types", "DownEncoderBlock2D"));
    TW_TRY(expect_blocks(c, "up_block_types", "UpDecoderBlock2D"));
    TW_TRY(tw_text_add(&out->config, "[network]\nkind = autoencoder\n"));
    TW_TRY(tw_diffusers_channels(&out->config, c));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        TW_TRY(tw_diffusers_number(&out->config, c, numbers[i]));
    TW_TRY(tw_diffusers_bool(&out->config, c, "mid_block_add_attention"));
    (void)tw_item_integer(tw_item_find(c, "in_channels"), &channels);
    if (!tw_item_integer(tw_item_find(c, "sample_size"), &side) || side < 1) {
        side = 256;
        TW_TRY(tw_text_add(&out->assumed, "samples of 256 x 256 (data.shape)"));
    }
    TW_TRY(tw_text_add(&out->config,
                       "[objective]\nkind = autoencoder\n[data]\nshape = %lld, %lld, %lld\n",
                       (long long)side, (long long)side, (long long)channels));
    TW_TRY(tw_text_add(&out->network, "AutoencoderKL"));
done:
    return st;
}

static tw_status read(tw_found *out, const tw_source *s, bool ema)
{
    tw_status st = TW_OK;
    TW_CHECK(!ema, TW_EDATA, "it holds one set of weights and does not say which; leave --ema out");
    TW_TRY(tw_diffusers_tensors(&out->state, s->archive->root));
    TW_TRY(tw_text_add(&out->weights, "raw"));
    if (!out->configured) TW_TRY(configure(out, s));
done:
    return st;
}

const tw_system tw_system_autoencoder_kl = {
    .name = "autoencoder_kl",
    .summary = "diffusers' AutoencoderKL",
    .claims = claims,
    .read = read,
};
