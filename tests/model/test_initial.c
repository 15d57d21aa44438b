/* Where the parameters of every network begin, each of them: as published, PyTorch's or Flax's
 * uniform and normal weights by the fan, last layers at zero, normalisations as the identity,
 * tables of classes and Fourier frequencies normal. (DDPM++ and NCSN++: test_ncsnpp_params.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>

#include "model/model_fixture.h"

typedef enum distribution {
    CONSTANT, /* `value` everywhere */
    FAN_IN,  /* U(±1/√fan_in), biases with the fan of their weights; of weights [in, out, …] of
                transposed convolutions the fan of their outputs, as PyTorch has it */
    UNIFORM, /* U(±value) */
    SCALED,  /* U(±√(3 value / mean of fan_in and fan_out)) */
    THIRDS,  /* SCALED of three layers that lie one after the other */
    NORMAL,  /* N(0, value²) */
    FAN_OUT_NORMAL, /* N(0, value / fan_out) */
    NEAR_ONE        /* N(1, value²) but for the last third of a row, which is zero */
} distribution;

/* The first rule whose pattern fits a parameter's name. */
typedef struct rule {
    const char *pattern;
    distribution what;
    double value;
} rule;

typedef struct beginning {
    const char *text;
    tw_shape sample;
    rule rules[16];
} beginning;

#define NORMS                                                                                      \
    {"*norm*.weight", CONSTANT, 1},                                                                \
    {                                                                                              \
        "*norm*.bias", CONSTANT, 0                                                                 \
    }
#define PYTORCH                                                                                    \
    {"*.weight", FAN_IN, 0},                                                                       \
    {                                                                                              \
        "*.bias", FAN_IN, 0                                                                        \
    }
#define HO                                                                                         \
    {"*.bias", CONSTANT, 0}, {"*.conv2.weight", SCALED, 1e-10}, {"*.proj.weight", SCALED, 1e-10},  \
    {                                                                                              \
        "out.conv.weight", SCALED, 1e-10                                                           \
    }

static const beginning nets[] = {
    {"kind = unet\nbase = 32\nmult = 1, 2\nblocks = 1\nattention = 4\nclasses = 5\n",
     {3, {8, 8, 3}},
     {NORMS, HO, {"class.weight", NORMAL, 1}, {"*.qkv.weight", THIRDS, 1}, {"*", SCALED, 1}}},
    {"kind = unet\nbase = 32\nmult = 1, 2\nblocks = 1\nattention = 4\nattention_placement = "
     "score_sde\n",
     {3, {8, 8, 3}},
     {NORMS,
      HO,
      {"*.qkv.weight", THIRDS, 0.1},
      {"*.shortcut.weight", SCALED, 0.1},
      {"*", SCALED, 1}}},
    {"kind = adm\nbase = 32\nmult = 1, 2\nblocks = 1\nattention_downsample = 2\nclasses = 5\n"
     "heads = 2\n",
     {3, {8, 8, 3}},
     {NORMS,
      {"class.weight", NORMAL, 1},
      {"*.conv2.*", CONSTANT, 0},
      {"*.proj.*", CONSTANT, 0},
      {"out.conv.*", CONSTANT, 0},
      PYTORCH}},
    {"kind = adm\nbase = 32\nmult = 1, 2\nblocks = 1\nattention_downsample = 1\nresblock_updown = "
     "yes\nscale_shift = no\nhead_channels = 8\n",
     {3, {8, 8, 3}},
     {NORMS,
      {"*.conv2.*", CONSTANT, 0},
      {"*.proj.*", CONSTANT, 0},
      {"out.conv.*", CONSTANT, 0},
      PYTORCH}},
    {"kind = adm_classifier\nbase = 32\nmult = 1, 2\nblocks = 1\nattention_downsample = 2\n"
     "head_channels = 8\nclasses = 7\n",
     {3, {8, 8, 3}},
     {NORMS,
      {"out.pool.position", NORMAL, 0.125},
      {"out.pool.*", FAN_IN, 0},
      {"*.conv2.*", CONSTANT, 0},
      {"*.proj.*", CONSTANT, 0},
      PYTORCH}},
    {"kind = adm_classifier\nbase = 32\nmult = 1, 2\nblocks = 1\nattention_downsample = 2\n"
     "head_channels = 8\nclasses = 7\npool = adaptive\n",
     {3, {8, 8, 3}},
     {NORMS,
      {"*.conv2.*", CONSTANT, 0},
      {"*.proj.*", CONSTANT, 0},
      {"out.linear.*", CONSTANT, 0},
      PYTORCH}},
    {"kind = adm_classifier\nbase = 32\nmult = 1, 2\nblocks = 1\nattention_downsample = 2\n"
     "head_channels = 8\nclasses = 7\npool = spatial_v2\n",
     {3, {8, 8, 3}},
     {NORMS, {"*.conv2.*", CONSTANT, 0}, {"*.proj.*", CONSTANT, 0}, PYTORCH}},
    {"kind = diffusers_unet\nblock_out_channels = 32, 64\nlayers_per_block = 1\n"
     "down_attention = 1\nup_attention = 0\nclasses = 5\n",
     {3, {8, 8, 3}},
     {NORMS, {"class.weight", NORMAL, 1}, PYTORCH}},
    {"kind = refinenet\nvariant = ncsn\nbase = 8\n[process]\nkind = ladder\n",
     {3, {8, 8, 3}},
     {{"*.scales", NEAR_ONE, 0.02}, PYTORCH}},
    {"kind = refinenet\nvariant = ncsnv2_deepest\nbase = 8\n[process]\nkind = ladder\n",
     {3, {8, 8, 3}},
     {{"*.scales", NEAR_ONE, 0.02}, PYTORCH}},
    {"kind = scorenet\n[process]\nkind = ve\n",
     {3, {28, 28, 1}},
     {NORMS, {"time.frequencies", NORMAL, 30}, PYTORCH}},
    {"kind = wideresnet\nwiden = 2\nblocks = 1\nclasses = 10\n[process]\nkind = ve\n",
     {3, {8, 8, 3}},
     {NORMS,
      {"time.frequencies", NORMAL, 16},
      {"*.conv?.weight", FAN_OUT_NORMAL, 2},
      {"in.weight", FAN_OUT_NORMAL, 2},
      {"time.linear1.weight", NORMAL, 0.0625},                /* 256 inputs */
      {"*time.linear2.weight", NORMAL, 0.044194173824159216}, /* 512 */
      {"group*.time.weight", NORMAL, 0.044194173824159216},
      {"out.linear.weight", UNIFORM, 0.31622776601683794},
      {"*.bias", CONSTANT, 0}}},
};

/* ---- moments ---- */

/* Numbers of deviation 1: the sum of their squares and, of uniform ones, the largest. */
static void check_moments(const char *net, const char *name, const double *u, int64_t n,
                          bool uniform)
{
    double sum = 0, squares = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += u[i];
        squares += u[i] * u[i];
        most = fmax(most, fabs(u[i]) / sqrt(3));
    }
    const double count = (double)n, kurtosis = uniform ? 0.8 : 2;
    const bool bounded = !uniform || (most <= 1 + 1e-6 && most >= pow(1e-5, 1 / count));
    if (!bounded || !(fabs(sum / count) <= 6 / sqrt(count)) ||
        !(fabs(squares / count - 1) <= 6 * sqrt(kurtosis / count)))
        fail_msg("%s%s: mean %.3g, mean square %.3g, largest %.3g", net, name, sum / count,
                 squares / count, most);
}

static double fan(const tw_param_view *v, int axis)
{
    return (double)v->count / (double)v->shape.dims[axis];
}

/* PATH.bias: its weights. */
static const tw_param_view *weights_of(const tw_params *p, const tw_param_view *v)
{
    char name[TW_NAME_MAX];
    snprintf(name, sizeof name, "%s", v->name);
    char *bias = strstr(name, ".bias");
    if (!bias) return v;
    snprintf(bias, sizeof name - (size_t)(bias - name), ".weight");
    return tw_params_find(p, name);
}

/* The deviation that the rule wants, and whether the distribution is uniform. */
static double deviation(const rule *r, const tw_params *p, const tw_param_view *v, bool *uniform)
{
    const double rows = (double)v->shape.dims[0];
    *uniform = r->what != NORMAL && r->what != FAN_OUT_NORMAL && r->what != NEAR_ONE;
    switch (r->what) {
    case FAN_IN:
        return 1 / sqrt(3 * fan(weights_of(p, v), 0));
    case UNIFORM:
        return r->value / sqrt(3);
    case SCALED:
        return sqrt(2 * r->value / (fan(v, 0) + fan(v, 1)));
    case THIRDS:
        return sqrt(2 * r->value / (fan(v, 0) + fan(v, 1) / 3));
    case FAN_OUT_NORMAL:
        return sqrt(r->value / (rows * fan(v, 0) / (double)v->shape.dims[1]));
    default:
        return r->value;
    }
}

static void follows(const beginning *b, const tw_params *p, const tw_param_view *v, const rule *r)
{
    float *x = malloc((size_t)v->count * sizeof *x);
    double *u = malloc((size_t)v->count * sizeof *u);
    bool uniform;
    const double std = deviation(r, p, v, &uniform);
    const int64_t row = v->shape.rank > 1 ? v->shape.dims[1] : v->count;
    int64_t n = 0;
    tw_params_to_plain(v, p->value, x);
    for (int64_t i = 0; i < v->count; i++) {
        const bool zero = r->what == NEAR_ONE && i % row >= 2 * row / 3;
        if (r->what == CONSTANT || zero) {
            if ((double)x[i] != (zero ? 0 : r->value))
                fail_msg("%s%s: %g in the place of %g", b->text, v->name, (double)x[i], r->value);
        } else {
            u[n++] = ((double)x[i] - (r->what == NEAR_ONE)) / std;
        }
    }
    if (n) check_moments(b->text, v->name, u, n, uniform);
    free(x);
    free(u);
}

static void each_parameter_begins_as_published(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        const beginning *b = &nets[k];
        char text[512];
        tw_config *config = NULL;
        snprintf(text, sizeof text, "[network]\n%s", b->text);
        tw_model *m = make_model(&config, text, b->sample);
        bool used[16] = {0};
        ok(tw_params_initialise(m->params, 3)); /* the fixture has moved them */
        for (int i = 0; i < m->params->view_count; i++) {
            const tw_param_view *v = &m->params->views[i];
            int r = 0;
            while (r < 16 && b->rules[r].pattern && fnmatch(b->rules[r].pattern, v->name, 0)) r++;
            if (r == 16 || !b->rules[r].pattern) fail_msg("%s%s: no rule", b->text, v->name);
            follows(b, m->params, v, &b->rules[r]);
            used[r] = true;
        }
        for (int r = 0; r < 16 && b->rules[r].pattern; r++)
            if (!used[r] && !strstr(b->rules[r].pattern, "norm"))
                fail_msg("%s: nothing is called %s", b->text, b->rules[r].pattern);
        destroy_model(&m, &config);
    }
}

/* Other seeds, other weights; the same seed, the same ones. */
static void weights_are_the_seeds(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_model *m = make_model(&config, "[network]\nkind = unet\nbase = 32\nmult = 1\nblocks = 1\n",
                             TW_SHAPE(8, 8, 1));
    const size_t bytes = (size_t)m->params->size * sizeof(float);
    float *one = malloc(bytes);
    ok(tw_params_initialise(m->params, 5));
    memcpy(one, m->params->value, bytes);
    ok(tw_params_initialise(m->params, 6));
    assert_memory_not_equal(one, m->params->value, bytes);
    ok(tw_params_initialise(m->params, 5));
    assert_memory_equal(one, m->params->value, bytes);
    free(one);
    destroy_model(&m, &config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_parameter_begins_as_published),
        cmocka_unit_test(weights_are_the_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
