/* diffusers' UNet2DModel: a folder of a pipeline (unet/, scheduler/) or of a network alone, whose
 * config.json says everything; or the file of weights beside it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "weights/diffusers_config.h"

extern const tw_system tw_system_diffusers;

static tw_claim claims(const tw_source *s)
{
    const tw_item *root = s->archive->root;
    return tw_item_find(root, "conv_in.weight") && tw_item_find(root, "conv_norm_out.weight") &&
                   tw_item_find(root, "time_embedding.linear_1.weight")
               ? TW_CLAIM_SURE
               : TW_CLAIM_NO;
}

/* ---- the network ---- */

/* Lists of ours that lie in lists of theirs: blocks with attention by number. */
static tw_status add_attention(tw_text *t, const char *key, const tw_item *types, const char *plain,
                               const char *attends)
{
    tw_status st = TW_OK;
    int64_t k = 0;
    bool any = false;
    TW_CHECK(types && types->type == TW_ITEM_LIST, TW_EDATA, "its types of blocks are %s",
             tw_item_type_name(types));
    TW_TRY(tw_text_add(t, "%s =", key));
    for (const tw_link *l = types->as.list.first; l; l = l->next, k++) {
        char type[64];
        (void)tw_item_text(l->value, type, sizeof type);
        TW_CHECK(strcmp(type, plain) == 0 || strcmp(type, attends) == 0, TW_EDATA,
                 "its block %s is not supported (%s and %s are)", type, plain, attends);
        if (strcmp(type, attends) != 0) continue;
        TW_TRY(tw_text_add(t, "%s %lld", any ? "," : "", (long long)k));
        any = true;
    }
    TW_TRY(tw_text_add(t, "%s\n", any ? "" : " none"));
done:
    return st;
}

static tw_status add_network(tw_text *t, const tw_item *c)
{
    tw_status st = TW_OK;
    static const char *const
        numbers[] = {"layers_per_block", "norm_num_groups",    "attn_norm_num_groups",   "norm_eps",
                     "freq_shift",       "downsample_padding", "mid_block_scale_factor", "dropout"},
        *const bools[] = {"flip_sin_to_cos", "center_input_sample", "add_attention"};
    static const char *const words[][2] = {{"act_fn", "silu"},
                                           {"time_embedding_type", "positional"},
                                           {"downsample_type", "conv"},
                                           {"upsample_type", "conv"},
                                           {"mid_block_type", "UNetMidBlock2D"}};
    const tw_item *head = tw_item_find(c, "attention_head_dim"),
                  *shift = tw_item_find(c, "resnet_time_scale_shift");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        TW_TRY(tw_diffusers_expect(c, words[i][0], words[i][1]));
    TW_TRY(tw_text_add(t, "[network]\nkind = diffusers_unet\n"));
    TW_TRY(tw_diffusers_channels(t, c));
    TW_TRY(add_attention(t, "down_attention", tw_item_find(c, "down_block_types"), "DownBlock2D",
                         "AttnDownBlock2D"));
    TW_TRY(add_attention(t, "up_attention", tw_item_find(c, "up_block_types"), "UpBlock2D",
                         "AttnUpBlock2D"));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        TW_TRY(tw_diffusers_number(t, c, numbers[i]));
    for (size_t i = 0; i < sizeof bools / sizeof *bools; i++)
        TW_TRY(tw_diffusers_bool(t, c, bools[i]));
    if (head && head->type == TW_ITEM_NONE) TW_TRY(tw_text_add(t, "attention_head_dim = 0\n"));
    TW_TRY(tw_diffusers_number(t, c, "attention_head_dim"));
    if (tw_item_is(shift, "scale_shift"))
        TW_TRY(tw_text_add(t, "resnet_time_scale_shift = scale_shift\n"));
    else
        TW_TRY(tw_diffusers_expect(c, "resnet_time_scale_shift", "default"));
done:
    return st;
}

/* ---- the process ---- */

static const struct {
    const char *theirs, *ours;
} schedules[] = {{"linear", "linear"},
                 {"scaled_linear", "quadratic"},
                 {"squaredcos_cap_v2", "cosine"},
                 {"sigmoid", "sigmoid"}},
  predictions[] = {{"epsilon", "epsilon"}, {"sample", "x0"}, {"v_prediction", "v"}};

static tw_status add_process(tw_text *t, const tw_item *s)
{
    tw_status st = TW_OK;
    double steps = 1000, start = 1e-4, end = 0.02;
    const char *schedule = NULL, *prediction = NULL;
    const tw_item *beta = tw_item_find(s, "beta_schedule"),
                  *type = tw_item_find(s, "prediction_type");
    (void)tw_item_number(tw_item_find(s, "num_train_timesteps"), &steps);
    (void)tw_item_number(tw_item_find(s, "beta_start"), &start);
    (void)tw_item_number(tw_item_find(s, "beta_end"), &end);
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++)
        if (tw_item_is(beta, schedules[i].theirs)) schedule = schedules[i].ours;
    for (size_t i = 0; i < sizeof predictions / sizeof *predictions; i++)
        if (tw_item_is(type, predictions[i].theirs)) prediction = predictions[i].ours;
    TW_CHECK((schedule || !beta) && (prediction || !type) && steps >= 2 && steps <= 1e6, TW_EDATA,
             "its scheduler's beta_schedule or prediction_type is unknown");
    /* theirs are the first and last of any number of steps, ours those of 1000 */
    TW_TRY(tw_text_add(t,
                       "[process]\nkind = ddpm\nschedule = %s\ntimesteps = %.0f\nbeta_min = %.12g\n"
                       "beta_max = %.12g\n[prediction]\nkind = %s\n",
                       schedule ? schedule : "linear", steps, start * steps / 1000,
                       end * steps / 1000, prediction ? prediction : "epsilon"));
done:
    return st;
}

static tw_status configure(tw_found *out, const tw_source *s)
{
    tw_status st = TW_OK;
    int64_t side[2] = {0, 0}, channels = 0, classes = 0, levels;
    const tw_item *c = s->config;
    TW_CHECK(c, TW_EDATA, "there is no config.json beside it; --config may say its configuration");
    const tw_item *size = tw_item_find(c, "sample_size");
    (void)tw_item_integer(tw_item_find(c, "in_channels"), &channels);
    if (tw_item_integer(size, &side[0])) side[1] = side[0];
    (void)tw_item_integer(tw_item_at(size, 0), &side[0]);
    (void)tw_item_integer(tw_item_at(size, 1), &side[1]);
    TW_TRY(add_network(&out->config, c));
    levels = tw_item_find(c, "block_out_channels")->as.list.count;
    if (side[0] < 1 || side[1] < 1) {
        side[0] = side[1] = INT64_C(4) << (levels < 10 ? levels : 10);
        TW_TRY(tw_text_add(&out->assumed, "samples of %lld x %lld (data.shape)", (long long)side[0],
                           (long long)side[1]));
    }
    if (!s->scheduler)
        TW_TRY(tw_text_add(&out->assumed, "%sthe schedule of DDPM (process.schedule)",
                           out->assumed.length ? ", " : ""));
    if (tw_item_integer(tw_item_find(c, "num_class_embeds"), &classes) && classes > 0)
        TW_TRY(tw_text_add(&out->config, "classes = %lld\n", (long long)classes));
    TW_TRY(add_process(&out->config, s->scheduler));
    TW_TRY(tw_text_add(&out->config, "[data]\nshape = %lld, %lld, %lld\n", (long long)side[0],
                       (long long)side[1], (long long)channels));
    TW_TRY(tw_text_add(&out->network, "UNet2DModel: %lld level%s", (long long)levels,
                       levels > 1 ? "s" : ""));
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

const tw_system tw_system_diffusers = {
    .name = "diffusers",
    .summary = "diffusers' UNet2DModel",
    .claims = claims,
    .read = read,
};
