/* log of the probability that a Gaussian gives to one of 256 levels (Ho et al. 2020, equation 13),
 * for data of [−1, 1]: inputs c = x − mean and l = log std, x itself, all f32 [n, …], and a mask
 * [n]. With u± = (c ± 1/255) e^−l and Φ approximated by (1 + tanh(√(2/π) (u + 0.044715 u³))) / 2,
 *
 *   log Φ(u+)             where x < −0.999, the lowest level
 *   log (1 − Φ(u−))       where x > 0.999, the highest
 *   log (Φ(u+) − Φ(u−))   between,
 *
 * the probability at least 1e-12; as published. Outputs: it, and its derivatives by c and by l,
 * computed in double. Samples whose mask is 0 give zeros, and cost nothing. */
#include <math.h>

#include "ops/ops.h"
#include "ops/task.h"

extern const tw_op tw_op_discretised_gaussian;

enum { C, L, X, MASK };

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_plain(n));
    for (int i = 0; i < 4; i++)
        if (n->in[i]->type != TW_F32) return tw_op_shape_error(n, "wanted f32");
    const tw_shape shape = n->in[C]->shape;
    if (shape.rank < 1 || !tw_shape_equal(shape, n->in[L]->shape) ||
        !tw_shape_equal(shape, n->in[X]->shape))
        return tw_op_shape_error(n, "the three have different shapes, or none");
    if (!tw_shape_equal(n->in[MASK]->shape, TW_SHAPE(shape.dims[0])))
        return tw_op_shape_error(n, "wanted a mask for each sample");
    for (int k = 0; k < 3; k++) tw_set_output(n, k, TW_F32, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (gout[1] || gout[2])
        return tw_error_set(TW_EUNSUPPORTED, "discretised_gaussian: it has no second derivative");
    if (want[C]) gin[C] = tw_mul(g, gout[0], (tw_value *)(uintptr_t)&n->out[1]);
    if (want[L]) gin[L] = tw_mul(g, gout[0], (tw_value *)(uintptr_t)&n->out[2]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 100.0 * (double)tw_task_out_count(t));
}

/* Φ as published, and its derivative. */
static double phi(double u, double *slope)
{
    const double a = 0.7978845608028654, th = tanh(a * (u + 0.044715 * u * u * u));
    *slope = 0.5 * (1 - th * th) * a * (1 + 3 * 0.044715 * u * u);
    if (!(fabs(u) < 1e100)) *slope = 0;
    return 0.5 * (1 + th);
}

static void one(double c, double l, double x, double *log_p, double *by_c, double *by_l)
{
    const double inv = exp(-l), up = (c + 1.0 / 255) * inv, um = (c - 1.0 / 255) * inv;
    double sp, sm, p = phi(up, &sp), q = phi(um, &sm);
    if (x < -0.999) q = sm = 0;
    if (x > 0.999) p = 1, sp = 0;
    const double mass = p - q, floor = 1e-12;
    const bool above = mass > floor;
    *log_p = log(above || isnan(mass) ? mass : floor);
    *by_c = above ? (sp - sm) * inv / mass : 0;
    *by_l = above ? ((sm != 0 ? sm * um : 0) - (sp != 0 ? sp * up : 0)) / mass : 0;
}

static void run(const tw_task *t, const tw_run *r)
{
    const float *c = t->in[C], *l = t->in[L], *x = t->in[X], *mask = t->in[MASK];
    const int64_t n = t->node->in[C]->shape.dims[0], each = tw_sample_count(t->node->in[C]->shape);
    (void)r;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = i * each; k < (i + 1) * each; k++) {
            double value[3] = {0};
            if (mask[i] != 0)
                one((double)c[k], (double)l[k], (double)x[k], &value[0], &value[1], &value[2]);
            for (int o = 0; o < 3; o++)
                if (t->out[o]) ((float *)t->out[o])[k] = (float)value[o];
        }
}

/* The lowest level, one between, the highest; and one that the mask leaves out. x and the mask are
 * constants: the probability jumps with them. */
static tw_value *example(tw_graph *g, int variant)
{
    static const double level[] = {-1, 0.2, 1, 0.2};
    if (variant > 3) return NULL;
    tw_value *c = tw_input(g, "c", TW_F32, TW_SHAPE(3, 2, 5)),
             *l = tw_input(g, "l", TW_F32, TW_SHAPE(3, 2, 5)),
             *mask = tw_input(g, "mask", TW_F32, TW_SHAPE(3));
    tw_value *in[] = {tw_affine(g, c, 0.5, 0), l, tw_affine(g, c, 0, level[variant]),
                      tw_affine(g, mask, 0, variant < 3)};
    return tw_emit(g, &tw_op_discretised_gaussian, in, 4, NULL);
}

const tw_op tw_op_discretised_gaussian = {
    .name = "discretised_gaussian",
    .summary = "log probability of one of 256 levels",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
};
