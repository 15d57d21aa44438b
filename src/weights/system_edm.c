/* EDM (Karras et al. 2022): network-snapshot-*.pkl, whose weights are the EMA, and
 * training-state-*.pt, whose are not. A network is an object with its attributes: parameters and
 * buffers by name, modules within modules; and the arguments that it was made with. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "weights/system.h"

extern const tw_system tw_system_edm;

enum { DEPTH_MAX = 16, MODULES_MAX = 20000 };

static const tw_item *find_network(const tw_source *s, bool *averaged)
{
    const tw_item *ema = tw_item_find(s->archive->root, "ema"),
                  *net = tw_item_find(s->archive->root, "net");
    *averaged = ema && ema->type == TW_ITEM_OBJECT;
    return *averaged ? ema : net && net->type == TW_ITEM_OBJECT ? net : NULL;
}

static tw_claim claims(const tw_source *s)
{
    bool averaged;
    return find_network(s, &averaged) ? TW_CLAIM_SURE : TW_CLAIM_NO;
}

/* ---- tensors ---- */

static tw_status add_tensors(tw_state_dict *d, const tw_item *list, const char *prefix)
{
    tw_status st = TW_OK;
    char key[128], name[512];
    if (!list || list->type != TW_ITEM_DICT) return TW_OK;
    for (const tw_link *l = list->as.list.first; l; l = l->next) {
        if (l->value->type != TW_ITEM_TENSOR) continue;
        TW_CHECK(tw_item_text(l->key, key, sizeof key) &&
                     snprintf(name, sizeof name, "%s%s", prefix, key) < (int)sizeof name,
                 TW_EDATA, "a parameter's name is too long");
        TW_TRY(tw_state_dict_add(d, name, l->value->as.tensor));
    }
done:
    return st;
}

static tw_status walk(tw_state_dict *d, const tw_item *module, const char *prefix, int depth,
                      int *modules)
{
    tw_status st = TW_OK;
    char key[128], inner[512];
    const tw_item *list = tw_item_find(module, "_modules");
    TW_CHECK(depth < DEPTH_MAX && ++*modules < MODULES_MAX, TW_EDATA,
             "its modules are nested deeper than %d, or more than %d", DEPTH_MAX, MODULES_MAX);
    TW_TRY(add_tensors(d, tw_item_find(module, "_parameters"), prefix));
    TW_TRY(add_tensors(d, tw_item_find(module, "_buffers"), prefix));
    if (!list || list->type != TW_ITEM_DICT) goto done;
    for (const tw_link *l = list->as.list.first; l; l = l->next) {
        if (l->value->type != TW_ITEM_OBJECT) continue;
        TW_CHECK(tw_item_text(l->key, key, sizeof key) &&
                     snprintf(inner, sizeof inner, "%s%s.", prefix, key) < (int)sizeof inner,
                 TW_EDATA, "a module's name is too long");
        TW_TRY(walk(d, l->value, inner, depth + 1, modules));
    }
done:
    return st;
}

/* ---- configuration ---- */

static const tw_item *argument(const tw_item *module, const char *name)
{
    return tw_item_find(tw_item_find(module, "_init_kwargs"), name);
}

static tw_status add_list(tw_text *t, const char *key, const tw_item *list)
{
    tw_status st = TW_OK;
    int64_t value;
    if (!list) return TW_OK;
    TW_TRY(tw_text_add(t, "%s = ", key));
    for (const tw_link *l = list->type == TW_ITEM_LIST ? list->as.list.first : NULL; l;
         l = l->next) {
        TW_CHECK(tw_item_integer(l->value, &value), TW_EDATA, "its %s holds %s", key,
                 tw_item_type_name(l->value));
        TW_TRY(tw_text_add(t, "%s%lld", l == list->as.list.first ? "" : ", ", (long long)value));
    }
    TW_TRY(tw_text_add(t, "\n"));
done:
    return st;
}

/* A choice of theirs as a line of ours; nothing where it is not said. */
typedef struct word {
    const char *theirs, *ours;
} word;

static tw_status add_word(tw_text *t, const tw_item *module, const char *name, const word *words,
                          int count)
{
    char value[64];
    const tw_item *item = argument(module, name);
    if (!item) return TW_OK;
    for (int i = 0; i < count; i++)
        if (tw_item_is(item, words[i].theirs)) return tw_text_add(t, "%s\n", words[i].ours);
    (void)tw_item_text(item, value, sizeof value);
    return tw_error_set(TW_EDATA, "its %s is '%s', which is unknown", name, value);
}

static const word embeddings[] = {{"positional", "embedding = positional"},
                                  {"fourier", "embedding = fourier"}},
                  encoders[] = {{"standard", "progressive_input = none"},
                                {"skip", "progressive_input = input_skip"},
                                {"residual", "progressive_input = residual"}},
                  decoders[] = {{"standard", "progressive = none"},
                                {"skip", "progressive = output_skip"}};

static tw_status add_integer(tw_text *t, const char *key, const tw_item *item)
{
    int64_t value;
    if (!item || !tw_item_integer(item, &value)) return TW_OK;
    return tw_text_add(t, "%s = %lld\n", key, (long long)value);
}

/* SongUNet: DDPM++ and NCSN++. */
static tw_status add_song(tw_text *t, const tw_item *net)
{
    tw_status st = TW_OK;
    const tw_item *filter = argument(net, "resample_filter");
    TW_TRY(tw_text_add(t, "kind = ncsnpp\nlibrary = edm\n"));
    TW_TRY(add_integer(t, "base", argument(net, "model_channels")));
    TW_TRY(add_integer(t, "blocks", argument(net, "num_blocks")));
    TW_TRY(add_integer(t, "channel_mult_noise", argument(net, "channel_mult_noise")));
    TW_TRY(add_integer(t, "augment_labels", argument(net, "augment_dim")));
    TW_TRY(add_list(t, "mult", argument(net, "channel_mult")));
    TW_TRY(add_list(t, "attention", argument(net, "attn_resolutions")));
    TW_TRY(add_word(t, net, "embedding_type", embeddings, 2));
    TW_TRY(add_word(t, net, "encoder_type", encoders, 3));
    TW_TRY(add_word(t, net, "decoder_type", decoders, 2));
    if (filter && filter->type == TW_ITEM_LIST && filter->as.list.count > 2) {
        TW_TRY(tw_text_add(t, "fir = yes\n"));
        TW_TRY(add_list(t, "fir_kernel", filter));
    }
done:
    return st;
}

static double attribute(const tw_item *module, const char *name, double usual)
{
    double value;
    return tw_item_number(tw_item_find(module, name), &value) ? value : usual;
}

/* The preconditioning says what the network's output means; noise levels are EDM's own clock. */
static tw_status add_process(tw_text *t, const tw_item *net)
{
    tw_status st = TW_OK;
    char class[64];
    const int64_t n = net->as.object.length;
    const double low = attribute(net, "sigma_min", 0), high = attribute(net, "sigma_max", 0);
    snprintf(class, sizeof class, "%.*s", (int)(n < 60 ? n : 60), net->as.object.data);
    TW_TRY(tw_text_add(t, "[process]\nkind = edm\n"));
    if (low > 0) TW_TRY(tw_text_add(t, "sigma_min = %.12g\n", low));
    if (high > low && isfinite(high)) TW_TRY(tw_text_add(t, "sigma_max = %.12g\n", high));
    TW_TRY(tw_text_add(t, "[prediction]\n"));
    if (strcmp(class, "VPPrecond") == 0)
        TW_TRY(tw_text_add(t, "kind = edm_vp\nbeta_min = %.12g\nbeta_d = %.12g\nlevels = %.12g\n",
                           attribute(net, "beta_min", 0.1), attribute(net, "beta_d", 19.9),
                           attribute(net, "M", 1000)));
    else if (strcmp(class, "VEPrecond") == 0)
        TW_TRY(tw_text_add(t, "kind = edm_ve\n"));
    else if (strcmp(class, "iDDPMPrecond") == 0)
        TW_TRY(tw_text_add(t, "kind = edm_iddpm\n"));
    else if (strcmp(class, "EDMPrecond") == 0)
        TW_TRY(
            tw_text_add(t, "kind = edm\nsigma_data = %.12g\n", attribute(net, "sigma_data", 0.5)));
    else
        TW_FAIL(
            TW_EDATA,
            "its preconditioning %s is none of VPPrecond, VEPrecond, iDDPMPrecond and EDMPrecond",
            class);
done:
    return st;
}

static tw_status configure(tw_found *out, const tw_item *net)
{
    tw_status st = TW_OK;
    int64_t side = 0, channels = 0, classes = 0;
    const tw_item *inner = tw_item_find_path(net, "_modules/model");
    TW_CHECK(inner && inner->type == TW_ITEM_OBJECT, TW_EDATA, "it has no module 'model'");
    (void)tw_item_integer(tw_item_find(net, "img_resolution"), &side);
    (void)tw_item_integer(tw_item_find(net, "img_channels"), &channels);
    (void)tw_item_integer(tw_item_find(net, "label_dim"), &classes);
    TW_CHECK(side > 0 && channels > 0, TW_EDATA, "it does not say img_resolution and img_channels");
    TW_CHECK(inner->as.object.length == 8 && memcmp(inner->as.object.data, "SongUNet", 8) == 0,
             TW_EDATA, "its network is %.*s; SongUNet is supported",
             (int)(inner->as.object.length < 60 ? inner->as.object.length : 60),
             inner->as.object.data);
    TW_TRY(tw_text_add(&out->config, "[data]\nshape = %lld, %lld, %lld\n[network]\n",
                       (long long)side, (long long)side, (long long)channels));
    TW_TRY(add_song(&out->config, inner));
    if (classes > 0) TW_TRY(tw_text_add(&out->config, "classes = %lld\n", (long long)classes));
    TW_TRY(add_process(&out->config, net));
    TW_TRY(tw_text_add(&out->network, "SongUNet in %.*s", (int)net->as.object.length,
                       net->as.object.data));
done:
    return st;
}

static tw_status read(tw_found *out, const tw_source *s, bool ema)
{
    tw_status st = TW_OK;
    bool averaged;
    int modules = 0;
    const tw_item *net = find_network(s, &averaged);
    TW_CHECK(net, TW_EDATA, "it has neither 'ema' nor 'net'");
    TW_CHECK(averaged || !ema, TW_EDATA,
             "it holds the weights themselves; their EMA is in network-snapshot-*.pkl");
    TW_TRY(walk(&out->state, net, "", 0, &modules));
    TW_TRY(tw_text_add(&out->weights, averaged ? "ema:unknown" : "raw"));
    if (!out->configured) TW_TRY(configure(out, net));
done:
    return st;
}

static bool ignores(const char *name)
{
    const char *leaf = strrchr(name, '.');
    return strcmp(leaf ? leaf + 1 : name, "resample_filter") == 0 || strcmp(name, "u") == 0;
}

const tw_system tw_system_edm = {
    .name = "edm",
    .summary = "EDM's SongUNet",
    .claims = claims,
    .read = read,
    .ignores = ignores,
};
