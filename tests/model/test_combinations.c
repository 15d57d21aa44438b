/* Every combination of the options of the networks that have many: it is built, its gradients are
 * its slopes, and the published names cover each parameter once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/model_fixture.h"
#include "tweedie/plan.h"

enum { N = 2 };

/* L = Σ seed y, in double; its gradients by the parameters and by x. */
typedef struct problem {
    const char *text;
    tw_config *config;
    tw_model *m;
    tw_plan *plan;
    float *x;
    const float *y, *seed, *gx;
    int64_t inputs, outputs;
} problem;

static void set_conditions(const problem *p)
{
    float *t = tw_plan_input(p->plan, "t"), *log_sigma = tw_plan_input(p->plan, "log_sigma"),
          *augment = tw_plan_input(p->plan, "augment");
    int32_t *index = tw_plan_input(p->plan, "index"), *label = tw_plan_input(p->plan, "label");
    for (int i = 0; i < N; i++) {
        if (t) t[i] = (float)(1 + 3 * i);
        if (log_sigma) log_sigma[i] = -0.4f + (float)i;
        if (index) index[i] = 1 + i;
        if (label) label[i] = 2 - i;
    }
    if (augment) fill_normal(augment, 9, tw_shape_count(tw_plan_shape(p->plan, "augment")));
}

static problem open_problem(const char *text, tw_shape sample)
{
    problem p = {.text = text};
    tw_graph *g = NULL;
    tw_value *gx = NULL;
    p.m = make_model(&p.config, text, sample);
    ok(tw_params_use_gradient(p.m->params, NULL));
    ok(tw_graph_create(&g));
    const tw_model_values v = tw_model_build(g, p.m, N, NULL);
    tw_value *x = v.x;
    if (tw_graph_status(g) != TW_OK) fail_msg("%s: %s", text, tw_error_message());
    tw_value *seed = tw_input(g, "seed", TW_F32, v.net->shape);
    tw_value *loss = tw_sum_to(g, tw_mul(g, v.net, seed), (tw_shape){0});
    tw_graph_gradient_of_params(g, loss);
    tw_graph_gradient(g, loss, NULL, &x, 1, &gx);
    tw_graph_output(g, "y", v.net);
    tw_graph_output(g, "gx", gx);
    if (tw_plan_create(&p.plan, g, p.m->params,
                       &(tw_plan_options){.precision = TW_PRECISION_F32}) != TW_OK)
        fail_msg("%s: %s", text, tw_error_message());
    tw_graph_destroy(&g);
    p.x = tw_plan_input(p.plan, "x");
    p.y = tw_plan_output(p.plan, "y");
    p.gx = tw_plan_output(p.plan, "gx");
    p.seed = tw_plan_input(p.plan, "seed");
    p.inputs = tw_shape_count(tw_plan_shape(p.plan, "x"));
    p.outputs = tw_shape_count(tw_plan_shape(p.plan, "seed"));
    fill_normal(p.x, 1, p.inputs);
    fill_normal(tw_plan_input(p.plan, "seed"), 2, p.outputs);
    set_conditions(&p);
    return p;
}

static void close_problem(problem *p)
{
    tw_plan_destroy(&p->plan);
    destroy_model(&p->m, &p->config);
}

static double loss_of(const problem *p)
{
    double sum = 0;
    tw_plan_refresh(p->plan);
    tw_plan_execute(p->plan, &(tw_plan_run){0});
    for (int64_t i = 0; i < p->outputs; i++) sum += (double)p->seed[i] * (double)p->y[i];
    return sum;
}

/* Padding between parameters is nobody's. */
static void clear_padding(const tw_params *p, float *g)
{
    int64_t end = 0;
    for (int i = 0; i < p->view_count; i++) {
        const tw_param_view *v = &p->views[i];
        if (!v->trainable) continue;
        for (; end < v->offset; end++) g[end] = 0;
        end = v->offset + v->count;
    }
    for (; end < p->trainable; end++) g[end] = 0;
}

/* Along its gradient a function grows by the gradient's length: a wrong part would not. */
static void slope_along(const problem *p, const char *what, float *at, const float *gradient,
                        int64_t n, double step, double tolerance)
{
    float *g = malloc((size_t)n * sizeof *g), *from = malloc((size_t)n * sizeof *from);
    double squares = 0, loss[2];
    memcpy(g, gradient, (size_t)n * sizeof *g);
    memcpy(from, at, (size_t)n * sizeof *from);
    if (at != p->x) clear_padding(p->m->params, g);
    for (int64_t i = 0; i < n; i++) squares += (double)g[i] * (double)g[i];
    const double length = sqrt(squares);
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < n; i++)
            at[i] = (float)((double)from[i] + (side ? -step : step) * (double)g[i] / length);
        loss[side] = loss_of(p);
    }
    memcpy(at, from, (size_t)n * sizeof *from);
    const double slope = (loss[0] - loss[1]) / (2 * step);
    if (!(length > 0 && fabs(slope - length) <= tolerance * length))
        fail_msg("%s: the gradient of %s has the length %.6g, the slope along it is %.6g", p->text,
                 what, length, slope);
    free(g);
    free(from);
}

/* ---- names ---- */

/* Each element of each parameter under one name, and each name once. */
static void names_cover(const problem *p)
{
    tw_reference_names names = {0};
    const tw_params *params = p->m->params;
    int64_t *count = calloc((size_t)params->size, sizeof *count);
    ok(tw_model_reference_names(&names, p->m));
    for (int k = 0; k < names.count; k++) {
        const tw_published *e = &names.items[k];
        const tw_param_view *v = tw_params_find(params, e->param);
        if (!v) fail_msg("%s: %s is published of %s, which is none", p->text, e->name, e->param);
        for (int j = 0; j < k; j++)
            if (strcmp(names.items[j].name, e->name) == 0)
                fail_msg("%s: %s is published twice", p->text, e->name);
        for (int64_t i = 0; i < tw_shape_count(e->shape); i++) {
            const int64_t at = tw_published_index(e, i);
            if (at < 0 || at >= v->count) fail_msg("%s: %s leaves %s", p->text, e->name, v->name);
            count[v->offset + at]++;
        }
    }
    for (int k = 0; k < params->view_count; k++)
        for (int64_t i = 0; i < params->views[k].count; i++)
            if (count[params->views[k].offset + i] != 1)
                fail_msg("%s: an element of %s is published %d times", p->text,
                         params->views[k].name, (int)count[params->views[k].offset + i]);
    free(count);
    tw_reference_names_free(&names);
}

static void holds(const char *text, tw_shape sample, double step, double tolerance)
{
    problem p = open_problem(text, sample);
    loss_of(&p);
    float *gx = malloc((size_t)p.inputs * sizeof *gx);
    memcpy(gx, p.gx, (size_t)p.inputs * sizeof *gx);
    slope_along(&p, "the parameters", p.m->params->value, p.m->params->gradient,
                p.m->params->trainable, step, tolerance);
    slope_along(&p, "the input", p.x, gx, p.inputs, step, tolerance);
    names_cover(&p);
    free(gx);
    close_problem(&p);
}

/* ---- the combinations ---- */

static void ncsnpp_in_all_its_modes(void **state)
{
    (void)state;
    static const char *const blocks[] = {"biggan", "ddpm"},
                             *const inputs[] = {"none", "input_skip", "residual"},
                             *const outputs[] = {"none", "output_skip", "residual"};
    for (int k = 0; k < 2 * 2 * 3 * 3; k++) {
        char text[1024];
        /* the rest takes turns, so that each meets each of these */
        const bool fourier = k / 2 % 2, sum = k / 3 % 2, rescale = k % 5 != 0, conv = k % 4 < 2;
        snprintf(text, sizeof text,
                 "[network]\nkind = ncsnpp\nbase = 8\nmult = 1, 2\nblocks = 1\nattention = 2\n"
                 "dropout = 0\nresblock = %s\nfir = %s\nprogressive_input = %s\nprogressive = %s\n"
                 "progressive_combine = %s\nembedding = %s\nskip_rescale = %s\n"
                 "resamp_with_conv = %s\nscale_by_sigma = %s\ncentered = %s\n",
                 blocks[k % 2], k / 2 % 2 ? "yes" : "no", inputs[k / 4 % 3], outputs[k / 12],
                 sum ? "sum" : "cat", fourier ? "fourier" : "positional", rescale ? "yes" : "no",
                 conv ? "yes" : "no", k % 3 ? "yes" : "no", k % 7 ? "yes" : "no");
        holds(text, TW_SHAPE(4, 4, 3), 2e-3, 2e-2);
    }
}

static void edms_networks_in_all_their_modes(void **state)
{
    (void)state;
    static const char *const inputs[] = {"none", "input_skip", "residual"}, *const outputs[] = {
                                                                                "none",
                                                                                "output_skip"};
    for (int k = 0; k < 3 * 2 * 2; k++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "[network]\nkind = ncsnpp\nlibrary = edm\nbase = 8\nmult = 1, 2\nblocks = 1\n"
                 "attention = 2\ndropout = 0\nprogressive_input = %s\nprogressive = %s\nfir = %s\n"
                 "embedding = %s\naugment_labels = %d\nclasses = %d\n[process]\nkind = edm\n",
                 inputs[k % 3], outputs[k / 3 % 2], k / 6 ? "yes" : "no",
                 k % 2 ? "fourier" : "positional", k % 4 ? 9 : 0, k % 3 ? 3 : 0);
        holds(text, TW_SHAPE(4, 4, 3), 2e-3, 2e-2);
    }
}

static void adm_in_all_its_modes(void **state)
{
    (void)state;
    for (int k = 0; k < 32; k++) {
        char text[1024];
        const bool shift = k % 2, updown = k / 2 % 2, fresh = k / 4 % 2, channels = k / 8 % 2,
                   learned = k / 16, classes = k % 3, conv = k % 5;
        snprintf(text, sizeof text,
                 "[network]\nkind = adm\nbase = 8\ngroups = 4\nmult = 1, 2\nblocks = 1\n"
                 "attention_downsample = %s\ndropout = 0\nscale_shift = %s\nresblock_updown = %s\n"
                 "attention_order = %s\n%s\nconv_resample = %s\nclasses = %d\n"
                 "[process]\nkind = ddpm\n[prediction]\nvariance = %s\n",
                 k % 2 ? "1, 2" : "2", shift ? "yes" : "no", updown ? "yes" : "no",
                 fresh ? "new" : "legacy", channels ? "head_channels = 4" : "heads = 2",
                 conv ? "yes" : "no", classes ? 3 : 0, learned ? "learned_range" : "fixed");
        holds(text, TW_SHAPE(4, 4, 3), 2e-3, 2e-2);
    }
}

static void diffusers_unets_in_all_their_modes(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "[network]\nkind = diffusers_unet\nblock_out_channels = 8, 12\n"
                 "norm_num_groups = 4\nlayers_per_block = 1\ndown_attention = %s\n"
                 "up_attention = %s\nattention_head_dim = %d\nresnet_time_scale_shift = %s\n"
                 "flip_sin_to_cos = %s\nclasses = %d\n",
                 k % 2 ? "0, 1" : "1", k / 2 % 2 ? "0, 1" : "0", k / 4 ? 4 : 0,
                 k % 3 ? "default" : "scale_shift", k % 2 ? "yes" : "no", k / 2 % 2 ? 3 : 0);
        holds(text, TW_SHAPE(4, 4, 3), 2e-3, 2e-2);
    }
}

static void hos_and_score_sdes_unets(void **state)
{
    (void)state;
    static const char *const placements[] = {"ho", "score_sde"};
    for (int k = 0; k < 8; k++) {
        char text[512];
        snprintf(text, sizeof text,
                 UNET "dropout = 0\nattention_placement = %s\nclasses = %d\n"
                      "resamp_with_conv = %s\nscale_by_sigma = %s\ncentered = %s\n",
                 placements[k % 2], k / 2 % 2 ? 3 : 0, k / 4 ? "yes" : "no", k % 3 ? "yes" : "no",
                 k % 4 < 2 ? "yes" : "no");
        holds(text, TW_SHAPE(8, 8, 3), 2e-3, 2e-2);
    }
}

static void every_variant_of_refinenet(void **state)
{
    (void)state;
    static const char *const variants[] = {"ncsn", "ncsnv2", "ncsnv2_deeper", "ncsnv2_deepest"};
    for (int k = 0; k < 4; k++) {
        char text[512];
        snprintf(text, sizeof text,
                 "[network]\nkind = refinenet\nbase = 4\nvariant = %s\n[process]\nkind = ladder\n"
                 "levels = 4\nsigma_max = 4\n[prediction]\nkind = score\n",
                 variants[k]);
        /* max pooling has kinks, one of which may lie within any step */
        holds(text, TW_SHAPE(16, 16, 1), 3e-5, k ? 0.1 : 2e-2);
    }
}

int main(void)
{
    omp_set_num_threads(1); /* the networks are tiny */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ncsnpp_in_all_its_modes),
        cmocka_unit_test(edms_networks_in_all_their_modes),
        cmocka_unit_test(adm_in_all_its_modes),
        cmocka_unit_test(diffusers_unets_in_all_their_modes),
        cmocka_unit_test(hos_and_score_sdes_unets),
        cmocka_unit_test(every_variant_of_refinenet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
