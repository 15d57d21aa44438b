/* A symmetric FIR filter in each spatial dimension between two whole factors (upfirdn of StyleGAN2,
 * Karras et al. 2020): zeros are put between the positions (factor `up`), `before` zeros in front
 * and as many behind as the output asks for, the filter is applied and every `down`-th value kept:
 *
 *   y[j] = Σ_k h[k] u[j·down + k − before],   u[m] = x[m / up] where up divides m, else 0.
 *
 * Its adjoint is of the same kind,
 *
 *   gx[i] = Σ_k h[k] v[i·up + k − (K − 1 − before)],   v[m] = gy[m / down] where down divides m,
 *
 * by the symmetry of h. i[0] = up, i[1] = down, i[2] = before, i[3] = K <= 8 taps, i[4…6] = the
 * output's extents; f[k] = h[k] = h[K − 1 − k], so that four numbers are all there are. */
#include <string.h>

#include "ops/border.h"
#include "ops/kern_fir.h"
#include "ops/task.h"

extern const tw_op tw_op_fir;

enum { UP, DOWN, BEFORE, TAPS, EXTENT, FACTOR_MAX = 4 };

/* Positions of the period that the filter meets outside: `border` at factor up. */
static void wrap(int64_t out[3], int64_t border, int64_t up)
{
    for (int d = 0; d < 3; d++) out[d] = border > 0 && up > 0 ? (border + up - 1) / up : 0;
}

tw_value *tw_fir(tw_graph *g, tw_value *x, const tw_fir_geometry *geometry)
{
    tw_fir_geometry own = *geometry;
    const tw_fir_geometry *f = &own;
    if (!x) return NULL;
    if (tw_border_is_circular(g)) {
        int64_t before[3], after[3];
        wrap(before, own.before, own.up);
        wrap(after, own.after, own.up);
        own.before -= before[0] * own.up;
        own.after -= after[0] * own.up;
        x = tw_border_wrap(g, x, before, after);
        if (!x) return NULL;
    }
    tw_attr a = {.i = {f->up, f->down, f->before, f->taps}};
    for (int64_t k = 0; k < f->taps && k < TW_FIR_TAPS; k++) {
        const int64_t mirror = f->taps - 1 - k;
        if (mirror < TW_FIR_TAPS && f->tap[k] != f->tap[mirror])
            return tw_graph_fail(g, TW_ESHAPE, "fir: the filter must be symmetric");
        if (k <= mirror && k < 4) a.f[k] = f->tap[k];
    }
    for (int d = 0; d < x->shape.rank - 2 && d < 3; d++) {
        const int64_t rest = x->shape.dims[1 + d] * f->up + f->before + f->after - f->taps;
        a.i[EXTENT + d] = rest < 0 || f->down < 1 ? 0 : rest / f->down + 1;
    }
    return tw_emit(g, &tw_op_fir, &x, 1, &a);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_shape shape = n->in[0]->shape;
    const int64_t *i = n->attr.i;
    TW_TRY(tw_infer_plain(n));
    if (shape.rank < 3) return tw_op_shape_error(n, "wanted [N, spatial..., C]");
    if (i[TAPS] < 1 || i[TAPS] > TW_FIR_TAPS || i[UP] < 1 || i[UP] > FACTOR_MAX || i[DOWN] < 1 ||
        i[DOWN] > FACTOR_MAX)
        return tw_op_shape_error(n, "wanted 1 to %d taps and factors of 1 to %d", TW_FIR_TAPS,
                                 FACTOR_MAX);
    for (int d = 0; d < shape.rank - 2; d++) {
        shape.dims[1 + d] = i[EXTENT + d];
        if (shape.dims[1 + d] < 1) return tw_op_shape_error(n, "the filter leaves no position");
    }
    tw_set_output(n, 0, n->in[0]->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    const tw_shape x = n->in[0]->shape;
    tw_attr a = n->attr;
    a.i[UP] = n->attr.i[DOWN];
    a.i[DOWN] = n->attr.i[UP];
    a.i[BEFORE] = n->attr.i[TAPS] - 1 - n->attr.i[BEFORE];
    memcpy(a.i + EXTENT, x.dims + 1, (size_t)(x.rank - 2) * sizeof *x.dims);
    if (want[0]) gin[0] = tw_emit(g, &tw_op_fir, (tw_value *[]){gout[0]}, 1, &a);
    return TW_OK;
}

/* ---- run ---- */

typedef struct state {
    int64_t n, in[3], out[3], c; /* depth, height, width; missing ones have extent 1 */
    int64_t period, advance;
    tw_fir_pattern pattern[FACTOR_MAX];
    bool missing[2]; /* depth, height: not filtered */
} state;

static int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* The taps that meet a position of x in output j: k ≡ before − j·down modulo up. */
static tw_fir_pattern pattern_of(const tw_attr *a, int64_t j)
{
    const int64_t up = a->i[UP], at = j * a->i[DOWN] - a->i[BEFORE], taps = a->i[TAPS];
    tw_fir_pattern p = {0};
    p.first = -floor_div(-at, up);
    for (int64_t k = p.first * up - at; k < taps; k += up)
        p.weight[p.count++] = (float)a->f[k < taps - 1 - k ? k : taps - 1 - k];
    return p;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    state *s = NULL;
    const tw_node *n = t->node;
    const tw_shape x = n->in[0]->shape, y = n->out[0].shape;
    const int spatial = x.rank - 2;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a filter"));
    s->n = x.dims[0];
    s->c = tw_shape_channels(x);
    s->period = n->attr.i[UP];
    s->advance = n->attr.i[DOWN];
    for (int k = 0; k < 3; k++) {
        const int d = k - (3 - spatial);
        s->in[k] = d < 0 ? 1 : x.dims[1 + d];
        s->out[k] = d < 0 ? 1 : y.dims[1 + d];
        if (k < 2) s->missing[k] = d < 0;
    }
    for (int64_t j = 0; j < s->period; j++) s->pattern[j] = pattern_of(&n->attr, j);
    t->state = s;
    TW_TRY(tw_task_plan_c(t, 2.0 * (double)tw_shape_count(y) * (double)n->attr.i[TAPS]));
done:
    return st;
}

/* The positions of x along axis k (0 depth, 1 height) that output position j is made of. */
static int64_t reach(const state *s, int k, int64_t j, int64_t *at, float *weight)
{
    int64_t count = 0;
    if (s->missing[k]) {
        at[0] = 0;
        weight[0] = 1;
        return 1;
    }
    const tw_fir_pattern *p = &s->pattern[j % s->period];
    for (int64_t i = 0; i < p->count; i++) {
        at[count] = p->first + j / s->period * s->advance + i;
        weight[count] = p->weight[i];
        count += at[count] >= 0 && at[count] < s->in[k];
    }
    return count;
}

/* Row r of the output's n · depth · height. */
static void run_row(const tw_task *t, const state *s, int64_t r, tw_dtype type, tw_fir_filter *f)
{
    int64_t d[TW_FIR_TAPS + 1], h[TW_FIR_TAPS + 1];
    float wd[TW_FIR_TAPS + 1], wh[TW_FIR_TAPS + 1];
    const int64_t image = r / (s->out[0] * s->out[1]);
    const int64_t nd = reach(s, 0, r / s->out[1] % s->out[0], d, wd),
                  nh = reach(s, 1, r % s->out[1], h, wh);
    tw_fir_row row = {.columns = s->in[2],
                      .pixels = s->out[2],
                      .c = s->c,
                      .period = s->period,
                      .advance = s->advance,
                      .pattern = s->pattern};
    for (int64_t i = 0; i < nd; i++)
        for (int64_t j = 0; j < nh; j++) {
            const int64_t from = ((image * s->in[0] + d[i]) * s->in[1] + h[j]) * s->in[2] * s->c;
            row.rows[row.count] = tw_at_const(t->in[0], from, type);
            row.weight[row.count++] = wd[i] * wh[j];
        }
    f(tw_at(t->out[0], r * s->out[2] * s->c, type), &row);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const state *s = t->state;
    const tw_dtype type = tw_task_out_dtype(t);
    const tw_cut cut = tw_cut_of(s->n * s->out[0] * s->out[1], s->out[2] * s->c);
    tw_fir_filter *f = TW_KERNEL_SELECT(tw_kern_fir)->filter[type];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        for (int64_t i = tw_cut_first(&cut, j), end = i + tw_cut_count(&cut, j); i < end; i++)
            run_row(t, s, i, type, f);
}

/* Up and down as the networks have them, padding that leaves no edge or crops, an odd filter, the
 * longest one, one channel, one and three dimensions. */
static tw_value *example(tw_graph *g, int variant)
{
    static const struct {
        tw_shape x;
        tw_fir_geometry f;
    } cases[] = {
        {{4, {2, 4, 3, 5}}, {2, 1, 2, 1, 4, {0.25, 0.75, 0.75, 0.25}}},
        {{4, {1, 6, 8, 133}}, {1, 2, 1, 1, 4, {0.125, 0.375, 0.375, 0.125}}},
        {{4, {1, 5, 4, 2}}, {1, 1, 2, 2, 4, {0.125, 0.375, 0.375, 0.125}}},
        {{3, {2, 7, 3}}, {2, 1, 3, 2, 4, {0.25, 0.75, 0.75, 0.25}}},
        {{5, {1, 2, 4, 3, 2}}, {1, 2, 1, 1, 3, {0.25, 0.5, 0.25}}},
        {{4, {1, 9, 10, 1}}, {3, 2, -1, 4, 8, {1, -2, 3, 0.5, 0.5, 3, -2, 1}}},
        {{4, {1, 1, 1, 7}}, {2, 1, 1, 0, 2, {1, 1}}},
    };
    if (variant >= (int)(sizeof cases / sizeof *cases)) return NULL;
    return tw_fir(g, tw_input(g, "x", variant == 2 ? TW_F32 : TW_ACT, cases[variant].x),
                  &cases[variant].f);
}

const tw_op tw_op_fir = {
    .name = "fir",
    .summary = "a symmetric filter between whole factors",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .destroy = tw_task_free_state,
    .example = example,
    .twice = true,
    .cheap = true,
};
