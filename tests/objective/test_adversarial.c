/* The adversarial term: each network has the gradient of its own loss and of nothing else, λ and
 * the losses are as the formulas say, and without the term nothing is another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "model/model_fixture.h"
#include "objective/adversarial.h"
#include "objective/reconstruction.h"
#include "tweedie/memory.h"
#include "tweedie/param_names.h"

#define NETWORK                                                                                    \
    "[network]\nkind = autoencoder\nblock_out_channels = 8, 16\nlayers_per_block = 1\n"            \
    "latent_channels = 2\nnorm_num_groups = 4\n"
#define TERM                                                                                       \
    "[objective]\nkind = autoencoder\nadversarial_weight = 0.5\nadversarial_start = 4\n"           \
    "[discriminator]\nlayers = 1\nchannels = 8\ngroups = 4\n"

enum { N = 3, SIDE = 8, CHANNELS = 2, DIMS = SIDE * SIDE * CHANNELS, LATENT = 4 * 4 * 2 };
enum { SEED = 3, STEP = 5, POSITION = 11 };

typedef struct setting {
    tw_config *c;
    tw_model *m;
    tw_objective_config config;
    tw_objective *o;
    float x[N * DIMS];
} setting;

static void close_to(const char *what, double met, double wanted, double allowed)
{
    if (!(fabs(met - wanted) <= allowed))
        fail_msg("%s: %.9g met, %.9g wanted, off by %.2g", what, met, wanted, met - wanted);
}

/* Its parameters are moved away from where they begin, alike for each text. */
static void open_setting(setting *s, const char *text)
{
    float move[4096];
    *s = (setting){0};
    ok(tw_config_create(&s->c));
    ok(tw_config_parse(s->c, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&s->m, s->c));
    ok(tw_objective_bind(&s->config, s->c));
    ok(tw_config_finish(s->c));
    ok(tw_model_create(s->m, TW_SHAPE(SIDE, SIDE, CHANNELS), 1));
    ok(tw_objective_add_params(&s->config, s->m, 1));
    for (int i = 0; i < s->m->params->view_count; i++) {
        const tw_param_view *v = &s->m->params->views[i];
        if (v->role == TW_ROLE_STATE) continue;
        assert_true(v->count <= 4096);
        fill_normal(move, 1000 + i, v->count);
        for (int64_t k = 0; k < v->count; k++) s->m->params->value[v->offset + k] += 0.1f * move[k];
    }
    ok(tw_params_use_gradient(s->m->params, NULL));
    fill_normal(s->x, 2, N * DIMS);
}

static void plan(setting *s)
{
    const tw_objective_options options = {.batch = N,
                                          .global_batch = N,
                                          .precision = TW_PRECISION_F32,
                                          .convolution = TW_CONVOLUTION_DIRECT,
                                          .gradients = true};
    ok(tw_objective_create(&s->o, s->m, &s->config, &options));
    tw_objective_refresh(s->o);
}

static double run(setting *s, int64_t step)
{
    const tw_objective_step what = {
        .seed = SEED, .step = step, .position = POSITION, .count = N, .weight = 1.0 / N};
    return tw_objective_run(s->o, &what, s->x);
}

static void close_setting(setting *s)
{
    tw_objective_destroy(&s->o);
    tw_objective_config_free(&s->config);
    destroy_model(&s->m, &s->c);
}

static float *state_of(const setting *s, const char *name)
{
    const tw_param_view *v = tw_params_find(s->m->params, name);
    assert_non_null(v);
    return s->m->params->value + v->offset;
}

static const float *sum_of(const setting *s, const char *name)
{
    return s->m->params->gradient + tw_params_find(s->m->params, name)->offset;
}

/* ---- the pieces, each built by itself ---- */

enum { RECONSTRUCTION = 1, GENERATOR = 2, HINGE = 4, PRIOR = 8 };

static tw_value *mean_each(tw_graph *g, tw_value *x)
{
    return tw_affine(g, tw_sum_each(g, x), (double)N / (double)tw_shape_count(x->shape), 0);
}

static tw_value *one_minus(tw_graph *g, tw_value *x, double sign)
{
    return mean_each(g, tw_activation(g, tw_affine(g, x, sign, 1), TW_RELU));
}

/* The sum of some terms' means over the samples, with what it takes of gradients in `gradient`. */
static void measure(const setting *s, int terms, double generator_factor, float *gradient,
                    double fake_real[2])
{
    tw_graph *g = NULL;
    tw_plan *p = NULL;
    float *const kept = s->m->params->gradient;
    const tw_choice *d = &((const struct {
                               tw_reconstruction_config reconstruction;
                               tw_adversarial_config adversarial;
                           } *)s->config.kind.config)
                              ->adversarial.discriminator;
    ok(tw_graph_create(&g));
    tw_value *moments = tw_model_build_encoder(g, s->m, N);
    tw_value *mean = tw_slice(g, moments, 0, 2), *v = tw_slice(g, moments, 2, 2);
    tw_value *noise = tw_input(g, "noise", TW_F32, mean->shape);
    tw_value *z = tw_add(g, mean, tw_mul(g, tw_exp(g, tw_affine(g, v, 0.5, 0)), noise));
    tw_value *x = tw_graph_input(g, "x"), *y = tw_model_build_decoder(g, s->m, z);
    const tw_net_inputs of_fake = {.x = y, .sample = s->m->sample, .outputs = 1},
                        of_real = {.x = x, .sample = s->m->sample, .outputs = 1};
    tw_graph_push_scope(g, &(tw_graph_scope){.prefix = "objective.discriminator."});
    tw_value *fake = ((const tw_net *)d->kind)->build(g, d->config, &of_fake);
    tw_graph_push_scope(g, &(tw_graph_scope){.prefix = "", .again = true});
    tw_value *real = ((const tw_net *)d->kind)->build(g, d->config, &of_real);
    tw_graph_pop_scope(g);
    tw_graph_pop_scope(g);
    tw_value *sum = tw_affine(g, mean_each(g, fake), 0, 0);
    if (terms & RECONSTRUCTION)
        sum = tw_add(g, sum,
                     tw_reconstruction(g, &(tw_reconstruction_config){.gradient = 1}, NULL, x, y));
    if (terms & GENERATOR)
        sum = tw_add(g, sum, tw_affine(g, mean_each(g, fake), -generator_factor, 0));
    if (terms & HINGE) {
        sum = tw_add(g, sum, tw_affine(g, one_minus(g, real, -1), 0.5, 0));
        sum = tw_add(g, sum, tw_affine(g, one_minus(g, fake, 1), 0.5, 0));
    }
    if (terms & PRIOR) {
        tw_value *all = tw_add(g, tw_mul(g, mean, mean), tw_exp(g, v));
        all = tw_sum_each(g, tw_sub(g, tw_affine(g, all, 1, -1), v));
        sum = tw_add(g, sum, tw_affine(g, all, 0.5e-6 / DIMS, 0));
    }
    sum = tw_affine(g, sum, 1.0 / N, 0);
    tw_graph_output(g, "fake", fake);
    tw_graph_output(g, "real", real);
    tw_graph_gradient_of_params(g, sum);
    s->m->params->gradient = gradient;
    ok(tw_plan_create(
        &p, g, s->m->params,
        &(tw_plan_options){.precision = TW_PRECISION_F32, .convolution = TW_CONVOLUTION_DIRECT}));
    tw_plan_refresh(p);
    memcpy(tw_plan_input(p, "x"), s->x, sizeof s->x);
    for (int i = 0; i < N; i++) {
        const tw_rng_stream e = {
            .seed = SEED, .step = STEP, .position = POSITION + i, .purpose = TW_RNG_PROBE};
        tw_rng_normal((float *)tw_plan_input(p, "noise") + i * LATENT, &e, 0, LATENT);
    }
    tw_plan_execute(p, &(tw_plan_run){.training = true});
    for (int which = 0; which < 2; which++) {
        const float *logit = tw_plan_output(p, which ? "real" : "fake");
        const int64_t n = tw_shape_count((which ? real : fake)->shape);
        fake_real[which] = 0;
        for (int64_t i = 0; i < n; i++) {
            const double h = 1 + (which ? -1 : 1) * (double)logit[i];
            fake_real[which] += (h > 0 ? h : 0) / (double)n;
        }
    }
    s->m->params->gradient = kept;
    tw_plan_destroy(&p);
    tw_graph_destroy(&g);
}

static float *numbers(const setting *s)
{
    float *x = NULL;
    ok(tw_alloc(&x, s->m->params->summed, sizeof *x, "a test"));
    return x;
}

static double norm_of(const setting *s, const float *gradient, const char *name)
{
    const tw_param_view *v = tw_params_find(s->m->params, name);
    double sum = 0;
    for (int64_t k = 0; k < v->count; k++)
        sum += (double)gradient[v->offset + k] * (double)gradient[v->offset + k];
    return sqrt(sum);
}

/* Of one network's views: relative to the norm of each. */
static void compare(const setting *s, const float *met, const float *wanted, bool discriminator)
{
    for (int i = 0; i < s->m->params->view_count; i++) {
        const tw_param_view *v = &s->m->params->views[i];
        if (!v->trainable || tw_name_is_of_objective(v->name) != discriminator) continue;
        const double size = norm_of(s, wanted, v->name);
        for (int64_t k = v->offset; k < v->offset + v->count; k++)
            close_to(v->name, (double)met[k], (double)wanted[k], 2e-5 * size + 2e-7);
    }
}

static void each_network_has_the_gradient_of_its_own_loss(void **state)
{
    setting s;
    double hinges[2];
    (void)state;
    open_setting(&s, NETWORK TERM);
    plan(&s);
    float *wanted = numbers(&s);
    *state_of(&s, "objective.adversarial.scale") = 3;
    run(&s, STEP);
    measure(&s, RECONSTRUCTION | PRIOR | GENERATOR, 0.5 * 3, wanted, hinges);
    compare(&s, s.m->params->gradient, wanted, false);
    assert_true(norm_of(&s, wanted, "latent.bias") >= 0);
    measure(&s, HINGE, 0, wanted, hinges);
    compare(&s, s.m->params->gradient, wanted, true);
    close_to("the discriminator's loss",
             (double)*sum_of(&s, "objective.adversarial.discriminator_loss"),
             0.5 * (hinges[0] + hinges[1]), 1e-5);
    tw_free(&wanted);
    close_setting(&s);
}

static void lambda_is_the_ratio_of_the_last_layers_gradients(void **state)
{
    static const char last[] = "decoder.out.conv.weight";
    setting s;
    double hinges[2];
    tw_objective_advance advance;
    (void)state;
    open_setting(&s, NETWORK TERM);
    plan(&s);
    float *of_loss = numbers(&s), *of_generator = numbers(&s);
    const tw_params *p = s.m->params;
    run(&s, STEP);
    measure(&s, RECONSTRUCTION, 0, of_loss, hinges);
    measure(&s, GENERATOR, 1, of_generator, hinges);
    tw_objective_advance_init(&advance, &s.config, s.m, p->gradient + p->trainable);
    tw_objective_advance_run(&advance);
    const double wanted = norm_of(&s, of_loss, last) / (norm_of(&s, of_generator, last) + 1e-4);
    assert_true(wanted > 0.01);
    close_to("lambda", (double)*state_of(&s, "objective.adversarial.scale"), wanted, 1e-4 * wanted);
    /* no less than 0, no more than 1e4: here the second gradient is nothing */
    const tw_param_view *v = tw_params_find(p, "objective.adversarial.generator_gradient"),
                        *r = tw_params_find(p, "objective.adversarial.reconstruction_gradient");
    for (int64_t k = 0; k < v->count; k++) {
        p->gradient[v->offset + k] = 0;
        p->gradient[r->offset + k] = 1;
    }
    tw_objective_advance_run(&advance);
    assert_true(*state_of(&s, "objective.adversarial.scale") == 1e4f);
    tw_free(&of_loss);
    tw_free(&of_generator);
    close_setting(&s);
}

/* Gradients and statistics of three samples one after the other are those of the three at once. */
static void microbatches_add_up(void **state)
{
    setting whole, parts;
    (void)state;
    open_setting(&whole, NETWORK TERM);
    open_setting(&parts, NETWORK TERM);
    plan(&whole);
    const tw_objective_options options = {.batch = 1,
                                          .global_batch = N,
                                          .precision = TW_PRECISION_F32,
                                          .convolution = TW_CONVOLUTION_DIRECT,
                                          .accumulate = true,
                                          .gradients = true};
    ok(tw_objective_create(&parts.o, parts.m, &parts.config, &options));
    tw_objective_refresh(parts.o);
    *state_of(&whole, "objective.adversarial.scale") = 3;
    *state_of(&parts, "objective.adversarial.scale") = 3;
    run(&whole, STEP);
    for (int i = 0; i < N; i++) {
        const tw_objective_step one = {.seed = SEED,
                                       .step = STEP,
                                       .position = POSITION + i,
                                       .count = 1,
                                       .weight = 1.0 / N,
                                       .add_gradients = i > 0};
        tw_objective_run(parts.o, &one, parts.x + i * DIMS);
    }
    compare(&whole, parts.m->params->gradient, whole.m->params->gradient, false);
    compare(&whole, parts.m->params->gradient, whole.m->params->gradient, true);
    for (int64_t k = whole.m->params->trainable; k < whole.m->params->summed; k++)
        close_to("a statistic", (double)parts.m->params->gradient[k],
                 (double)whole.m->params->gradient[k], 1e-5);
    close_setting(&whole);
    close_setting(&parts);
}

/* Before its start the term moves nothing; without a weight there is nothing. */
static void until_it_starts_all_is_as_without_it(void **state)
{
    setting without, with;
    (void)state;
    open_setting(&without, NETWORK "[objective]\nkind = autoencoder\n");
    open_setting(&with, NETWORK TERM);
    plan(&without);
    plan(&with);
    *state_of(&with, "objective.adversarial.scale") = 3;
    assert_int_equal(without.m->params->summed, without.m->params->trainable);
    for (int i = 0; i < without.m->params->view_count; i++)
        assert_false(tw_name_is_of_objective(without.m->params->views[i].name));
    for (int64_t step = 3; step <= 4; step++) {
        bool same = true;
        /* the loss that is told is that of the reconstruction, before and after */
        close_to("a loss", run(&with, step), run(&without, step), 1e-6);
        for (int i = 0; i < without.m->params->view_count; i++) {
            const tw_param_view *v = &without.m->params->views[i];
            for (int64_t k = v->offset; k < v->offset + v->count; k++)
                same = same &&
                       fabsf(with.m->params->gradient[k] - without.m->params->gradient[k]) <= 1e-6f;
        }
        assert_int_equal(same, step < 4);
        double judge = 0;
        for (int i = 0; i < with.m->params->view_count; i++)
            if (with.m->params->views[i].trainable &&
                tw_name_is_of_objective(with.m->params->views[i].name))
                judge += norm_of(&with, with.m->params->gradient, with.m->params->views[i].name);
        assert_int_equal(judge == 0, step < 4);
    }
    close_setting(&without);
    close_setting(&with);
}

static void codes_have_it_too(void **state)
{
    setting s;
    (void)state;
    open_setting(&s, NETWORK "codes = 4\n[objective]\nkind = vector_quantised\n"
                             "adversarial_weight = 1\n[discriminator]\nlayers = 1\ngroups = 0\n"
                             "channels = 4\n");
    plan(&s);
    run(&s, 0);
    assert_true(norm_of(&s, s.m->params->gradient, "objective.discriminator.conv.0.weight") > 0);
    assert_true(norm_of(&s, s.m->params->gradient, "objective.adversarial.generator_gradient") > 0);
    close_setting(&s);
}

static void what_does_not_go_together_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } refused[] = {
        {NETWORK "[objective]\nkind = autoencoder\nadversarial_weight = 1\n",
         "discriminator.layers: 3 layers see sides of 24 and more"},
        {NETWORK "[objective]\nkind = autoencoder\nadversarial_weight = 1\n[discriminator]\n"
                 "layers = 1\nchannels = 6\n",
         "discriminator.groups: 32 does not divide 12 channels"},
        {NETWORK "[objective]\nkind = autoencoder\nadversarial_weight = 1\n[discriminator]\n"
                 "kind = mlp\n",
         "discriminator.kind: mlp is no discriminator"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        setting s = {0};
        ok(tw_config_create(&s.c));
        ok(tw_config_parse(s.c, refused[i].text, (int64_t)strlen(refused[i].text), "test"));
        ok(tw_model_configure(&s.m, s.c));
        ok(tw_objective_bind(&s.config, s.c));
        ok(tw_config_finish(s.c));
        ok(tw_model_create(s.m, TW_SHAPE(SIDE, SIDE, CHANNELS), 1));
        assert_int_equal(tw_objective_add_params(&s.config, s.m, 1), TW_ECONFIG);
        if (!strstr(tw_error_message(), refused[i].says)) fail_msg("%s", tw_error_message());
        close_setting(&s);
    }
}

/* pix2pix's and VQGAN's of three layers has 2,765,633 parameters (without the biases of the three
 * layers that normalise) and judges 30 x 30 patches of 256 x 256 pixels. */
static void the_published_size_judges_as_many_patches(void **state)
{
    static const char text[] = "[network]\nkind = autoencoder\nblock_out_channels = 32\n"
                               "layers_per_block = 1\n[objective]\nkind = autoencoder\n"
                               "adversarial_weight = 1\n";
    setting s = {0};
    int64_t of_both, own = 0;
    tw_graph *g = NULL;
    (void)state;
    ok(tw_config_create(&s.c));
    ok(tw_config_parse(s.c, text, sizeof text - 1, "test"));
    ok(tw_model_configure(&s.m, s.c));
    ok(tw_objective_bind(&s.config, s.c));
    ok(tw_config_finish(s.c));
    ok(tw_model_create(s.m, TW_SHAPE(256, 256, 3), 1));
    own = tw_params_count(s.m->params);
    ok(tw_objective_add_params(&s.config, s.m, 1));
    of_both = tw_params_count(s.m->params);
    assert_int_equal(of_both - own, 2765633 + 128 + 256 + 512);
    const tw_net *net = (const tw_net *)tw_kind_named(tw_net_kinds, "patch_discriminator");
    const struct {
        int64_t channels, layers, groups;
    } config = {64, 3, 32};
    ok(tw_graph_create(&g));
    const tw_net_inputs in = {.x = tw_input(g, "x", TW_F32, TW_SHAPE(2, 256, 256, 3)),
                              .sample = s.m->sample,
                              .outputs = 1};
    const tw_value *judged = net->build(g, &config, &in);
    ok(tw_graph_status(g));
    assert_true(tw_shape_equal(judged->shape, TW_SHAPE(2, 30, 30, 1)));
    tw_graph_destroy(&g);
    close_setting(&s);
}

static void a_discriminator_models_no_samples(void **state)
{
    static const char text[] = "[network]\nkind = patch_discriminator\n";
    setting s = {0};
    (void)state;
    ok(tw_config_create(&s.c));
    ok(tw_config_parse(s.c, text, sizeof text - 1, "test"));
    ok(tw_model_configure(&s.m, s.c));
    ok(tw_config_finish(s.c));
    assert_int_equal(tw_model_create(s.m, TW_SHAPE(32, 32, 3), 1), TW_ECONFIG);
    if (!strstr(tw_error_message(), "is a discriminator")) fail_msg("%s", tw_error_message());
    close_setting(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_network_has_the_gradient_of_its_own_loss),
        cmocka_unit_test(lambda_is_the_ratio_of_the_last_layers_gradients),
        cmocka_unit_test(microbatches_add_up),
        cmocka_unit_test(until_it_starts_all_is_as_without_it),
        cmocka_unit_test(codes_have_it_too),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(the_published_size_judges_as_many_patches),
        cmocka_unit_test(a_discriminator_models_no_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
