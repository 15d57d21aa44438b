/* A folder that diffusers' DDPMPipeline.from_pretrained opens: model_index.json, unet/config.json,
 * unet/diffusion_pytorch_model.safetensors, scheduler/scheduler_config.json.
 *
 * UNet2DModel holds the U-Net of DDPM as Ho placed its attention (one head, padding at the end
 * alone, sines first, frequencies over half - 1): its parameters have the same names here in both
 * networks, so one is built beside the other and filled by them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "weights/exporter.h"

extern const tw_exporter tw_export_diffusers;

enum { LEVELS_MAX = 16 };

/* What unet/config.json says. */
typedef struct unet2d {
    tw_config_ints channels, down, up;
    int64_t layers, head_dim, groups, attn_groups, padding;
    double eps, freq_shift, mid_scale, dropout;
    bool flip, attention, center, scale_shift;
} unet2d;

/* ---- values of a description ---- */

static int64_t integer_of(const tw_text *description, const char *key)
{
    char value[256];
    return strtoll(tw_described(description, key, value), NULL, 10);
}

static double number_of(const tw_text *description, const char *key)
{
    char value[256];
    return strtod(tw_described(description, key, value), NULL);
}

static bool yes_of(const tw_text *description, const char *key)
{
    bool yes = false;
    return tw_described_value(&yes, description, key, TW_CONFIG_BOOL, NULL) == TW_OK && yes;
}

/* ---- the network ---- */

static tw_status from_diffusers(unet2d *u, const tw_text *d)
{
    tw_status st = TW_OK;
    char value[256];
    TW_TRY(tw_described_value(&u->channels, d, "block_out_channels", TW_CONFIG_INTS, NULL));
    TW_TRY(tw_described_value(&u->down, d, "down_attention", TW_CONFIG_INTS, NULL));
    TW_TRY(tw_described_value(&u->up, d, "up_attention", TW_CONFIG_INTS, NULL));
    u->layers = integer_of(d, "layers_per_block");
    u->head_dim = integer_of(d, "attention_head_dim");
    u->groups = integer_of(d, "norm_num_groups");
    u->attn_groups = integer_of(d, "attn_norm_num_groups");
    u->padding = integer_of(d, "downsample_padding");
    u->eps = number_of(d, "norm_eps");
    u->freq_shift = number_of(d, "freq_shift");
    u->mid_scale = number_of(d, "mid_block_scale_factor");
    u->dropout = number_of(d, "dropout");
    u->flip = yes_of(d, "flip_sin_to_cos");
    u->attention = yes_of(d, "add_attention");
    u->center = yes_of(d, "center_input_sample");
    u->scale_shift = strcmp(tw_described(d, "resnet_time_scale_shift", value), "scale_shift") == 0;
done:
    return st;
}

static tw_status from_ho(unet2d *u, const tw_text *d, int64_t height)
{
    tw_status st = TW_OK;
    char value[256];
    tw_config_ints mult, attention;
    TW_CHECK(strcmp(tw_described(d, "attention_placement", value), "ho") == 0, TW_ECONFIG,
             "network.attention_placement: UNet2DModel has attention after every block of a level "
             "(ho), not after the last alone (%s)",
             value);
    TW_CHECK(yes_of(d, "resamp_with_conv"), TW_ECONFIG,
             "network.resamp_with_conv: UNet2DModel resamples by convolutions; yes was expected");
    TW_CHECK(yes_of(d, "centered") && !yes_of(d, "scale_by_sigma"), TW_ECONFIG,
             "network.%s: UNet2DModel takes data in [-1, 1], and gives its output as it is",
             yes_of(d, "centered") ? "scale_by_sigma" : "centered");
    TW_TRY(tw_described_value(&mult, d, "mult", TW_CONFIG_INTS, NULL));
    TW_TRY(tw_described_value(&attention, d, "attention", TW_CONFIG_INTS, NULL));
    *u = (unet2d){.layers = integer_of(d, "blocks"),
                  .groups = integer_of(d, "groups"),
                  .eps = 1e-6,
                  .freq_shift = 1,
                  .mid_scale = 1,
                  .dropout = number_of(d, "dropout"),
                  .attention = true};
    u->channels.count = mult.count;
    for (int64_t l = 0; l < mult.count; l++) {
        u->channels.values[l] = integer_of(d, "base") * mult.values[l];
        bool attends = false;
        for (int64_t k = 0; k < attention.count; k++) attends |= attention.values[k] == height >> l;
        if (!attends) continue;
        u->down.values[u->down.count++] = l;
    }
    for (int64_t k = u->down.count - 1; k >= 0; k--)
        u->up.values[u->up.count++] = mult.count - 1 - u->down.values[k];
done:
    return st;
}

static tw_status add_ints(tw_text *t, const char *key, const tw_config_ints *list)
{
    tw_status st = TW_OK;
    TW_TRY(tw_text_add(t, "%s =", key));
    for (int64_t i = 0; i < list->count; i++)
        TW_TRY(tw_text_add(t, "%s %lld", i ? "," : "", (long long)list->values[i]));
    TW_TRY(tw_text_add(t, "%s\n", list->count ? "" : " none"));
done:
    return st;
}

/* The configuration of UNet2DModel that is the same network. */
static tw_status same_network(tw_text *t, const unet2d *u, const tw_model *m)
{
    tw_status st = TW_OK;
    TW_TRY(tw_text_add(t,
                       "[network]\nkind = diffusers_unet\nlayers_per_block = %lld\n"
                       "norm_num_groups = %lld\nattention_head_dim = 0\ndownsample_padding = 0\n"
                       "norm_eps = %.12g\nfreq_shift = %.12g\nflip_sin_to_cos = no\n"
                       "classes = %lld\nlabel_dropout = %.12g\n",
                       (long long)u->layers, (long long)u->groups, u->eps, u->freq_shift,
                       (long long)m->classes, m->label_dropout));
    TW_TRY(add_ints(t, "block_out_channels", &u->channels));
    TW_TRY(add_ints(t, "down_attention", &u->down));
    TW_TRY(add_ints(t, "up_attention", &u->up));
    TW_TRY(tw_text_add(t, "[process]\nkind = ddpm\n[prediction]\nvariance = %s\n",
                       m->variance == TW_VARIANCE_FIXED ? "fixed" : "learned_range"));
done:
    return st;
}

/* The same parameters by the same names. */
static tw_status copy_params(tw_model *to, const tw_model *from)
{
    tw_status st = TW_OK;
    float *plain = NULL;
    TW_TRY(tw_alloc(&plain, from->params->size, sizeof *plain, "a parameter"));
    TW_CHECK(to->params->view_count == from->params->view_count, TW_EINTERNAL,
             "UNet2DModel has %d parameters and this network %d", to->params->view_count,
             from->params->view_count);
    for (int i = 0; i < from->params->view_count; i++) {
        const tw_param_view *v = &from->params->views[i], *w = tw_params_find(to->params, v->name);
        TW_CHECK(w && tw_shape_equal(v->shape, w->shape), TW_EINTERNAL,
                 "UNet2DModel has no parameter %s of this shape", v->name);
        tw_params_to_plain(v, from->params->value, plain);
        tw_params_from_plain(w, plain, to->params->value);
    }
done:
    tw_free(&plain);
    return st;
}

static tw_status write_as(tw_exporting *e, const tw_model *m)
{
    tw_status st = TW_OK;
    tw_named_arrays a = {0};
    TW_TRY(tw_named_arrays_create(&a, m));
    TW_TRY(
        tw_export_arrays(e, "unet/diffusion_pytorch_model.safetensors", a.arrays, a.count, "pt"));
done:
    tw_named_arrays_free(&a);
    return st;
}

static tw_status write_weights(tw_exporting *e, const unet2d *u)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    tw_config *config = NULL;
    tw_model *m = NULL;
    if (strcmp(e->r->model->net->kind.name, "diffusers_unet") == 0) return write_as(e, e->r->model);
    TW_TRY(same_network(&text, u, e->r->model));
    TW_TRY(tw_config_create(&config));
    TW_TRY(tw_config_parse(config, text.data, text.length, "UNet2DModel"));
    TW_TRY(tw_model_configure(&m, config));
    TW_TRY(tw_config_finish(config));
    TW_TRY(tw_model_create(m, e->r->model->sample, 0));
    TW_TRY(copy_params(m, e->r->model));
    TW_TRY(write_as(e, m));
done:
    tw_model_destroy(&m);
    tw_config_destroy(&config);
    tw_text_free(&text);
    return st;
}

/* ---- JSON ---- */

static void put_pair(tw_json *j, const char *key, const char *a, const char *b)
{
    tw_json_list(j, key);
    tw_json_string(j, NULL, a);
    tw_json_string(j, NULL, b);
    tw_json_end(j);
}

static tw_status write_index(tw_exporting *e)
{
    tw_json j = {0};
    tw_json_object(&j, NULL);
    tw_json_string(&j, "_class_name", "DDPMPipeline");
    put_pair(&j, "scheduler", "diffusers", "DDPMScheduler");
    put_pair(&j, "unet", "diffusers", "UNet2DModel");
    return tw_export_json(e, "model_index.json", &j);
}

static void put_blocks(tw_json *j, const char *key, const tw_config_ints *attends, int64_t count,
                       const char *with, const char *without)
{
    tw_json_list(j, key);
    for (int64_t k = 0; k < count; k++) {
        bool has = false;
        for (int64_t i = 0; i < attends->count; i++) has |= attends->values[i] == k;
        tw_json_string(j, NULL, has ? with : without);
    }
    tw_json_end(j);
}

static void put_size(tw_json *j, const tw_model *m)
{
    if (m->sample.dims[0] == m->sample.dims[1]) {
        tw_json_int64(j, "sample_size", m->sample.dims[0]);
        return;
    }
    tw_json_list(j, "sample_size");
    tw_json_int64(j, NULL, m->sample.dims[0]);
    tw_json_int64(j, NULL, m->sample.dims[1]);
    tw_json_end(j);
}

static void put_or_null(tw_json *j, const char *key, int64_t value)
{
    if (value > 0)
        tw_json_int64(j, key, value);
    else
        tw_json_null(j, key);
}

static tw_status write_network(tw_exporting *e, const unet2d *u)
{
    tw_json j = {0};
    const tw_model *m = e->r->model;
    const int64_t channels = m->sample.dims[2];
    tw_json_object(&j, NULL);
    tw_json_string(&j, "_class_name", "UNet2DModel");
    put_size(&j, m);
    tw_json_int64(&j, "in_channels", channels);
    tw_json_int64(&j, "out_channels", m->variance == TW_VARIANCE_FIXED ? channels : 2 * channels);
    tw_json_bool(&j, "center_input_sample", u->center);
    tw_json_string(&j, "time_embedding_type", "positional");
    tw_json_double(&j, "freq_shift", u->freq_shift);
    tw_json_bool(&j, "flip_sin_to_cos", u->flip);
    put_blocks(&j, "down_block_types", &u->down, u->channels.count, "AttnDownBlock2D",
               "DownBlock2D");
    put_blocks(&j, "up_block_types", &u->up, u->channels.count, "AttnUpBlock2D", "UpBlock2D");
    tw_json_list(&j, "block_out_channels");
    for (int64_t l = 0; l < u->channels.count; l++) tw_json_int64(&j, NULL, u->channels.values[l]);
    tw_json_end(&j);
    tw_json_int64(&j, "layers_per_block", u->layers);
    tw_json_double(&j, "mid_block_scale_factor", u->mid_scale);
    tw_json_int64(&j, "downsample_padding", u->padding);
    tw_json_double(&j, "dropout", u->dropout);
    tw_json_string(&j, "act_fn", "silu");
    put_or_null(&j, "attention_head_dim", u->head_dim);
    tw_json_int64(&j, "norm_num_groups", u->groups);
    put_or_null(&j, "attn_norm_num_groups", u->attn_groups);
    tw_json_double(&j, "norm_eps", u->eps);
    tw_json_string(&j, "resnet_time_scale_shift", u->scale_shift ? "scale_shift" : "default");
    tw_json_bool(&j, "add_attention", u->attention);
    put_or_null(&j, "num_class_embeds", m->classes ? m->classes + (m->label_dropout > 0) : 0);
    return tw_export_json(e, "unet/config.json", &j);
}

/* Betas of theirs are the first and last of any number of steps, ours those of 1000. */
static tw_status write_scheduler(tw_exporting *e)
{
    tw_status st = TW_OK;
    tw_text d = {0};
    tw_json j = {0};
    char value[256];
    static const char *const words[][2] = {
        {"linear", "linear"},   {"quadratic", "scaled_linear"}, {"cosine", "squaredcos_cap_v2"},
        {"sigmoid", "sigmoid"}, {"epsilon", "epsilon"},         {"x0", "sample"},
        {"v", "v_prediction"}};
    const char *schedule = NULL, *prediction = NULL;
    const tw_model *m = e->r->model;
    const tw_choice process = {&m->process->kind->kind, (void *)(uintptr_t)m->process->config};
    TW_CHECK(strcmp(process.kind->name, "ddpm") == 0, TW_ECONFIG,
             "process.kind: diffusers' DDPMScheduler has ddpm alone, not %s", process.kind->name);
    TW_TRY(tw_choice_describe(&d, &process));
    (void)tw_described(&d, "schedule", value);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(value, words[i][0]) == 0) schedule = words[i][1];
        if (i > 3 && strcmp(m->prediction->kind.name, words[i][0]) == 0) prediction = words[i][1];
    }
    TW_CHECK(schedule && prediction, TW_ECONFIG,
             "process.schedule = %s with prediction.kind = %s: DDPMScheduler has no such", value,
             m->prediction->kind.name);
    const double scale = 1000 / number_of(&d, "timesteps");
    tw_json_object(&j, NULL);
    tw_json_string(&j, "_class_name", "DDPMScheduler");
    tw_json_int64(&j, "num_train_timesteps", integer_of(&d, "timesteps"));
    tw_json_string(&j, "beta_schedule", schedule);
    tw_json_double(&j, "beta_start", scale * number_of(&d, "beta_min"));
    tw_json_double(&j, "beta_end", scale * number_of(&d, "beta_max"));
    tw_json_string(&j, "prediction_type", prediction);
    tw_json_string(&j, "variance_type",
                   m->variance == TW_VARIANCE_FIXED ? "fixed_small" : "learned_range");
    tw_json_bool(&j, "clip_sample", true);
    TW_TRY(tw_export_json(e, "scheduler/scheduler_config.json", &j));
done:
    tw_text_free(&d);
    return st;
}

static tw_status make_folder(const tw_exporting *e, const char *name)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    TW_TRY(tw_format(path, sizeof path, "%s/%s", e->folder, name));
    TW_TRY(tw_output_check_folder(path));
done:
    return st;
}

static tw_status write(tw_exporting *e)
{
    tw_status st = TW_OK;
    unet2d u = {.layers = 0};
    tw_text d = {0};
    const tw_model *m = e->r->model;
    const char *kind = m->net->kind.name;
    TW_CHECK(
        (strcmp(kind, "unet") == 0 || strcmp(kind, "diffusers_unet") == 0) && m->sample.rank == 3,
        TW_ECONFIG, "network.kind: UNet2DModel is unet or diffusers_unet of images, not %s", kind);
    TW_TRY(tw_choice_describe(&d, &m->network));
    TW_TRY(strcmp(kind, "unet") == 0 ? from_ho(&u, &d, m->sample.dims[0]) : from_diffusers(&u, &d));
    TW_TRY(make_folder(e, "unet"));
    TW_TRY(make_folder(e, "scheduler"));
    TW_TRY(write_scheduler(e));
    TW_TRY(write_network(e, &u));
    TW_TRY(write_weights(e, &u));
    TW_TRY(write_index(e)); /* last: without it the folder is none */
done:
    tw_text_free(&d);
    return st;
}

const tw_exporter tw_export_diffusers = {
    .name = "diffusers",
    .summary = "a folder for DDPMPipeline.from_pretrained: unet (attention_placement = ho), "
               "diffusers_unet",
    .write = write,
};
