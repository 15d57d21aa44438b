/* The U-Nets, their options, and signals and volumes, against a slow reference in double
 * (tests/golden/unet_reference.py, which agrees to 1e-9 with outputs of diffusers and of
 * improved-diffusion): outputs, loss, and the gradient of the input by central differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/model_fixture.h"
#include "tweedie/fingerprint.h"
#include "tweedie/plan.h"

#define DIFFUSERS                                                                                  \
    "[network]\nkind = diffusers_unet\nnorm_num_groups = 4\nblock_out_channels = 8, 12\n"
#define ADM "[network]\nkind = adm\nbase = 8\ngroups = 4\n"
#define LEARNED "[prediction]\nvariance = learned_range\n[process]\nkind = ddpm\n"
#define PLAIN_UNET "[network]\nkind = unet\nbase = 8\ngroups = 4\nmult = 1, 2\ndropout = 0\n"

static const struct {
    const char *name, *text;
    tw_shape sample;
    tw_fingerprint want; /* but the gradient of the parameters */
} nets[] = {
    {"unet_ho",
     PLAIN_UNET "blocks = 2\nattention = 4, 8\n",
     {.rank = 3, .dims = {8, 8, 3}},
     {.params = 66003,
      .first8 = {-0.539741480411, -0.402601732417, -0.0317481511769, 0.162373861957, 0.22242462649,
                 0.282946947791, 0.305492201813, 0.150617976908},
      .sum = -64.8562324182,
      .sumsq = 557.989216009,
      .loss = 3.49000665637,
      .input_grad_sumsq = 41.1094714}},
    {"unet_ho_signal",
     PLAIN_UNET "blocks = 2\nattention = 4, 8\n",
     {.rank = 2, .dims = {16, 3}},
     {.params = 32323,
      .first8 = {-0.150424963559, -0.22928730149, -0.329120260345, -0.375654481517, -0.473445207203,
                 -0.760125001964, -1.12387656152, -1.40970479195},
      .sum = -4.3136110689,
      .sumsq = 74.9779382547,
      .loss = -11.0212978975,
      .input_grad_sumsq = 149.779109}},
    {"unet_ho_volume",
     PLAIN_UNET "blocks = 1\nattention = 2\n",
     {.rank = 4, .dims = {4, 8, 4, 3}},
     {.params = 112939,
      .first8 = {-0.972682862586, -1.51913189215, -1.44367666579, -0.851816045139, 0.496948912557,
                 0.382365355241, -0.151740915324, -0.53342673024},
      .sum = 12.958868013,
      .sumsq = 665.508360455,
      .loss = -10.7351199181,
      .input_grad_sumsq = 1285420.3}},
    {"diffusers",
     DIFFUSERS "layers_per_block = 1\ndown_attention = 1\nup_attention = 0\n"
               "attention_head_dim = 4\n",
     {.rank = 3, .dims = {8, 8, 3}},
     {.params = 30183,
      .first8 = {0.0774236646864, -0.142736504086, -0.65684368332, -1.00423450984, -1.1569424155,
                 -1.29438286409, -1.34047522195, -0.831432322086},
      .sum = -36.0533419024,
      .sumsq = 1092.1770243,
      .loss = -15.4195280348,
      .input_grad_sumsq = 10227.46}},
    {"diffusers_ho",
     DIFFUSERS "layers_per_block = 1\ndown_attention = 1\nup_attention = 0\n"
               "attention_head_dim = 0\nnorm_eps = 1e-6\nfreq_shift = 1\nflip_sin_to_cos = no\n"
               "downsample_padding = 0\n",
     {.rank = 3, .dims = {8, 8, 3}},
     {.params = 30183,
      .first8 = {0.0108348166002, -0.299553002977, -0.838735229069, -1.16499973345, -1.28248554582,
                 -1.36961105181, -1.3463488248, -0.811778256424},
      .sum = -25.1308981727,
      .sumsq = 986.288550512,
      .loss = -26.7518267921,
      .input_grad_sumsq = 2466.97095}},
    {"diffusers_options",
     DIFFUSERS "layers_per_block = 2\ndown_attention = 0, 1\nup_attention = 0, 1\n"
               "attention_head_dim = 2\nresnet_time_scale_shift = scale_shift\n"
               "mid_block_scale_factor = 1.5\ncenter_input_sample = yes\nclasses = 5\n",
     {.rank = 3, .dims = {8, 8, 3}},
     {.params = 48623,
      .first8 = {-0.201305133961, 0.269228611173, 1.00366664774, 1.5182496557, 1.44226479806,
                 0.658316950561, -0.490907217114, -1.01782734123},
      .sum = -20.4873631651,
      .sumsq = 1158.93676953,
      .loss = 8.35774451268,
      .input_grad_sumsq = 1097.40503}},
    {"adm_updown",
     ADM "blocks = 1\nmult = 1, 2, 3\nattention_downsample = 1, 4\nhead_channels = 4\n"
         "attention_order = new\nresblock_updown = yes\nclasses = 5\n" LEARNED,
     {.rank = 3, .dims = {8, 8, 3}},
     {.params = 137534,
      .first8 = {-1.43532437117, -3.09824730355, -3.83603895992, -3.65954027782, -2.88546199233,
                 -1.82341548991, -0.716678948377, 0.00708146039206},
      .sum = -29.6043176715,
      .sumsq = 1420.0824455,
      .loss = -7.46893808822,
      .input_grad_sumsq = 735.015718}},
    {"adm_plain",
     ADM "blocks = 2\nmult = 1, 2\nattention_downsample = 2\nheads = 2\nheads_up = 4\n"
         "scale_shift = no\nconv_resample = no\n",
     {.rank = 3, .dims = {8, 8, 3}},
     {.params = 61579,
      .first8 = {-1.03301425144, -2.22715111936, -2.93660920518, -3.2829242449, -3.23952535637,
                 -2.51903211115, -1.17565995222, -0.0923590028316},
      .sum = 7.96457596198,
      .sumsq = 675.89812637,
      .loss = -9.95613145104,
      .input_grad_sumsq = 222.40479}},
    {"adm_signal",
     ADM "blocks = 1\nmult = 1, 2\nattention_downsample = 2\nheads = 2\n",
     {.rank = 2, .dims = {16, 3}},
     {.params = 26131,
      .first8 = {-0.343748169676, -0.470171486593, -0.950945648601, -1.63002236149, -2.0787821793,
                 -2.12335722391, -1.6901705789, -0.87239547733},
      .sum = 7.00870594133,
      .sumsq = 81.2547265584,
      .loss = -19.3199078914,
      .input_grad_sumsq = 234.338213}},
};

static void near(const char *net, const char *what, double met, double wanted, double allowed)
{
    if (!(fabs(met - wanted) <= allowed))
        fail_msg("%s: %s: %.12g met, %.12g wanted, off by %.2g", net, what, met, wanted,
                 met - wanted);
}

static void compare(size_t i, const tw_plan_options *options, double relative)
{
    tw_config *c = NULL;
    tw_fingerprint f;
    const tw_fingerprint *w = &nets[i].want;
    tw_model *m = make_model(&c, nets[i].text, nets[i].sample);
    const tw_fingerprint_inputs inputs = {
        .n = 2, .times = (const double[]){100, 700}, .labels = (const int64_t[]){1, 4}};
    ok(tw_fingerprint_measure(&f, m, &inputs, options));
    const int64_t channels = tw_shape_channels(nets[i].sample),
                  dims = tw_shape_count(nets[i].sample),
                  outputs = 2 * dims / channels * (m->variance ? 2 * channels : channels);
    const double size = sqrt(w->sumsq / (double)outputs); /* root mean square of an output */
    assert_int_equal(f.params, w->params);
    for (int k = 0; k < 8; k++)
        near(nets[i].name, "an output", f.first8[k], w->first8[k], 5 * relative * size);
    const double sums = relative * size * sqrt((double)outputs);
    near(nets[i].name, "sum", f.sum, w->sum, 5 * sums);
    near(nets[i].name, "loss", f.loss, w->loss, 5 * sums);
    near(nets[i].name, "sum of squares", f.sumsq, w->sumsq, 3 * relative * w->sumsq);
    near(nets[i].name, "squares of the input's gradient", f.input_grad_sumsq, w->input_grad_sumsq,
         5 * relative * w->input_grad_sumsq);
    destroy_model(&m, &c);
}

static void unets_of_all_options_agree_with_a_reference_in_double(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        compare(i, &(tw_plan_options){.precision = TW_PRECISION_F32}, 2e-6);
        if (i == 5 || i == 6)
            compare(i, &(tw_plan_options){.precision = TW_PRECISION_F32, .no_fusion = true}, 2e-6);
    }
}

/* A rounding to bf16 is 2^15 as large as one to f32. */
static void unets_agree_in_bf16_to_its_rounding(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i += 3)
        compare(i, &(tw_plan_options){.precision = TW_PRECISION_BF16}, 4e-2);
}

/* 5 x 7 images, reflected to 6 x 8 behind their last row and column. */
static void a_padded_network_is_the_network_of_padded_samples(void **state)
{
    (void)state;
    enum { H = 5, W = 7, C = 3 };
    static const int64_t kind[] = {TW_NET_PAD_ZERO, TW_NET_PAD_REFLECT};
    static const char *const text[] = {PLAIN_UNET "pad = zero\n", PLAIN_UNET "pad = reflect\n"};
    for (int k = 0; k < 2; k++) {
        tw_config *cp = NULL, *cw = NULL;
        tw_model_score *sp = NULL, *sw = NULL;
        tw_model *padded = make_model(&cp, text[k], TW_SHAPE(H, W, C)),
                 *whole = make_model(&cw, PLAIN_UNET, TW_SHAPE(H + 1, W + 1, C));
        float x[H * W * C], big[(H + 1) * (W + 1) * C], y[H * W * C], want[(H + 1) * (W + 1) * C];
        const double t = 400;
        const int64_t index = 0;
        fill_normal(x, 1, H * W * C);
        for (int i = 0; i <= H; i++)
            for (int j = 0; j <= W; j++)
                for (int c = 0; c < C; c++) {
                    const int row = i < H ? i : H - 2, column = j < W ? j : W - 2;
                    const bool inside = i < H && j < W;
                    big[(i * (W + 1) + j) * C + c] =
                        inside || kind[k] == TW_NET_PAD_REFLECT ? x[(row * W + column) * C + c] : 0;
                }
        ok(tw_model_score_create(&sp, padded, 1, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
        ok(tw_model_score_create(&sw, whole, 1, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
        tw_model_score_refresh(sp);
        tw_model_score_refresh(sw);
        ok(tw_model_score_quantity(sp, TW_MODEL_OUTPUT, 1, x, &t, &index, y));
        ok(tw_model_score_quantity(sw, TW_MODEL_OUTPUT, 1, big, &t, &index, want));
        for (int i = 0; i < H; i++)
            assert_memory_equal(y + (ptrdiff_t)i * W * C, want + (ptrdiff_t)i * (W + 1) * C,
                                W * C * sizeof *y);
        tw_model_score_destroy(&sp);
        tw_model_score_destroy(&sw);
        destroy_model(&padded, &cp);
        destroy_model(&whole, &cw);
    }
}

/* ---- score_sde's options, by networks that they leave equal ---- */

enum { SIDE = 8, CHANNELS = 3, SAMPLE = SIDE * SIDE * CHANNELS };

static void output_at(tw_model *m, const float *x, double t, float *y)
{
    tw_model_score *s = NULL;
    const int64_t index = 0;
    ok(tw_model_score_create(&s, m, 1, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    tw_model_score_refresh(s);
    ok(tw_model_score_quantity(s, TW_MODEL_OUTPUT, 1, x, &t, &index, y));
    tw_model_score_destroy(&s);
}

/* A network of this text gives `factor` times what the one of other parameters gives at scale x +
 * shift. Resampling without convolutions is the same with kernels that copy, or take means. */
static void gives(const char *text, const char *same, double scale, double shift, double factor)
{
    tw_config *c[2] = {0};
    char all[2][512];
    float x[SAMPLE], moved[SAMPLE], y[2][SAMPLE];
    double size = 0;
    for (int k = 0; k < 2; k++)
        snprintf(all[k], sizeof all[k],
                 PLAIN_UNET "blocks = 1\nattention = 4\n%s[process]\nkind "
                            "= ve\n[prediction]\nkind = score\n",
                 k ? same : text);
    tw_model *m = make_model(&c[0], all[0], TW_SHAPE(SIDE, SIDE, CHANNELS)),
             *n = make_model(&c[1], all[1], TW_SHAPE(SIDE, SIDE, CHANNELS));
    for (int i = 0; i < n->params->view_count; i++) {
        const tw_param_view *to = &n->params->views[i], *from = tw_params_find(m->params, to->name);
        float *plain = calloc((size_t)to->count, sizeof *plain);
        const bool up = strstr(to->name, "upsample") != NULL;
        if (from) tw_params_to_plain(from, m->params->value, plain);
        for (int64_t k = 0; !from && to->shape.rank == 4 && k < to->count; k++) {
            const int64_t tap = k % 9, pair = k / 9, width = to->shape.dims[1];
            if (pair / width != pair % width) continue;
            plain[k] = up ? tap == 4 : tap % 3 < 2 && tap / 3 < 2 ? 0.25f : 0;
        }
        tw_params_from_plain(to, plain, n->params->value);
        free(plain);
    }
    fill_normal(x, 5, SAMPLE);
    for (int i = 0; i < SAMPLE; i++) moved[i] = (float)(scale * (double)x[i] + shift);
    output_at(m, x, 0.5, y[0]);
    output_at(n, moved, 0.5, y[1]);
    for (int i = 0; i < SAMPLE; i++) size = fmax(size, fabs((double)y[0][i]));
    for (int i = 0; i < SAMPLE; i++)
        near(text, "an output", (double)y[0][i], factor * (double)y[1][i], 1e-5 * size);
    for (int k = 0; k < 2; k++) destroy_model(k ? &n : &m, &c[k]);
}

static void options_of_score_sdes_unet_are_what_they_say(void **state)
{
    (void)state;
    gives("centered = no\n", "", 2, -1, 1);
    gives("scale_by_sigma = yes\n", "", 1, 0, 1 / sqrt(0.01 * 50)); /* σ at time 1/2 */
    gives("resamp_with_conv = no\n", "", 1, 0, 1);
}

/* ---- plans ---- */

static tw_plan *plan_of(tw_model *m, int64_t n, const tw_plan_options *options)
{
    tw_graph *g = NULL;
    tw_plan *plan = NULL;
    ok(tw_graph_create(&g));
    tw_value *y = tw_model_build(g, m, n, NULL).net;
    ok(tw_graph_status(g));
    tw_graph_output(g, "y", y);
    tw_graph_gradient_of_params(
        g, tw_sum_to(g, tw_mul(g, y, tw_input(g, "seed", TW_F32, y->shape)), (tw_shape){0}));
    ok(tw_plan_create(&plan, g, m->params, options));
    tw_graph_destroy(&g);
    return plan;
}

/* Gradients of a batch with dropout, in a copy. */
static float *gradients(tw_model *m, tw_plan *plan, int64_t n)
{
    const int64_t size = m->params->trainable;
    float *copy = malloc((size_t)size * sizeof *copy), *t = tw_plan_input(plan, "t");
    int32_t *label = tw_plan_input(plan, "label");
    fill_normal(tw_plan_input(plan, "x"), 1, tw_shape_count(tw_plan_shape(plan, "x")));
    fill_normal(tw_plan_input(plan, "seed"), 2, tw_shape_count(tw_plan_shape(plan, "seed")));
    for (int64_t i = 0; t && i < n; i++) t[i] = (float)(100 * i);
    for (int64_t i = 0; label && i < n; i++) label[i] = (int32_t)i % 5;
    tw_plan_refresh(plan);
    tw_plan_execute(plan, &(tw_plan_run){.training = true, .seed = 3, .step = 7});
    return memcpy(copy, m->params->gradient, (size_t)size * sizeof *copy);
}

/* Ways of saving memory; the first saves nothing, the second recomputes alone. */
static const tw_plan_options saving[] = {
    {.recompute = TW_RECOMPUTE_NO},
    {.recompute = TW_RECOMPUTE_CHEAP},
    {.recompute = TW_RECOMPUTE_PASSES, .packing = TW_PACKING_WHERE_CHEAP, .lend_gradients = true},
    {.recompute = TW_RECOMPUTE_CHEAP, .packing = TW_PACKING_EACH_RUN, .lend_gradients = true},
};
enum { WAYS = sizeof saving / sizeof *saving };

static const char *const saved_nets[] = {
    PLAIN_UNET "blocks = 1\nattention = 8\n",
    "[network]\nkind = adm\nbase = 32\nmult = 1, 2\nblocks = 1\nclasses = 5\ndropout = 0.2\n"
    "attention_downsample = 2\nresblock_updown = yes\n",
    "[network]\nkind = adm\nbase = 32\nmult = 1, 2\nblocks = 1\nscale_shift = no\n"
    "attention_downsample = 1, 2\nconv_resample = no\n",
    "[network]\nkind = diffusers_unet\nblock_out_channels = 32, 64\nlayers_per_block = "
    "1\ndown_attention = 1\n"
    "up_attention = 0\nmid_block_scale_factor = 1.5\ndropout = 0.1\n",
    "[network]\nkind = ncsnpp\nbase = 32\nmult = 1, 2\nblocks = 1\nattention = 4\nfir = yes\n"
    "progressive_input = residual\nprogressive = output_skip\ndropout = 0.1\n",
    "[network]\nkind = refinenet\nvariant = ncsnv2\nbase = 32\n[process]\nkind = ladder\n"};

static size_t all_of(tw_plan_memory m)
{
    return m.arena + m.scratch + m.packed;
}

/* Gradients of a second run, with other parameters than the first. */
static float *gradients_of_second_run(tw_model *m, tw_plan *plan, int64_t n)
{
    for (int64_t i = 0; i < m->params->trainable; i++) m->params->value[i] *= 0.5f;
    free(gradients(m, plan, n));
    for (int64_t i = 0; i < m->params->trainable; i++) m->params->value[i] *= 2;
    return gradients(m, plan, n);
}

static void save(int net, bool half, int ways)
{
    enum { N = 16 };
    tw_config *c = NULL;
    tw_model *m = make_model(&c, saved_nets[net], TW_SHAPE(8, 8, 3));
    float *g[WAYS];
    tw_plan_memory use[WAYS];
    ok(tw_params_use_gradient(m->params, NULL));
    for (int k = 0; k < ways; k++) {
        tw_plan_options options = saving[k];
        options.precision = half ? TW_PRECISION_BF16 : TW_PRECISION_F32;
        options.poison = true;
        tw_plan *plan = plan_of(m, N, &options);
        g[k] = k < 2 ? gradients(m, plan, N) : gradients_of_second_run(m, plan, N);
        use[k] = tw_plan_memory_use(plan);
        tw_plan_destroy(&plan);
        assert_memory_equal(g[0], g[k], (size_t)m->params->trainable * sizeof(float));
        assert_true(k == 0 || all_of(use[k]) < all_of(use[0]));
    }
    if (!(use[1].arena <= 0.66 * (double)use[0].arena)) /* CIFAR-10 in full size: 0.46 */
        fail_msg("network %d: %zu of %zu bytes", net, use[1].arena, use[0].arena);
    assert_true(ways == 2 || use[3].arena < use[1].arena);
    assert_true(ways == 2 || (use[3].packed < use[2].packed && use[2].packed <= use[0].packed));
    for (int k = 0; k < ways; k++) free(g[k]);
    destroy_model(&m, &c);
}

static void recomputing_lending_and_packing_late_save_memory_and_change_no_bit(void **state)
{
    (void)state;
    for (int i = 0; i < (int)(sizeof saved_nets / sizeof *saved_nets); i++)
        for (int half = 0; half < (i == 1 || i == 4 ? 2 : 1); half++)
            save(i, half, i == 1 || i == 4 ? WAYS : 2);
}

/* Plans of the published sizes, in what oneDNN computes natively: nothing is left to its slow
 * reference implementations. */
static void full_size_plans_hold_no_reference_implementation(void **state)
{
    (void)state;
    static const char *const text[] = {
        "[network]\nkind = adm\nblocks = 3\nattention_downsample = 2, 4\n" LEARNED,
        "[network]\nkind = adm\nbase = 192\nmult = 1, 2\nblocks = 1\n"
        "attention_downsample = 1, 2\nhead_channels = 64\nresblock_updown = yes\nclasses = 10\n",
        "[network]\nkind = diffusers_unet\nblock_out_channels = 128, 256, 256\n"
        "layers_per_block = 1\ndown_attention = 1\nup_attention = 1\n",
    };
    for (int i = 0; i < 3; i++) {
        tw_config *c = NULL;
        tw_model *m = NULL;
        ok(tw_config_create(&c));
        ok(tw_config_parse(c, text[i], (int64_t)strlen(text[i]), "test"));
        ok(tw_model_configure(&m, c));
        ok(tw_config_finish(c));
        ok(tw_model_create(m, TW_SHAPE(32, 32, 3), 1));
        ok(tw_params_use_gradient(m->params, NULL));
        for (int half = 0; half < 2; half++) {
            const tw_plan_options options = {.precision =
                                                 half ? TW_PRECISION_BF16 : TW_PRECISION_F32};
            tw_plan *plan = plan_of(m, 2, &options);
            for (int k = 0; k < tw_plan_task_count(plan); k++) {
                const tw_plan_task_info task = tw_plan_task(plan, k);
                if (task.implementation && strncmp(task.implementation, "ref", 3) == 0)
                    fail_msg("network %d: %s is %s", i, task.op, task.implementation);
            }
            tw_plan_destroy(&plan);
        }
        destroy_model(&m, &c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unets_of_all_options_agree_with_a_reference_in_double),
        cmocka_unit_test(unets_agree_in_bf16_to_its_rounding),
        cmocka_unit_test(a_padded_network_is_the_network_of_padded_samples),
        cmocka_unit_test(options_of_score_sdes_unet_are_what_they_say),
        cmocka_unit_test(recomputing_lending_and_packing_late_save_memory_and_change_no_bit),
        cmocka_unit_test(full_size_plans_hold_no_reference_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
