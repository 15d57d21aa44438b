/* Reconstructions compared by the feature maps of a classifier: the distance against a slow one in
 * double, its slopes against finite differences, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "objective/objective_fixture.h"
#include "run/run_config.h"
#include "tweedie/restore.h"

#define AUTOENCODER                                                                                \
    "[network]\nkind = autoencoder\nblock_out_channels = 8, 8\nlayers_per_block = 1\n"             \
    "latent_channels = 2\nnorm_num_groups = 4\n[objective]\nkind = autoencoder\nkl_weight = 0\n"

enum { SIDE = 8, CHANNELS = 2, DIMS = SIDE * SIDE * CHANNELS, BATCH = 2, LATENT = 4 * 4 * 2 };

typedef struct setting {
    tw_config *config;
    tw_objective_config oc;
    tw_model *m;
    tw_objective *o;
} setting;

static void make(setting *s, const char *text, tw_model *classifier)
{
    const tw_objective_options options = {.batch = BATCH,
                                          .global_batch = BATCH,
                                          .precision = TW_PRECISION_F32,
                                          .convolution = TW_CONVOLUTION_DIRECT,
                                          .gradients = true};
    tw_restored restored = {.model = classifier};
    memset(s, 0, sizeof *s);
    ok(tw_config_create(&s->config));
    ok(tw_config_parse(s->config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&s->m, s->config));
    ok(tw_objective_bind(&s->oc, s->config));
    ok(tw_config_finish(s->config));
    s->m->features = classifier;
    ok(tw_model_create(s->m, TW_SHAPE(SIDE, SIDE, CHANNELS), 1));
    ok(tw_objective_add_params(&s->oc, s->m, 1));
    if (classifier) ok(tw_run_take_features(s->m->params, &restored));
    ok(tw_params_use_gradient(s->m->params, NULL));
    ok(tw_objective_create(&s->o, s->m, &s->oc, &options));
    tw_objective_refresh(s->o);
}

static void destroy(setting *s)
{
    tw_objective_destroy(&s->o);
    tw_objective_config_free(&s->oc);
    tw_model_destroy(&s->m);
    tw_config_destroy(&s->config);
}

/* ---- the distance ---- */

typedef struct maps {
    int count;
    int64_t positions[TW_NET_MAPS_MAX], channels[TW_NET_MAPS_MAX];
    double *value[TW_NET_MAPS_MAX]; /* [BATCH][positions][channels] */
} maps;

/* As the classifier's own plan gives them. */
static void compute_maps(maps *out, const tw_model *classifier, const float *x)
{
    tw_graph *g = NULL;
    tw_plan *plan = NULL;
    tw_net_maps v;
    char name[16];
    const tw_plan_options options = {.precision = TW_PRECISION_F32,
                                     .convolution = TW_CONVOLUTION_DIRECT};
    ok(tw_graph_create(&g));
    tw_model_build_maps(&v, g, classifier,
                        tw_input(g, "x", TW_F32, TW_SHAPE(BATCH, SIDE, SIDE, CHANNELS)));
    for (int k = 0; k < v.count; k++) {
        snprintf(name, sizeof name, "map%d", k);
        tw_graph_output(g, name, tw_cast(g, v.map[k], TW_F32));
    }
    ok(tw_graph_status(g));
    ok(tw_plan_create(&plan, g, classifier->params, &options));
    tw_plan_refresh(plan);
    memcpy(tw_plan_input(plan, "x"), x, BATCH * DIMS * sizeof *x);
    tw_plan_execute(plan, &(tw_plan_run){0});
    out->count = v.count;
    for (int k = 0; k < v.count; k++) {
        const int64_t n = tw_shape_count(v.map[k]->shape);
        snprintf(name, sizeof name, "map%d", k);
        const float *from = tw_plan_output(plan, name);
        out->channels[k] = tw_shape_channels(v.map[k]->shape);
        out->positions[k] = n / BATCH / out->channels[k];
        out->value[k] = malloc((size_t)n * sizeof(double));
        for (int64_t i = 0; i < n; i++) out->value[k][i] = (double)from[i];
    }
    tw_plan_destroy(&plan);
    tw_graph_destroy(&g);
}

static double length(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return fmax(sqrt(sum), 1e-2);
}

static double distance(const maps *a, const maps *b, int sample)
{
    double all = 0;
    for (int k = 0; k < a->count; k++) {
        const int64_t c = a->channels[k];
        double sum = 0;
        for (int64_t p = 0; p < a->positions[k]; p++) {
            const double *u = a->value[k] + (sample * a->positions[k] + p) * c,
                         *v = b->value[k] + (sample * a->positions[k] + p) * c;
            for (int64_t i = 0; i < c; i++)
                sum += pow(u[i] / length(u, c) - v[i] / length(v, c), 2);
        }
        all += sum / (double)a->positions[k];
    }
    return all;
}

static void free_maps(maps *m)
{
    for (int k = 0; k < m->count; k++) free(m->value[k]);
}

/* What the objective decodes: its noise is of the probe's stream. */
static void reconstruct(const setting *s, const float *x, float *y)
{
    tw_model_codec *codec = NULL;
    float mean[BATCH * LATENT], log_variance[BATCH * LATENT], z[BATCH * LATENT], e[LATENT];
    ok(tw_model_codec_create(&codec, s->m, TW_CODEC_ENCODER | TW_CODEC_DECODER, BATCH,
                             TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    tw_model_codec_encode(codec, BATCH, x, mean, log_variance);
    for (int i = 0; i < BATCH; i++) {
        const tw_rng_stream noise = {.seed = 3, .position = i, .purpose = TW_RNG_PROBE};
        tw_rng_normal(e, &noise, 0, LATENT);
        for (int k = 0; k < LATENT; k++)
            z[i * LATENT + k] =
                mean[i * LATENT + k] + expf(0.5f * log_variance[i * LATENT + k]) * e[k];
    }
    tw_model_codec_decode(codec, BATCH, z, y, NULL);
    tw_model_codec_destroy(&codec);
}

static const tw_objective_step step = {.seed = 3, .count = BATCH, .weight = 1.0 / BATCH};

static void the_term_is_the_distance(const char *classifier_text, int depths)
{
    tw_config *cc = NULL;
    tw_model *classifier = make_model(&cc, classifier_text, TW_SHAPE(SIDE, SIDE, CHANNELS));
    setting with, without;
    maps of_x, of_y;
    float x[BATCH * DIMS], y[BATCH * DIMS];
    const double *t, *a, *b;
    make(&with, AUTOENCODER "feature_weight = 3\n", classifier);
    make(&without, AUTOENCODER, NULL);
    fill_normal(x, 2, BATCH * DIMS);
    tw_objective_run(with.o, &step, x);
    tw_objective_run(without.o, &step, x);
    tw_objective_last(with.o, &t, &a);
    tw_objective_last(without.o, &t, &b);
    reconstruct(&without, x, y);
    compute_maps(&of_x, classifier, x);
    compute_maps(&of_y, classifier, y);
    assert_int_equal(of_x.count, depths);
    for (int i = 0; i < BATCH; i++) {
        const double wanted = 3 * distance(&of_x, &of_y, i);
        assert_true(wanted > 0.01);
        if (!(fabs(a[i] - b[i] - wanted) < 1e-4 * wanted + 1e-5))
            fail_msg("sample %d: %.9g met, %.9g wanted", i, a[i] - b[i], wanted);
    }
    free_maps(&of_x);
    free_maps(&of_y);
    destroy(&with);
    destroy(&without);
    destroy_model(&classifier, &cc);
}

#define CONVNET                                                                                    \
    "[network]\nkind = convnet\nclasses = 3\nbase = 4\nlevels = 2\ngroups = 2\n"                   \
    "[process]\nkind = single\n"
#define WIDE                                                                                       \
    "[network]\nkind = wideresnet\nclasses = 3\nblocks = 1\nwiden = 2\nmean = 0.5, 0.4\n"          \
    "std = 0.2, 0.3\n[process]\nkind = ve\n"
#define ADM                                                                                        \
    "[network]\nkind = adm_classifier\nclasses = 3\nbase = 8\nmult = 1, 2\nblocks = 1\n"           \
    "groups = 4\nattention_downsample = none\npool = adaptive\nheads = 2\ndropout = 0.5\n"

static void each_classifiers_maps_are_compared(void **state)
{
    (void)state;
    the_term_is_the_distance(CONVNET, 2);
    the_term_is_the_distance(WIDE, 3);
    the_term_is_the_distance(ADM, 3);
}

/* ---- gradients ---- */

static void slopes_are_those_of_the_loss(void **state)
{
    static const char *const names[] = {"decoder.out.conv.bias", "decoder.in.bias", "latent.bias"};
    tw_config *cc = NULL;
    tw_model *classifier = make_model(&cc, CONVNET, TW_SHAPE(SIDE, SIDE, CHANNELS));
    setting s;
    float x[BATCH * DIMS];
    (void)state;
    make(&s, AUTOENCODER "distance = l2\ngradient_weight = 0\nfeature_weight = 5\n", classifier);
    fill_normal(x, 2, BATCH * DIMS);
    tw_params *p = s.m->params;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const tw_param_view *v = tw_params_find(p, names[k]);
        if (!v) fail_msg("there is no %s", names[k]);
        double around[2];
        tw_objective_refresh(s.o);
        tw_objective_run(s.o, &step, x);
        const double slope = (double)p->gradient[v->offset];
        const float kept = p->value[v->offset];
        for (int side = 0; side < 2; side++) {
            p->value[v->offset] = kept + (side ? 2e-3f : -2e-3f);
            tw_objective_refresh(s.o);
            around[side] = tw_objective_run(s.o, &step, x);
        }
        p->value[v->offset] = kept;
        const double met = (around[1] - around[0]) / 4e-3;
        if (!(fabs(met - slope) < 0.02 * (0.1 + fabs(slope))))
            fail_msg("%s: slope %g, differences %g", names[k], slope, met);
    }
    destroy(&s);
    destroy_model(&classifier, &cc);
}

/* They lie behind all that an optimiser, a reduction and the EMA touch, with the classifier's
 * values. */
static void the_classifier_is_frozen(void **state)
{
    tw_config *cc = NULL;
    tw_model *classifier = make_model(&cc, WIDE, TW_SHAPE(SIDE, SIDE, CHANNELS));
    setting s;
    int found = 0;
    (void)state;
    make(&s, AUTOENCODER "feature_weight = 1\n", classifier);
    const tw_params *p = s.m->params, *of = classifier->params;
    for (int i = 0; i < of->view_count; i++) {
        char name[2 * TW_NAME_MAX];
        snprintf(name, sizeof name, "objective.features.%s", of->views[i].name);
        const tw_param_view *v = tw_params_find(p, name);
        if (!v) continue; /* behind the last map */
        found++;
        assert_int_equal(v->role, TW_ROLE_CONSTANT);
        assert_true(v->offset >= p->summed);
        assert_memory_equal(p->value + v->offset, of->value + of->views[i].offset,
                            (size_t)v->count * sizeof(float));
    }
    assert_true(found > 10);
    destroy(&s);
    destroy_model(&classifier, &cc);
}

static void what_does_not_fit_is_refused(void **state)
{
    tw_config *cc = NULL, *other = NULL;
    tw_model *wide = make_model(&cc, WIDE, TW_SHAPE(SIDE, SIDE, CHANNELS)),
             *score = make_model(&other, "[network]\nkind = unet\nbase = 8\ngroups = 4\n",
                                 TW_SHAPE(SIDE, SIDE, CHANNELS));
    const struct {
        const tw_model *classifier;
        const char *says;
        int64_t side, channels;
    } cases[] = {{NULL, "objective.features: must be given", SIDE, CHANNELS},
                 {score, "is no classifier", SIDE, CHANNELS},
                 {wide, "objective.features: network.mean", SIDE, 1}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        setting s = {0};
        static const char text[] = AUTOENCODER "feature_weight = 1\n";
        ok(tw_config_create(&s.config));
        ok(tw_config_parse(s.config, text, sizeof text - 1, "test"));
        ok(tw_model_configure(&s.m, s.config));
        ok(tw_objective_bind(&s.oc, s.config));
        ok(tw_config_finish(s.config));
        s.m->features = cases[k].classifier;
        ok(tw_model_create(s.m, TW_SHAPE(cases[k].side, cases[k].side, cases[k].channels), 1));
        assert_int_equal(tw_objective_check(&s.oc, s.m), TW_ECONFIG);
        if (!strstr(tw_error_message(), cases[k].says)) fail_msg("%s", tw_error_message());
        destroy(&s);
    }
    destroy_model(&wide, &cc);
    destroy_model(&score, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_classifiers_maps_are_compared),
        cmocka_unit_test(slopes_are_those_of_the_loss),
        cmocka_unit_test(the_classifier_is_frozen),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
