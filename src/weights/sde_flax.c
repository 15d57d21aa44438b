/* JAX's modules are numbered for each class in the order of their calls, which is the order of
 * PyTorch's flat list: module N of that list is the k-th of its class, and its class follows from
 * the names of its parameters. Kernels are [kh, kw, in, out] and [in, out]; views turn them round.
 */
#include "weights/sde_flax.h"

#include <stdio.h>
#include <string.h>

#include "weights/sde_shapes.h"

/* ---- classes ---- */

typedef enum class { FOURIER, DENSE, CONV, NORM, BLOCK, ATTENTION, DOWN, UP, JOIN, CLASSES } class;

/* The member "PREFIX…_k" of a tree of modules; the class's full name differs with its version. */
static const tw_item *find_module(const tw_item *tree, const char *prefix, int k)
{
    char end[16];
    const size_t n = strlen(prefix);
    snprintf(end, sizeof end, "_%d", k);
    const size_t m = strlen(end);
    for (const tw_link *l = tree ? tree->as.list.first : NULL; l; l = l->next) {
        if (l->key->type != TW_ITEM_TEXT || l->key->as.text.length < (int64_t)(n + m)) continue;
        const char *key = l->key->as.text.data, *last = key + l->key->as.text.length - m;
        if (memcmp(key, prefix, n) == 0 && memcmp(last, end, m) == 0) return l->value;
    }
    return NULL;
}

static const char *const prefixes[CLASSES] = {"GaussianFourierProjection",
                                              "Dense",
                                              "Conv",
                                              "GroupNorm",
                                              "ResnetBlock",
                                              "AttnBlock",
                                              "Downsample",
                                              "Upsample",
                                              "Combine"};

static int64_t size(const tw_item *module, const char *path, int k)
{
    const tw_item *t = tw_item_find_path(module, path);
    return t && t->type == TW_ITEM_TENSOR && k < t->as.tensor->rank ? t->as.tensor->shape[k] : 0;
}

/* ---- what the network is ---- */

static void read_blocks(sde_facts *f, const tw_item *tree)
{
    const tw_item *m;
    for (int k = 0; k < SDE_BLOCKS_MAX && (m = find_module(tree, prefixes[BLOCK], k)); k++)
        f->blocks[f->block_count++] = (sde_block){.in = size(m, "Conv_0/kernel", 2),
                                                  .out = size(m, "Conv_0/kernel", 3),
                                                  .nin = tw_item_find(m, "NIN_0") != NULL,
                                                  .conv = tw_item_find(m, "Conv_2") != NULL};
}

static int count(const tw_item *tree, class c)
{
    int k = 0;
    while (k < SDE_BLOCKS_MAX && find_module(tree, prefixes[c], k)) k++;
    return k;
}

static tw_status configure(tw_found *out, const tw_item *tree)
{
    sde_facts f = {0};
    const tw_item *join = find_module(tree, prefixes[JOIN], 0),
                  *down = find_module(tree, prefixes[DOWN], 0),
                  *up = find_module(tree, prefixes[UP], 0);
    f.fourier = find_module(tree, prefixes[FOURIER], 0) != NULL;
    f.base = size(tree, "Conv_0/kernel", 3);
    f.channels = size(tree, "Conv_0/kernel", 2);
    read_blocks(&f, tree);
    f.attention_count = count(tree, ATTENTION);
    f.attention_channels = size(find_module(tree, prefixes[ATTENTION], 0), "NIN_0/W", 0);
    f.heads = count(tree, NORM);
    f.joins = count(tree, JOIN);
    f.join_rows = (int)size(join, "Conv_0/kernel", 3);
    if (tw_item_find(down, "Conv2d_0")) f.chains++;
    if (tw_item_find(up, "Conv2d_0")) f.chains++, f.last_chain = f.block_count;
    if (f.chains == 1) f.first_chain = f.last_chain;
    if (tw_item_find(down, "Conv_0")) f.resamplings = 2 * count(tree, DOWN);
    return sde_configure(out, &f);
}

tw_status sde_flax_read(tw_found *out, const tw_source *s, bool ema)
{
    tw_status st = TW_OK;
    double rate = 0;
    const tw_item *root = s->archive->root, *raw = tw_item_find_path(root, "optimizer/target"),
                  *average = tw_item_find(root, "params_ema");
    out->flax = ema ? average : raw;
    TW_CHECK(out->flax && out->flax->type == TW_ITEM_DICT, TW_EDATA, "it has no %s",
             ema ? "params_ema" : "optimizer/target");
    out->has_ema = average && !ema;
    if (!ema)
        TW_TRY(tw_text_add(&out->weights, "raw"));
    else if (tw_item_number(tw_item_find(root, "ema_rate"), &rate))
        TW_TRY(tw_text_add(&out->weights, "ema:%.6g", rate)); /* of an f32 */
    else
        TW_TRY(tw_text_add(&out->weights, "ema:unknown"));
    (void)tw_item_integer(tw_item_find(root, "step"), &out->step);
    TW_TRY(configure(out, out->flax));
done:
    return st;
}

/* ---- names and layouts ---- */

/* Of PyTorch's module `n`, by the names of its parameters. */
static class classify(const tw_reference_names *names, int n, bool *second_half)
{
    char prefix[32];
    class c = CLASSES;
    snprintf(prefix, sizeof prefix, "all_modules.%d.", n);
    const size_t length = strlen(prefix);
    *second_half = false;
    for (int i = 0; i < names->count; i++) {
        const tw_published *e = &names->items[i];
        if (strncmp(e->name, prefix, length) != 0) continue;
        const char *leaf = e->name + length;
        if (strcmp(leaf, "Conv_1.weight") == 0) return BLOCK;
        if (strcmp(leaf, "NIN_3.W") == 0) return ATTENTION;
        if (strcmp(leaf, "W") == 0) return FOURIER;
        *second_half = strncmp(e->param, "up.", 3) == 0;
        if (strcmp(leaf, "Conv_0.weight") == 0 && e->shape.dims[2] == 1) c = JOIN;
        if (strcmp(leaf, "Conv_0.weight") == 0 && e->shape.dims[2] != 1) c = DOWN;
        if (strcmp(leaf, "Conv2d_0.weight") == 0) c = DOWN;
        if (strcmp(leaf, "weight") == 0)
            c = e->shape.rank == 4 ? CONV : e->shape.rank == 2 ? DENSE : NORM;
    }
    return c == DOWN && *second_half ? UP : c;
}

/* PyTorch's "Conv_0.weight" in JAX: the inner module and the leaf. */
static const tw_item *find_leaf(const tw_item *module, const char *leaf)
{
    char inner[64];
    const char *dot = strchr(leaf, '.');
    static const char *const weights[] = {"kernel", "scale", "weight", "W"};
    if (dot) {
        snprintf(inner, sizeof inner, "%.*s", (int)(dot - leaf), leaf);
        module = tw_item_find(module, inner);
        leaf = dot + 1;
    }
    if (strcmp(leaf, "weight") != 0) return tw_item_find(module, leaf);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        const tw_item *item = tw_item_find(module, weights[i]);
        if (item) return item;
    }
    return NULL;
}

/* [kh, kw, in, out] as [out, in, kh, kw], [in, out] as [out, in], [1, 1, 1, C] as [C]: a view. NIN
 * and Fourier features lie as PyTorch's. */
static tw_status turned(tw_archive *a, const tw_tensor **out, const tw_tensor *t,
                        const tw_published *e)
{
    tw_status st = TW_OK;
    static const int conv[] = {3, 2, 0, 1}, dense[] = {1, 0}, last[] = {3};
    const size_t length = strlen(e->name);
    const bool weight = length > 7 && strcmp(e->name + length - 7, ".weight") == 0;
    const int *order = NULL;
    tw_tensor *view = NULL;
    if (weight && t->rank == 4 && e->shape.rank == 4) order = conv;
    if (weight && t->rank == 2 && e->shape.rank == 2) order = dense;
    if (t->rank == 4 && e->shape.rank == 1 && t->shape[0] * t->shape[1] * t->shape[2] == 1)
        order = last;
    *out = t;
    if (!order) return TW_OK;
    TW_TRY(tw_arena_take(&a->arena, &view, 1, sizeof *view));
    *view = *t;
    view->rank = e->shape.rank;
    for (int k = 0; k < view->rank; k++) {
        view->shape[k] = t->shape[order[k]];
        view->stride[k] = t->stride[order[k]];
    }
    *out = view;
done:
    return st;
}

tw_status sde_flax_arrange(tw_found *found, const tw_source *s, const tw_reference_names *names)
{
    tw_status st = TW_OK;
    int counters[CLASSES + 1] = {0}, last = -1, n;
    const tw_item *module = NULL;
    bool second_half;
    for (int i = 0; i < names->count; i++) {
        const tw_published *e = &names->items[i];
        int at = 0;
        const tw_tensor *t = NULL;
        TW_CHECK(sscanf(e->name, "all_modules.%d.%n", &n, &at) == 1 && at > 0, TW_ECONFIG,
                 "the configured network has not score_sde's names (%s)", e->name);
        if (n != last) {
            const class c = classify(names, n, &second_half);
            module = c < CLASSES ? find_module(found->flax, prefixes[c], counters[c]++) : NULL;
            last = n;
        }
        const tw_item *item = module ? find_leaf(module, e->name + at) : NULL;
        if (!item || item->type != TW_ITEM_TENSOR) continue; /* will be missing */
        TW_TRY(turned(s->archive, &t, item->as.tensor, e));
        TW_TRY(tw_state_dict_add(&found->state, e->name, t));
    }
done:
    return st;
}
