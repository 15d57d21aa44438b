/* Fields on a torus: with circular padding the output of a shifted input is the shifted output, by
 * multiples of what the network halves its sides by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "model/model_fixture.h"
#include "tweedie/graph.h"

enum { H = 8, W = 12, C = 2, MOST = 24 * 32 * C };

#define VP "[process]\nkind = vp\n"
#define CIRCULAR "padding = circular\n"
#define NCSNPP "[network]\nkind = ncsnpp\nbase = 8\nmult = 1, 2\nblocks = 1\nattention = 4\n"
#define FIR "fir = yes\nfir_kernel = 1, 3, 3, 1\n"

#define LADDER "[process]\nkind = ladder\nsigma_min = 0.1\nsigma_max = 1\nlevels = 4\n"
#define REFINENET "[network]\nkind = refinenet\nvariant = ncsnv2\nbase = 4\n"
#define NCSN "[network]\nkind = refinenet\nvariant = ncsn\nbase = 4\n"
#define SCORENET "[network]\nkind = scorenet\nchannels = 4, 8, 8, 8\nembed = 8\ngroups = 4\n"

/* x rolled by (dy, dx): what was at (y, x) is at (y + dy, x + dx). */
static void roll(float *to, const float *x, int64_t h, int64_t w, int64_t c, int64_t dy, int64_t dx)
{
    for (int64_t y = 0; y < h; y++)
        for (int64_t k = 0; k < w; k++)
            memcpy(to + (((y + dy) % h) * w + (k + dx) % w) * c, x + (y * w + k) * c,
                   (size_t)c * sizeof *x);
}

/* The largest difference between what a model makes of a rolled point and of the point, rolled. */
static double shift_error(const char *text, int64_t h, int64_t w, int64_t dy, int64_t dx)
{
    tw_config *config = NULL;
    tw_model *m = make_model(&config, text, TW_SHAPE(h, w, C));
    tw_model_score *score = NULL;
    static float x[2 * MOST], s[2 * MOST], rolled[MOST];
    const int64_t dims = h * w * C;
    const double time = m->process->steps ? 2 : 0.4, t[] = {time, time};
    const int64_t index[] = {0, 0};
    double worst = 0;
    ok(tw_model_score_create(&score, m, 2, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    fill_normal(x, 5, dims);
    roll(x + dims, x, h, w, C, dy, dx);
    const tw_score *view = tw_model_score_view(score);
    ok(view->eval(view->self, 2, x, t, index, s));
    roll(rolled, s, h, w, C, dy, dx);
    for (int k = 0; k < dims; k++)
        worst = fmax(worst,
                     fabs((double)rolled[k] - (double)s[dims + k]) / (1 + fabs((double)rolled[k])));
    tw_model_score_destroy(&score);
    destroy_model(&m, &config);
    return worst;
}

/* Sums over the image and over positions of attention are taken in another order: not bit by bit.
 */
static void a_shifted_input_gives_the_shifted_output(void **state)
{
    (void)state;
    static const struct {
        const char *text, *zero;
        int64_t h, w, multiple; /* 0: H, W and 2 */
        double bound;           /* 0: 2e-5; instance normalisation divides by small deviations */
    } nets[] = {
        {UNET CIRCULAR VP, UNET VP, 0, 0, 0, 0},
        {NCSNPP CIRCULAR VP, NCSNPP VP, 0, 0, 0, 0},
        {NCSNPP FIR CIRCULAR VP, NCSNPP FIR VP, 0, 0, 0, 0},
        {"[network]\nkind = adm\nbase = 8\nmult = 1, 2\nblocks = 1\nattention_downsample = 2\n"
         "heads = 1\ngroups = 4\n" CIRCULAR VP,
         NULL, 0, 0, 0, 0},
        {"[network]\nkind = diffusers_unet\nblock_out_channels = 8, 16\nnorm_num_groups = 4\n"
         "layers_per_block = 1\ndown_attention = 1\nup_attention = 0\n" CIRCULAR VP,
         NULL, 0, 0, 0, 0},
        {REFINENET CIRCULAR VP, REFINENET VP, 0, 0, 0, 1e-4},
        {NCSN CIRCULAR LADDER, NCSN LADDER, 0, 0, 0, 1e-4},
        {SCORENET CIRCULAR VP, SCORENET VP, 24, 32, 8, 0},
    };
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        static const int64_t shifts[][2] = {{1, 0}, {0, 1}, {2, 3}, {3, 5}};
        const int64_t h = nets[k].h ? nets[k].h : H, w = nets[k].h ? nets[k].w : W,
                      by = nets[k].h ? nets[k].multiple : 2;
        const double bound = nets[k].bound > 0 ? nets[k].bound : 2e-5;
        for (int j = 0; j < 4; j++) {
            const double e =
                shift_error(nets[k].text, h, w, by * shifts[j][0] % h, by * shifts[j][1] % w);
            if (!(e < bound)) fail_msg("network %d, shift %d: %g", (int)k, j, e);
        }
        if (nets[k].zero && !(shift_error(nets[k].zero, h, w, by, by) > 1e-3))
            fail_msg("network %d without it is periodic too", (int)k);
    }
}

/* ---- operations, against slow loops in double ---- */

static int64_t wrap(int64_t i, int64_t n)
{
    return (i % n + n) % n;
}

/* Kernels of any stride, dilation and uneven borders. */
static void a_circular_convolution_reads_the_other_side(void **state)
{
    (void)state;
    static const struct {
        int64_t h, w, kernel, stride, dilation, before, after;
    } cases[] = {{4, 6, 3, 1, 1, 1, 1}, {4, 6, 3, 2, 1, 0, 1}, {4, 6, 3, 2, 1, 1, 1},
                 {6, 4, 3, 1, 4, 4, 4}, {4, 4, 2, 2, 1, 0, 0}, {2, 2, 5, 1, 1, 2, 2}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        tw_graph *g = NULL;
        tw_params *params = NULL;
        tw_plan *p = NULL;
        const int64_t h = cases[k].h, w = cases[k].w, s = cases[k].stride, n = cases[k].kernel;
        tw_conv_geometry geometry = tw_conv_square(s, cases[k].before, cases[k].after);
        for (int d = 0; d < 3; d++) geometry.dilation[d] = cases[k].dilation;
        ok(tw_graph_create(&g));
        tw_graph_set_padding(g, TW_PAD_CIRCULAR);
        tw_value *x = tw_input(g, "x", TW_F32, TW_SHAPE(1, h, w, 1));
        tw_value *weight = tw_param(g, "w", TW_SHAPE(1, 1, n, n), tw_init_fan_in(1));
        tw_graph_output(g, "y", tw_conv(g, x, weight, NULL, &geometry));
        ok(tw_graph_status(g));
        ok(tw_params_create(&params, g));
        ok(tw_params_initialise(params, 3));
        ok(tw_plan_create(&p, g, params, &(tw_plan_options){.precision = TW_PRECISION_F32}));
        tw_plan_refresh(p);
        float *in = tw_plan_input(p, "x");
        fill_normal(in, (int64_t)k, h * w);
        tw_plan_execute(p, &(tw_plan_run){0});
        const float *y = tw_plan_output(p, "y");
        float plain[25];
        tw_params_to_plain(&params->views[0], params->value, plain);
        for (int64_t i = 0; i < h / s; i++)
            for (int64_t j = 0; j < w / s; j++) {
                double sum = 0;
                for (int64_t a = 0; a < n; a++)
                    for (int64_t b = 0; b < n; b++)
                        sum += (double)plain[a * n + b] *
                               (double)
                                   in[wrap(i * s + a * cases[k].dilation - cases[k].before, h) * w +
                                      wrap(j * s + b * cases[k].dilation - cases[k].before, w)];
                assert_float_equal(y[i * (w / s) + j], sum, 1e-5);
            }
        tw_plan_destroy(&p);
        tw_params_destroy(&params);
        tw_graph_destroy(&g);
    }
}

/* Σ (w * x) v = Σ x (wᵀ * v), whatever the borders. */
static void a_circular_transposed_convolution_is_the_adjoint(void **state)
{
    (void)state;
    static const struct {
        int64_t h, w, kernel, stride, before, after;
    } cases[] = {{4, 6, 3, 1, 1, 1}, {4, 6, 3, 2, 1, 1}, {8, 4, 3, 2, 0, 1}, {2, 2, 5, 1, 2, 2}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        tw_graph *g = NULL;
        tw_params *params = NULL;
        tw_plan *p = NULL;
        const int64_t h = cases[k].h, w = cases[k].w, s = cases[k].stride, n = cases[k].kernel;
        const tw_conv_geometry geometry = tw_conv_square(s, cases[k].before, cases[k].after);
        double left = 0, right = 0;
        ok(tw_graph_create(&g));
        tw_graph_set_padding(g, TW_PAD_CIRCULAR);
        tw_value *x = tw_input(g, "x", TW_F32, TW_SHAPE(1, h, w, 2)),
                 *v = tw_input(g, "v", TW_F32, TW_SHAPE(1, h / s, w / s, 3)),
                 *weight = tw_param(g, "w", TW_SHAPE(3, 2, n, n), tw_init_fan_in(1));
        tw_graph_output(g, "y", tw_conv(g, x, weight, NULL, &geometry));
        tw_graph_output(g, "z",
                        tw_conv_transposed(g, v, weight, NULL, &geometry, (int64_t[]){h, w}));
        ok(tw_graph_status(g));
        ok(tw_params_create(&params, g));
        ok(tw_params_initialise(params, 3));
        ok(tw_plan_create(&p, g, params, &(tw_plan_options){.precision = TW_PRECISION_F32}));
        tw_plan_refresh(p);
        float *in = tw_plan_input(p, "x"), *along = tw_plan_input(p, "v");
        fill_normal(in, 1, h * w * 2);
        fill_normal(along, 2, h / s * (w / s) * 3);
        tw_plan_execute(p, &(tw_plan_run){0});
        const float *y = tw_plan_output(p, "y"), *z = tw_plan_output(p, "z");
        for (int64_t i = 0; i < h / s * (w / s) * 3; i++) left += (double)y[i] * (double)along[i];
        for (int64_t i = 0; i < h * w * 2; i++) right += (double)in[i] * (double)z[i];
        assert_float_equal(left, right, 1e-4 * (1 + fabs(left)));
        tw_plan_destroy(&p);
        tw_params_destroy(&params);
        tw_graph_destroy(&g);
    }
}

/* The filters of NCSN++ on a signal, up and down by two: y[j] = Σ h[k] u[j down + k − before], u
 * the period with zeros between its positions. */
static void a_circular_filter_reads_the_other_side(void **state)
{
    (void)state;
    enum { N = 8 };
    static const tw_fir_geometry cases[] = {
        {.up = 2, .down = 1, .before = 2, .after = 1, .taps = 4, .tap = {0.25, 0.75, 0.75, 0.25}},
        {.up = 1,
         .down = 2,
         .before = 1,
         .after = 1,
         .taps = 4,
         .tap = {0.125, 0.375, 0.375, 0.125}},
        {.up = 1, .down = 1, .before = 2, .after = 1, .taps = 4, .tap = {0.1, 0.4, 0.4, 0.1}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const tw_fir_geometry *f = &cases[c];
        tw_graph *g = NULL;
        tw_params *params = NULL;
        tw_plan *p = NULL;
        ok(tw_graph_create(&g));
        tw_graph_set_padding(g, TW_PAD_CIRCULAR);
        tw_graph_output(g, "y", tw_fir(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, N, 1)), f));
        ok(tw_graph_status(g));
        ok(tw_params_create(&params, g));
        ok(tw_plan_create(&p, g, params, &(tw_plan_options){.precision = TW_PRECISION_F32}));
        float *in = tw_plan_input(p, "x");
        fill_normal(in, (int64_t)c, N);
        tw_plan_execute(p, &(tw_plan_run){0});
        const float *y = tw_plan_output(p, "y");
        assert_int_equal(tw_plan_shape(p, "y").dims[1], N * f->up / f->down);
        for (int64_t j = 0; j < N * f->up / f->down; j++) {
            double sum = 0;
            for (int64_t k = 0; k < f->taps; k++) {
                const int64_t at = wrap(j * f->down + k - f->before, N * f->up);
                if (at % f->up == 0) sum += f->tap[k] * (double)in[at / f->up];
            }
            assert_float_equal(y[j], sum, 1e-6);
        }
        tw_plan_destroy(&p);
        tw_params_destroy(&params);
        tw_graph_destroy(&g);
    }
}

static void slopes_of_a_periodic_network_are_differences(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_model *m = make_model(&config, UNET CIRCULAR VP, TW_SHAPE(4, 4, 1));
    tw_model_score *score = NULL;
    float x[16], moved[16], v[16], s[16], more[16], less[16], product[16];
    const double t = 0.4;
    const int64_t index = 0;
    ok(tw_model_score_create(&score, m, 1, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    fill_normal(x, 0, 16);
    fill_normal(v, 1, 16);
    const tw_score *view = tw_model_score_view(score);
    ok(view->vjp(view->self, 1, x, &t, &index, v, s, product));
    for (int k = 0; k < 16; k++) {
        const float h = 1e-2f;
        double slope = 0;
        memcpy(moved, x, sizeof x);
        moved[k] = x[k] + h;
        ok(view->eval(view->self, 1, moved, &t, &index, more));
        moved[k] = x[k] - h;
        ok(view->eval(view->self, 1, moved, &t, &index, less));
        for (int i = 0; i < 16; i++)
            slope += (double)v[i] * (double)(more[i] - less[i]) / (2 * (double)h);
        assert_float_equal(product[k], slope, 5e-3 * (1 + fabs(slope)));
    }
    tw_model_score_destroy(&score);
    destroy_model(&m, &config);
}

static void what_cannot_be_periodic_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        tw_shape sample;
    } cases[] = {
        {MLP CIRCULAR VP, "has no convolutions with borders", {.rank = 1, .dims = {3}}},
        {SCORENET CIRCULAR VP,
         "neither keeps the extents nor divides them by its stride",
         {.rank = 3, .dims = {28, 28, 1}}},
        {UNET CIRCULAR "pad = zero\n" VP, "network.pad: a border", {.rank = 3, .dims = {8, 8, 1}}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        tw_config *config = NULL;
        tw_model *m = NULL;
        ok(tw_config_create(&config));
        ok(tw_config_parse(config, cases[k].text, (int64_t)strlen(cases[k].text), "test"));
        ok(tw_model_configure(&m, config));
        ok(tw_config_finish(config));
        assert_int_equal(tw_model_create(m, cases[k].sample, 1), TW_ECONFIG);
        if (!strstr(tw_error_message(), cases[k].message))
            fail_msg("%s: not '%s'", tw_error_message(), cases[k].message);
        destroy_model(&m, &config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shifted_input_gives_the_shifted_output),
        cmocka_unit_test(a_circular_convolution_reads_the_other_side),
        cmocka_unit_test(a_circular_transposed_convolution_is_the_adjoint),
        cmocka_unit_test(a_circular_filter_reads_the_other_side),
        cmocka_unit_test(slopes_of_a_periodic_network_are_differences),
        cmocka_unit_test(what_cannot_be_periodic_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
