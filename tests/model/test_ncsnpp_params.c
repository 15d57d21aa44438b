/* The parameters of DDPM++, NCSN++ and SongUNet: as many as published, under the published names in
 * the published order, and where they begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/model_fixture.h"

/* A model whose parameters are named, not made: some have 400 MB of them. */
static tw_model *configure(tw_config **config, const char *keys, tw_shape sample)
{
    tw_model *m = NULL;
    char text[512];
    snprintf(text, sizeof text, "[network]\nkind = ncsnpp\n%s", keys);
    ok(tw_config_create(config));
    ok(tw_config_parse(*config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&m, *config));
    ok(tw_config_finish(*config));
    ok(m->net->check(m->network.config, sample));
    m->sample = sample;
    return m;
}

#define PP "fir = yes\nprogressive_input = residual\n"
#define VE PP "embedding = fourier\nscale_by_sigma = yes\ncentered = no\n"
#define SKIPS                                                                                      \
    "fir = yes\nprogressive_input = input_skip\nprogressive = output_skip\nembedding = "           \
    "fourier\nscale_by_sigma = yes\ncentered = no\n"
#define EDM "library = edm\n"
#define EDM_PP EDM PP "embedding = fourier\n"

/* tensors: of the published state, without its buffer of noise levels; 0: not published */
static const struct {
    const char *keys;
    int64_t side, trained, frozen;
    int tensors;
} counts[] = {
    {"", 32, 61804419, 0, 564},
    {"blocks = 8\n", 32, 106632579, 0, 956},
    {PP, 32, 62693251, 0, 570},
    {PP "blocks = 8\n", 32, 107521411, 0, 962},
    {VE, 32, 62758787, 128, 571},
    {VE "blocks = 8\n", 32, 107586947, 128, 963},
    {PP "scale_by_sigma = yes\ncentered = no\n", 64, 62693251, 0, 570},
    {SKIPS "mult = 1, 1, 2, 2, 2, 2, 2\nblocks = 2\n", 256, 65574421, 128, 0},
    {SKIPS "base = 16\nmult = 1, 2, 4, 8, 16, 32, 32, 32\nblocks = 1\n", 1024, 105785896 - 16, 16,
     0},
    {EDM, 32, 61804419, 0, 0},
    {EDM_PP, 32, 62758787, 128, 0},
    {EDM "mult = 2, 2, 2\naugment_labels = 9\n", 32, 55733891, 0, 0},
    {EDM "mult = 2, 2, 2\naugment_labels = 9\nclasses = 10\n", 32, 55735299, 0, 0},
    {EDM_PP "mult = 2, 2, 2\naugment_labels = 9\n", 32, 56397827, 128, 0},
    {EDM_PP "mult = 2, 2, 2\naugment_labels = 9\nclasses = 10\n", 32, 56400643, 128, 0},
};

static int64_t trained(const tw_graph *g)
{
    int64_t n = 0;
    for (int i = 0; i < tw_graph_param_count(g); i++)
        n += tw_shape_count(tw_graph_param(g, i)->shape);
    return n;
}

static void parameters_are_as_many_as_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        tw_config *config = NULL;
        tw_graph *g = NULL;
        tw_reference_names names = {0};
        int64_t named = 0;
        tw_model *m =
            configure(&config, counts[i].keys, TW_SHAPE(counts[i].side, counts[i].side, 3));
        ok(tw_graph_create(&g));
        tw_model_build(g, m, 1, &names);
        ok(tw_graph_status(g));
        if (trained(g) != counts[i].trained)
            fail_msg("%s: %lld parameters, published are %lld", counts[i].keys,
                     (long long)trained(g), (long long)counts[i].trained);
        for (int k = 0; k < names.count; k++) named += tw_shape_count(names.items[k].shape);
        assert_int_equal(named, counts[i].trained + counts[i].frozen);
        if (counts[i].tensors) assert_int_equal(names.count, counts[i].tensors);
        tw_reference_names_free(&names);
        tw_graph_destroy(&g);
        destroy_model(&m, &config);
    }
}

static int find(const tw_reference_names *names, const char *name)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->items[i].name, name) == 0) return i;
    fail_msg("%s is not published", name);
    return -1;
}

/* Each is published, behind the one before. */
static void in_order(const char *keys, const char *const *wanted, int n)
{
    tw_config *config = NULL;
    tw_reference_names names = {0};
    int last = -1;
    tw_model *m = configure(&config, keys, TW_SHAPE(32, 32, 3));
    ok(tw_model_reference_names(&names, m));
    for (int i = 0; i < n; i++) {
        const int at = find(&names, wanted[i]);
        if (at <= last) fail_msg("%s stands before %s", wanted[i], wanted[i - 1]);
        last = at;
    }
    tw_reference_names_free(&names);
    destroy_model(&m, &config);
}
#define IN_ORDER(keys, ...)                                                                        \
    in_order(keys, (const char *const[]){__VA_ARGS__},                                             \
             (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static void names_are_score_sdes(void **state)
{
    (void)state;
    IN_ORDER("", "all_modules.0.weight", "all_modules.1.bias", "all_modules.2.weight",
             "all_modules.3.GroupNorm_0.weight", "all_modules.3.Conv_0.weight",
             "all_modules.3.Dense_0.weight", "all_modules.3.GroupNorm_1.bias",
             "all_modules.3.Conv_1.bias", "all_modules.7.Conv_2.weight",
             "all_modules.8.Conv_2.weight", "all_modules.9.NIN_0.W", "all_modules.9.NIN_3.b",
             "all_modules.27.NIN_2.W", "all_modules.46.NIN_3.W", "all_modules.47.Conv_2.bias",
             "all_modules.53.weight", "all_modules.54.bias");
    IN_ORDER(VE, "all_modules.0.W", "all_modules.1.weight", "all_modules.3.weight",
             "all_modules.8.Conv_2.weight", "all_modules.9.Conv2d_0.weight",
             "all_modules.9.Conv2d_0.bias", "all_modules.11.NIN_0.W",
             "all_modules.19.Conv2d_0.weight", "all_modules.31.NIN_3.b", "all_modules.50.NIN_3.W",
             "all_modules.57.weight", "all_modules.58.bias");
    IN_ORDER(SKIPS, "all_modules.8.Conv_2.weight", "all_modules.10.Conv_0.weight",
             "all_modules.11.GroupNorm_0.weight");
    IN_ORDER("resblock = ddpm\nblocks = 1\n", "all_modules.3.Conv_0.weight",
             "all_modules.4.Conv_0.weight", "all_modules.5.Conv_1.weight", "all_modules.5.NIN_0.W");
}

static void names_are_edms(void **state)
{
    (void)state;
    IN_ORDER(EDM_PP "classes = 10\naugment_labels = 9\n", "model.map_noise.freqs",
             "model.map_label.weight", "model.map_label.bias", "model.map_augment.weight",
             "model.map_layer0.weight", "model.map_layer1.bias", "model.enc.32x32_conv.weight",
             "model.enc.32x32_block0.norm0.weight", "model.enc.32x32_block0.conv0.weight",
             "model.enc.32x32_block0.affine.bias", "model.enc.32x32_block0.norm1.weight",
             "model.enc.32x32_block0.conv1.weight", "model.enc.16x16_down.skip.weight",
             "model.enc.16x16_aux_residual.weight", "model.enc.16x16_block0.skip.weight",
             "model.enc.16x16_block0.norm2.weight", "model.enc.16x16_block0.qkv.weight",
             "model.enc.16x16_block0.proj.bias", "model.dec.4x4_in0.qkv.bias",
             "model.dec.4x4_in1.conv1.weight", "model.dec.4x4_block4.conv0.weight",
             "model.dec.8x8_up.skip.weight", "model.dec.16x16_block4.proj.weight",
             "model.dec.32x32_block4.skip.bias", "model.dec.32x32_aux_norm.weight",
             "model.dec.32x32_aux_conv.bias");
    IN_ORDER(EDM "progressive_input = input_skip\nprogressive = output_skip\n",
             "model.enc.16x16_down.conv0.weight", "model.enc.16x16_aux_skip.weight",
             "model.dec.4x4_aux_norm.weight", "model.dec.4x4_aux_conv.weight",
             "model.dec.8x8_up.conv0.weight", "model.dec.8x8_aux_norm.bias",
             "model.dec.32x32_aux_conv.bias");
}

/* q, k and v of a channel one after the other there, all q first here; and of a head's channels. */
static void rows_of_queries_keys_and_values_find_their_places(void **state)
{
    (void)state;
    const tw_published edm = {.shape = TW_SHAPE(6, 2, 1, 1), .parts = 3, .block = 1};
    const int64_t of_edm[6] = {0, 2, 4, 1, 3, 5};
    for (int64_t i = 0; i < 12; i++)
        assert_int_equal(tw_published_index(&edm, i), of_edm[i / 2] * 2 + i % 2);
    const tw_published heads = {.shape = TW_SHAPE(12), .parts = 3, .block = 2};
    const int64_t of_heads[12] = {0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11};
    for (int64_t i = 0; i < 12; i++) assert_int_equal(tw_published_index(&heads, i), of_heads[i]);
    const tw_published nin = {.shape = TW_SHAPE(2, 3), .first = 3, .transposed = true};
    const int64_t of_nin[6] = {6, 8, 10, 7, 9, 11};
    for (int64_t i = 0; i < 6; i++) assert_int_equal(tw_published_index(&nin, i), of_nin[i]);
}

/* ---- where parameters begin ---- */

static bool ends(const char *name, const char *tail)
{
    const size_t n = strlen(name), k = strlen(tail);
    return n >= k && strcmp(name + n - k, tail) == 0;
}

/* Variance scaling's factor by what the layer is for. */
static double scale_of(const char *name)
{
    static const char *const last[] = {".conv2.weight", ".proj.weight", "out.conv.weight",
                                       ".pyramid.conv.weight"};
    for (size_t i = 0; i < sizeof last / sizeof *last; i++)
        if (ends(name, last[i])) return 1e-10;
    return ends(name, ".qkv.weight") ? 0.1 : 1;
}

/* U(±√(3 scale / fan)), fan the mean of inputs and outputs with their taps: within its bounds, near
 * them, and of their variance to six of its standard deviations. */
static void is_variance_scaled(const tw_param_view *v, const float *x)
{
    const double taps = (double)v->count / (double)(v->shape.dims[0] * v->shape.dims[1]);
    const double rows =
        (double)v->shape.dims[0] / (ends(v->name, ".qkv.weight") ? 3 : 1); /* each by itself */
    const double fan = taps * (rows + (double)v->shape.dims[1]) / 2;
    const double bound = sqrt(3 * scale_of(v->name) / fan), n = (double)v->count;
    double sum = 0, squares = 0, most = 0;
    for (int64_t i = 0; i < v->count; i++) {
        const double u = (double)x[i] / bound;
        sum += u;
        squares += u * u;
        most = fabs(u) > most ? fabs(u) : most;
    }
    if (most > 1 + 1e-6 || most < pow(1e-4, 1 / n) || fabs(sum / n) > 6 * sqrt(1 / (3 * n)) ||
        fabs(squares / n - 1.0 / 3) > 6 * sqrt(4 / (45 * n)))
        fail_msg("%s: mean %.3g, mean square %.3g, largest %.3g of the bound %.3g", v->name,
                 sum / n, squares / n, most, bound);
}

static void is_constant(const tw_param_view *v, const float *x, float value)
{
    for (int64_t i = 0; i < v->count; i++)
        if (x[i] != value) fail_msg("%s: %g, not %g", v->name, (double)x[i], (double)value);
}

static void is_normal(const tw_param_view *v, const float *x, double std)
{
    double sum = 0, squares = 0;
    const double n = (double)v->count;
    for (int64_t i = 0; i < v->count; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    assert_true(fabs(sum / n) < 6 * std / sqrt(n));
    assert_true(fabs(squares / n / (std * std) - 1) < 6 * sqrt(2 / n));
}

static void parameters_begin_as_published(const char *keys)
{
    tw_config *config = NULL;
    tw_model *m = configure(&config, keys, TW_SHAPE(16, 16, 3));
    int kinds[4] = {0};
    ok(tw_model_create(m, TW_SHAPE(16, 16, 3), 3));
    for (int i = 0; i < m->params->view_count; i++) {
        const tw_param_view *v = &m->params->views[i];
        float *x = malloc((size_t)v->count * sizeof *x);
        tw_params_to_plain(v, m->params->value, x);
        const int kind = ends(v->name, "frequencies") ? 0
                         : ends(v->name, ".bias")     ? 1
                         : v->shape.rank == 1         ? 2
                                                      : 3;
        kinds[kind]++;
        if (kind == 0)
            is_normal(v, x, 16);
        else if (kind == 3)
            is_variance_scaled(v, x);
        else
            is_constant(v, x, kind == 2 ? 1 : 0); /* normalisations are the identity */
        free(x);
    }
    assert_int_equal(kinds[0], 1);
    assert_true(kinds[1] > 20 && kinds[2] > 8 && kinds[3] > 20);
    destroy_model(&m, &config);
}

static void initial_weights_are_variance_scaled_and_last_layers_nearly_zero(void **state)
{
    (void)state;
    static const char *const small = "base = 32\nmult = 1, 2\nblocks = 1\nattention = 8\n";
    static const char *const which[] = {SKIPS, VE, EDM_PP "classes = 4\naugment_labels = 9\n"};
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        char keys[512];
        snprintf(keys, sizeof keys, "%s%s", which[i], small);
        parameters_begin_as_published(keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_as_many_as_published),
        cmocka_unit_test(names_are_score_sdes),
        cmocka_unit_test(names_are_edms),
        cmocka_unit_test(rows_of_queries_keys_and_values_find_their_places),
        cmocka_unit_test(initial_weights_are_variance_scaled_and_last_layers_nearly_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
