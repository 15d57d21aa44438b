/* score_sde (Song et al. 2021): PyTorch's checkpoints, {model, ema, step}, whose EMA is a list
 * without names in the order of the trained parameters; and JAX's, {optimizer, params_ema, step} of
 * flax (sde_flax.c). */
#include <stdio.h>
#include <string.h>

#include "weights/sde_flax.h"
#include "weights/sde_shapes.h"

extern const tw_system tw_system_score_sde;

static tw_claim claims(const tw_source *s)
{
    const tw_item *root = s->archive->root, *model = tw_item_find(root, "model");
    if (tw_item_find(root, "params_ema") || tw_item_find_path(root, "optimizer/target"))
        return TW_CLAIM_SURE;
    if (!model || model->type != TW_ITEM_DICT) return TW_CLAIM_NO;
    for (const tw_link *l = model->as.list.first; l; l = l->next)
        if (l->key->type == TW_ITEM_TEXT && l->key->as.text.length > 19 &&
            memcmp(l->key->as.text.data, "module.all_modules.", 19) == 0)
            return TW_CLAIM_SURE;
    return TW_CLAIM_NO;
}

/* ---- PyTorch's flat list of modules ---- */

static bool has(const tw_state_dict *d, int module, const char *leaf)
{
    return tw_state_dict_findf(d, "all_modules.%d.%s", module, leaf) != NULL;
}

static int64_t size(const tw_state_dict *d, int module, const char *leaf, int k)
{
    const tw_named_tensor *t = tw_state_dict_findf(d, "all_modules.%d.%s", module, leaf);
    return t && k < t->tensor->rank ? t->tensor->shape[k] : 0;
}

static int rank(const tw_state_dict *d, int module, const char *leaf)
{
    const tw_named_tensor *t = tw_state_dict_findf(d, "all_modules.%d.%s", module, leaf);
    return t ? t->tensor->rank : 0;
}

static tw_status add_block(sde_facts *f, const tw_state_dict *d, int n)
{
    if (f->block_count == SDE_BLOCKS_MAX)
        return tw_error_set(TW_EDATA, "it has more than %d residual blocks", SDE_BLOCKS_MAX);
    f->blocks[f->block_count++] = (sde_block){.in = size(d, n, "Conv_0.weight", 1),
                                              .out = size(d, n, "Conv_0.weight", 0),
                                              .nin = has(d, n, "NIN_0.W"),
                                              .conv = has(d, n, "Conv_2.weight")};
    return TW_OK;
}

static tw_status read_module(sde_facts *f, const tw_state_dict *d, int n)
{
    tw_status st = TW_OK;
    const int weight = rank(d, n, "weight");
    if (has(d, n, "Conv_1.weight")) {
        TW_TRY(add_block(f, d, n));
    } else if (has(d, n, "NIN_3.W")) {
        if (f->block_count > 0) f->blocks[f->block_count - 1].attends = true;
        f->attention_count++;
    } else if (has(d, n, "Conv2d_0.weight")) {
        if (f->chains++ == 0) f->first_chain = f->block_count;
        f->last_chain = f->block_count;
    } else if (size(d, n, "Conv_0.weight", 2) == 1) {
        if (f->joins++ == 0) f->join_rows = (int)size(d, n, "Conv_0.weight", 0);
    } else if (has(d, n, "Conv_0.weight")) {
        f->resamplings++;
    } else if (weight == 4 && f->base == 0) {
        f->base = size(d, n, "weight", 0);
        f->channels = size(d, n, "weight", 1);
    } else if (weight == 1) {
        f->heads++;
    } else if (has(d, n, "W")) {
        f->fourier = true;
    }
done:
    return st;
}

/* The geometric noise levels of the VE SDE, largest first. */
static tw_status read_sigmas(sde_facts *f, const tw_item *model)
{
    tw_status st = TW_OK;
    float values[4096];
    const tw_item *s = tw_item_find(model, "module.sigmas");
    if (!s || s->type != TW_ITEM_TENSOR || s->as.tensor->count < 2 || s->as.tensor->count > 4096)
        return TW_OK;
    TW_TRY(tw_tensor_read(s->as.tensor, values));
    f->sigma_max = (double)values[0];
    f->sigma_min = (double)values[s->as.tensor->count - 1];
done:
    return st;
}

static tw_status read_facts(tw_found *out, const tw_item *model)
{
    tw_status st = TW_OK;
    sde_facts f = {.attention_placed = true};
    int modules = 0, n;
    for (int64_t i = 0; i < out->state.count; i++)
        if (sscanf(out->state.items[i].name, "all_modules.%d.", &n) == 1 && n >= modules &&
            n < 4096)
            modules = n + 1;
    for (n = 0; n < modules; n++) TW_TRY(read_module(&f, &out->state, n));
    TW_TRY(read_sigmas(&f, model));
    TW_TRY(sde_configure(out, &f));
done:
    return st;
}

static tw_status read_torch(tw_found *out, const tw_source *s, bool ema)
{
    tw_status st = TW_OK;
    double decay = 0;
    const tw_item *root = s->archive->root, *model = tw_item_find(root, "model"),
                  *shadow = tw_item_find_path(root, "ema/shadow_params");
    TW_CHECK(model, TW_EDATA, "it has no 'model'");
    TW_TRY(tw_state_dict_add_all(&out->state, model, "module."));
    TW_TRY(tw_text_add(&out->weights, "raw"));
    if (ema) {
        TW_CHECK(shadow && shadow->type == TW_ITEM_LIST, TW_EDATA, "it has no EMA weights");
        out->ordered = shadow;
        out->weights.length = 0;
        if (tw_item_number(tw_item_find_path(root, "ema/decay"), &decay))
            TW_TRY(tw_text_add(&out->weights, "ema:%.12g", decay));
        else
            TW_TRY(tw_text_add(&out->weights, "ema:unknown"));
    }
    out->has_ema = shadow && !ema;
    (void)tw_item_integer(tw_item_find(root, "step"), &out->step);
    if (decay > 0) /* it grows as the EMA of ema.warmup does */
        TW_TRY(tw_text_add(&out->config, "[ema]\nrates = %.12g\nwarmup = yes\n", decay));
    TW_TRY(read_facts(out, model));
done:
    return st;
}

static tw_status read(tw_found *out, const tw_source *s, bool ema)
{
    const tw_item *root = s->archive->root;
    if (tw_item_find(root, "params_ema") || tw_item_find_path(root, "optimizer/target"))
        return sde_flax_read(out, s, ema);
    return read_torch(out, s, ema);
}

static tw_status arrange(tw_found *found, const tw_source *s, const tw_reference_names *names)
{
    return found->flax ? sde_flax_arrange(found, s, names) : TW_OK;
}

static bool ignores(const char *name)
{
    return strcmp(name, "sigmas") == 0;
}

const tw_system tw_system_score_sde = {
    .name = "score_sde",
    .summary = "score_sde and score_sde_pytorch: DDPM, DDPM++ and NCSN++",
    .claims = claims,
    .read = read,
    .arrange = arrange,
    .ignores = ignores,
};
