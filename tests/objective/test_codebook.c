/* A codebook that is state: its running means against their definition, and where they go. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "objective/adversarial.h"
#include "objective/objective_fixture.h"
#include "tweedie/param_names.h"

#define TEXT                                                                                       \
    "[network]\nkind = autoencoder\nblock_out_channels = 8, 8\nlayers_per_block = 1\n"             \
    "latent_channels = 2\nnorm_num_groups = 4\ncodes = 5\n"                                        \
    "[objective]\nkind = vector_quantised\ncodebook = ema\n"

enum { SIDE = 4, DIMS = SIDE * SIDE, CODES = 5, WIDTH = 2, VECTORS = 4, BATCH = 3 };

typedef struct setting {
    tw_config *config;
    tw_objective_config oc;
    tw_model *m;
    tw_objective *o;
    tw_objective_advance advance;
    float x[BATCH * DIMS];
} setting;

static void make(setting *s, const char *text)
{
    const tw_objective_options options = {.batch = BATCH,
                                          .global_batch = BATCH,
                                          .precision = TW_PRECISION_F32,
                                          .convolution = TW_CONVOLUTION_DIRECT,
                                          .gradients = true};
    memset(s, 0, sizeof *s);
    ok(tw_config_create(&s->config));
    ok(tw_config_parse(s->config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&s->m, s->config));
    ok(tw_objective_bind(&s->oc, s->config));
    ok(tw_config_finish(s->config));
    tw_objective_prepare(&s->oc, s->m);
    ok(tw_model_create(s->m, TW_SHAPE(SIDE, SIDE, 1), 1));
    ok(tw_objective_add_params(&s->oc, s->m, 1));
    ok(tw_params_use_gradient(s->m->params, NULL));
    ok(tw_objective_create(&s->o, s->m, &s->oc, &options));
    tw_objective_advance_init(&s->advance, &s->oc, s->m,
                              s->m->params->gradient + s->m->params->trainable);
    fill_normal(s->x, 3, BATCH * DIMS);
}

static void destroy(setting *s)
{
    tw_objective_destroy(&s->o);
    tw_objective_config_free(&s->oc);
    tw_model_destroy(&s->m);
    tw_config_destroy(&s->config);
}

static float *values(const setting *s, const char *name)
{
    const tw_param_view *v = tw_params_find(s->m->params, name);
    assert_non_null(v);
    assert_int_equal(v->role, TW_ROLE_STATE);
    return s->m->params->value + v->offset;
}

static void close_to(const char *what, double met, double wanted)
{
    if (!(fabs(met - wanted) <= 1e-5 * (1 + fabs(wanted))))
        fail_msg("%s: %.9g met, %.9g wanted", what, met, wanted);
}

typedef struct means {
    double n[CODES], m[CODES][WIDTH], e[CODES][WIDTH];
} means;

/* One step by the definition, of `count` samples' vectors. */
static void follow(means *a, const float *z, int count, double gamma)
{
    double all = 0;
    for (int k = 0; k < CODES; k++) {
        a->n[k] *= gamma;
        for (int d = 0; d < WIDTH; d++) a->m[k][d] *= gamma;
    }
    means old = *a;
    for (int i = 0; i < count * VECTORS; i++) {
        int best = 0;
        double least = INFINITY;
        for (int k = 0; k < CODES; k++) {
            double sum = 0;
            for (int d = 0; d < WIDTH; d++) sum += pow((double)z[i * WIDTH + d] - old.e[k][d], 2);
            if (sum < least) {
                least = sum;
                best = k;
            }
        }
        a->n[best] += 1 - gamma;
        for (int d = 0; d < WIDTH; d++) a->m[best][d] += (1 - gamma) * (double)z[i * WIDTH + d];
    }
    for (int k = 0; k < CODES; k++) all += a->n[k];
    for (int k = 0; k < CODES; k++)
        for (int d = 0; d < WIDTH; d++)
            a->e[k][d] = a->m[k][d] / ((a->n[k] + 1e-5) / (all + CODES * 1e-5) * all);
}

/* Samples that only fill the microbatch up do not count. */
static void codes_are_the_running_means_of_their_vectors(void **state)
{
    setting s;
    means a = {{0}, {{0}}, {{0}}};
    tw_model_codec *codec = NULL;
    float z[BATCH * VECTORS * WIDTH];
    (void)state;
    make(&s, TEXT "codebook_decay = 0.75\ncodebook_restart = 0\n");
    assert_int_equal(tw_params_find(s.m->params, "codes.weight")->role, TW_ROLE_STATE);
    const float *e = values(&s, "codes.weight"), *n = values(&s, "objective.codes.uses"),
                *m = values(&s, "objective.codes.sum");
    for (int k = 0; k < CODES; k++) {
        a.n[k] = 1;
        for (int d = 0; d < WIDTH; d++) a.m[k][d] = a.e[k][d] = (double)e[k * WIDTH + d];
    }
    ok(tw_model_codec_create(&codec, s.m, TW_CODEC_ENCODER, BATCH, TW_PRECISION_F32,
                             TW_CONVOLUTION_DIRECT));
    for (int step = 0; step < 3; step++) {
        const int count = step == 1 ? BATCH - 1 : BATCH;
        const tw_objective_step run = {
            .seed = 1, .step = step, .count = count, .weight = 1.0 / BATCH};
        for (int i = 0; i < BATCH * DIMS; i++) s.x[i] += 0.3f * (float)step;
        tw_objective_refresh(s.o);
        tw_objective_run(s.o, &run, s.x);
        tw_objective_advance_run(&s.advance);
        tw_model_codec_encode(codec, count, s.x, z, NULL);
        follow(&a, z, count, 0.75);
        for (int k = 0; k < CODES; k++) {
            close_to("a count", (double)n[k], a.n[k]);
            for (int d = 0; d < WIDTH; d++) {
                close_to("a sum", (double)m[k * WIDTH + d], a.m[k][d]);
                close_to("a code", (double)e[k * WIDTH + d], a.e[k][d]);
            }
        }
    }
    tw_model_codec_destroy(&codec);
    destroy(&s);
}

/* Four clusters of unequal weight around the origin, and codes that all begin near it: most are
 * taken by no vector at first. */
static void codes_find_clusters(void **state)
{
    static const float centre[4][2] = {{5, 4}, {-4, 5}, {-5, -6}, {6, -5}};
    static const int weight[4] = {8, 1, 4, 2};
    setting s;
    float noise[2 * 15];
    (void)state;
    make(&s, TEXT "codebook_decay = 0.9\n");
    const float *e = values(&s, "codes.weight");
    const tw_objective_kind *kind = (const tw_objective_kind *)s.oc.kind.kind;
    float uses[CODES], sum[CODES][WIDTH];
    tw_objective_state *const of = s.advance.state + TW_ADVERSARIAL_STATES; /* its own come first */
    of[1].sum = uses;
    of[2].sum = &sum[0][0];
    for (int step = 0; step < 600; step++) {
        memset(uses, 0, sizeof uses);
        memset(sum, 0, sizeof sum);
        fill_normal(noise, step, 2 * 15);
        for (int c = 0, i = 0; c < 4; c++)
            for (int j = 0; j < weight[c]; j++, i++) {
                const float x = centre[c][0] + 0.1f * noise[2 * i],
                            y = centre[c][1] + 0.1f * noise[2 * i + 1];
                int best = 0;
                for (int k = 1; k < CODES; k++)
                    if (hypotf(x - e[2 * k], y - e[2 * k + 1]) <
                        hypotf(x - e[2 * best], y - e[2 * best + 1]))
                        best = k;
                uses[best]++;
                sum[best][0] += x;
                sum[best][1] += y;
            }
        kind->advance(s.oc.kind.config, s.m, s.advance.state);
    }
    for (int c = 0; c < 4; c++) {
        float nearest = INFINITY;
        for (int k = 0; k < CODES; k++)
            nearest = fminf(nearest, hypotf(centre[c][0] - e[2 * k], centre[c][1] - e[2 * k + 1]));
        if (!(nearest < 0.2f))
            fail_msg("cluster %d: the nearest code is %g away", c, (double)nearest);
    }
    destroy(&s);
}

/* The default is what configurations meant before there was a choice. */
static void trained_codes_are_parameters_as_before(void **state)
{
    tw_config *c = NULL;
    tw_objective_config oc = {0};
    tw_model *m = NULL;
    static const char text[] =
        "[network]\nkind = autoencoder\nblock_out_channels = 8\nlayers_per_block = 1\n"
        "latent_channels = 2\nnorm_num_groups = 4\ncodes = 5\n"
        "[objective]\nkind = vector_quantised\n";
    (void)state;
    ok(tw_config_create(&c));
    ok(tw_config_parse(c, text, sizeof text - 1, "test"));
    ok(tw_model_configure(&m, c));
    ok(tw_objective_bind(&oc, c));
    ok(tw_config_finish(c));
    tw_objective_prepare(&oc, m);
    ok(tw_model_create(m, TW_SHAPE(SIDE, SIDE, 1), 1));
    const int views = m->params->view_count;
    ok(tw_objective_add_params(&oc, m, 1));
    assert_int_equal(m->params->view_count, views);
    assert_true(tw_params_find(m->params, "codes.weight")->trainable);
    tw_objective_config_free(&oc);
    tw_model_destroy(&m);
    tw_config_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_the_running_means_of_their_vectors),
        cmocka_unit_test(codes_find_clusters),
        cmocka_unit_test(trained_codes_are_parameters_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
