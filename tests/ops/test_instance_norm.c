/* Instance normalisation ++ and its gradient: against what the published code gave, and against
 * naive loops in double. */
#include "ops/norm_plus.h"
#include "ops/ops.h"
#include "ops/reference.h"

static const tw_run plain_run = {.seed = 1};

/* NCSN's ConditionalInstanceNorm2dPlus: 4 channels of 3 x 3, x = sin(0.3 + 0.11 i) channels first.
 */
static const double row[12] = {1.09702765204,  1.05862084361,  0.992643736449, 0.930126394983,
                               0.900471701761, 0.917626722374, 0.973523182572, 1.04187210372,
                               0.090527920216, 0.096607041299, 0.057250361332, -0.009032058131};
static const double published[36] = {
    -1.34496595767, -0.796415399812, -0.273503700914, 0.217448284859,  0.670506026087,
    1.08019304955,  1.44155713878,   1.75023019546,   2.00248104014,   1.23143417209,
    1.69762102357,  1.93820326782,   1.95027279381,   1.73368370748,   1.29105409526,
    0.627734377187, -0.248257367934, -1.32633232351,  1.52879161813,   1.23085197779,
    0.900589080907, 0.541995080668,  0.159404591094,  -0.242557708929, -0.65903297787,
    -1.08498694427, -1.51527076004,  0.176401903691,  -0.252382195777, -0.669843441696,
    -1.07093564431, -1.45081047966,  -1.80487609515,  -2.12885261499,  -2.41882387448,
    -2.67128475784};

static void values_are_the_published_ones(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    single s;
    float x[36], p[12], y[36];
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < 9; i++) x[i * 4 + c] = (float)sin(0.3 + 0.11 * (c * 9 + i));
    for (int k = 0; k < 12; k++) p[k] = (float)row[k];
    single_create(&s,
                  tw_instance_norm_plus(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 3, 3, 4)),
                                        tw_input(g, "p", TW_F32, TW_SHAPE(1, 12)), 1e-5, false),
                  TW_DTYPE_F32, 2);
    single_set(&s, 0, x);
    single_set(&s, 1, p);
    single_run(&s, &plain_run);
    single_get(&s, 0, y);
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < 9; i++)
            if (!(fabs((double)y[i * 4 + c] - published[c * 9 + i]) <= 1e-6))
                fail_msg("channel %d, position %d: %.9g, wanted %.9g", c, i, (double)y[i * 4 + c],
                         published[c * 9 + i]);
    single_destroy(&s);
    tw_graph_destroy(&g);
}

/* What one image's channel c has: mean, reciprocal deviation and normalised mean. */
typedef struct moments {
    double mean, r, hat;
} moments;

static void moments_of(moments *m, const double *x, int64_t pixels, int64_t channels, double eps)
{
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < pixels; i++) sum += x[i * channels + c];
        for (int64_t i = 0; i < pixels; i++)
            square += pow(x[i * channels + c] - sum / (double)pixels, 2);
        m[c].mean = sum / (double)pixels;
        m[c].r = 1 / sqrt(square / (double)pixels + eps);
        mean += m[c].mean / (double)channels;
    }
    for (int64_t c = 0; c < channels; c++)
        variance += pow(m[c].mean - mean, 2) / (double)(channels - 1);
    for (int64_t c = 0; c < channels; c++) m[c].hat = (m[c].mean - mean) / sqrt(variance + eps);
}

static void naive(const tw_node *n, double *const *in, double *out)
{
    const tw_shape s = n->in[0]->shape;
    const int64_t channels = tw_shape_channels(s),
                  pixels = tw_shape_count(s) / (s.dims[0] * channels);
    const bool shared = n->in[1]->shape.rank == 1;
    moments *m = malloc((size_t)channels * sizeof *m);
    for (int64_t k = 0; k < s.dims[0]; k++) {
        const double *x = in[0] + k * pixels * channels,
                     *p = in[1] + (shared ? 0 : 3 * channels * k);
        moments_of(m, x, pixels, channels, n->attr.f[0]);
        for (int64_t i = 0; i < pixels * channels; i++) {
            const int64_t c = i % channels;
            const double u = p[c] * ((x[i] - m[c].mean) * m[c].r + p[channels + c] * m[c].hat) +
                             p[2 * channels + c];
            out[k * pixels * channels + i] = n->attr.i[0] && u < 0 ? expm1(u) : u;
        }
    }
    free(m);
}

static const struct {
    tw_shape x;
    bool shared, elu;
} cases[] = {
    {{4, {2, 8, 8, 16}}, true, true},    {{4, {3, 5, 7, 6}}, false, true},
    {{4, {1, 33, 31, 40}}, true, false}, {{4, {9, 16, 16, 130}}, false, true},
    {{3, {2, 1025, 17}}, false, false},  {{5, {1, 3, 4, 5, 2}}, true, true},
};
enum { CASES = sizeof cases / sizeof *cases };

static tw_value *make(tw_graph *g, int i)
{
    const tw_shape x = cases[i].x;
    const int64_t c = tw_shape_channels(x);
    tw_value *p =
        tw_input(g, "p", TW_F32, cases[i].shared ? TW_SHAPE(3 * c) : TW_SHAPE(x.dims[0], 3 * c));
    return tw_instance_norm_plus(g, tw_input(g, "x", TW_ACT, x), p, 1e-5, cases[i].elu);
}

/* Means over channels divided by their deviation carry some last places of rounding. */
static void values_are_those_of_double(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        tw_graph *g = new_graph();
        agrees(make(g, i), naive, 1, 32, &plain_run);
        tw_graph_destroy(&g);
    }
}

/* L = Σ gy y of an image as a function of x and of its scales, for slopes in double. */
static double loss(const tw_node *n, double *const *in, const double *gy, double *y)
{
    double sum = 0;
    naive(n, in, y);
    for (int64_t i = 0; i < tw_shape_count(n->in[0]->shape); i++) sum += gy[i] * y[i];
    return sum;
}

/* Each element's slope by central differences in double. */
static void gradients_are_slopes_of_the_naive_loops(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const tw_shape shape = i % 2 ? (tw_shape){4, {2, 3, 2, 5}} : (tw_shape){4, {3, 2, 4, 18}};
        const int64_t c = tw_shape_channels(shape), n = tw_shape_count(shape);
        tw_graph *g = new_graph();
        single s;
        tw_value *p =
            tw_input(g, "p", TW_F32, i < 2 ? TW_SHAPE(3 * c) : TW_SHAPE(shape.dims[0], 3 * c));
        tw_value *y = tw_instance_norm_plus(g, tw_input(g, "x", TW_ACT, shape), p, 1e-5, i != 3);
        const int64_t np = tw_shape_count(p->shape);
        tw_value *gradient[2];
        tw_graph_gradient(g, y, tw_input(g, "gy", TW_ACT, shape), (tw_value *[]){y->node->in[0], p},
                          2, gradient);
        single_create(&s, gradient[0], TW_DTYPE_F32, 0);
        fill_inputs(&s, 1);
        double *in[2] = {read_input(&s, 0), read_input(&s, 1)}, *gy = read_input(&s, 3),
               *values = malloc((size_t)n * sizeof *values);
        moments m[18];
        float *stats = malloc((size_t)(shape.dims[0] * 2 * c) * sizeof *stats);
        for (int64_t k = 0; k < shape.dims[0]; k++) {
            moments_of(m, in[0] + k * n / shape.dims[0], n / shape.dims[0] / c, c, 1e-5);
            for (int64_t j = 0; j < c; j++) {
                stats[2 * k * c + j] = (float)m[j].mean;
                stats[(2 * k + 1) * c + j] = (float)m[j].r;
            }
        }
        single_set(&s, 2, stats);
        single_run(&s, &plain_run);
        for (int which = 0; which < 2; which++) {
            const int64_t count = which ? np : n;
            float *got = malloc((size_t)count * sizeof *got);
            single_get(&s, which, got);
            for (int64_t j = 0; j < count; j++) {
                const double kept = in[which][j], h = 1e-5;
                in[which][j] = kept + h;
                const double up = loss(y->node, in, gy, values);
                in[which][j] = kept - h;
                const double slope = (up - loss(y->node, in, gy, values)) / (2 * h);
                in[which][j] = kept;
                if (!(fabs((double)got[j] - slope) <= 2e-5 * (1 + fabs(slope))))
                    fail_msg("case %d, gradient %d, element %lld: %.9g, wanted %.9g", i, which,
                             (long long)j, (double)got[j], slope);
            }
            free(got);
        }
        free(stats);
        free(values);
        free(gy);
        free(in[0]);
        free(in[1]);
        single_destroy(&s);
        tw_graph_destroy(&g);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        tw_graph *g = new_graph();
        const int64_t c = k == 0 ? 1 : 4;
        tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 3, c));
        tw_value *p = tw_input(g, "p", TW_F32, k == 1 ? TW_SHAPE(3, 3 * c) : TW_SHAPE(3 * c));
        assert_true((tw_instance_norm_plus(g, k == 2 ? NULL : x, p, 1e-5, true) == NULL));
        assert_true(tw_graph_status(g) != TW_OK);
        tw_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_the_published_ones),
        cmocka_unit_test(values_are_those_of_double),
        cmocka_unit_test(gradients_are_slopes_of_the_naive_loops),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
