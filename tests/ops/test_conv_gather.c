/* Our direct convolution by pointers to pixels against slow loops in double: forward with bias,
 * summand and factor, backward at strides; on each instruction set, the same bits at any number of
 * threads. Tolerances as in test_conv.c. */
#include <omp.h>

#include "ops/conv_gather.h"
#include "ops/each_isa.h"
#include "ops/element.h"
#include "ops/reference.h"

typedef struct problem {
    int64_t n, height, width, in, out, kernel[2], stride, dilation, before, after;
} problem;

static const problem problems[] = {
    {1, 1, 1, 1, 1, {1, 1}, 1, 1, 0, 0},
    {1, 1, 1, 1, 17, {3, 3}, 1, 1, 1, 1},
    {1, 5, 7, 1, 2, {3, 3}, 1, 1, 1, 1},
    {3, 5, 7, 19, 1, {3, 3}, 1, 1, 1, 1},
    {2, 7, 5, 33, 3, {3, 3}, 1, 1, 1, 1},
    {2, 6, 9, 16, 16, {3, 3}, 2, 1, 0, 1}, /* blocked parameters */
    {3, 9, 7, 20, 37, {3, 3}, 2, 1, 1, 1},
    {2, 8, 8, 32, 64, {3, 3}, 2, 1, 0, 1},
    {1, 7, 6, 5, 2, {2, 2}, 2, 1, 0, 0},
    {2, 6, 5, 3, 18, {1, 1}, 2, 1, 0, 0}, /* three quarters of gx meet nothing */
    {1, 12, 9, 5, 18, {3, 2}, 2, 3, 2, 3},
    {2, 9, 9, 5, 3, {5, 5}, 1, 1, 2, 2},
    {1, 4, 5, 2, 3, {3, 3}, 1, 1, 3, 4},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

typedef struct operation {
    tw_graph *g;
    tw_conv_shapes shapes;
    tw_task task;
    bool back;
    tw_dtype act;
    float *w;           /* plain: [O, I, kernel] */
    const float *bias;  /* or NULL */
    void *in, *summand; /* summand: or NULL */
    void *out;
} operation;

static float value(int which, int64_t i, tw_dtype act)
{
    const float v = noise(which, i);
    return act == TW_DTYPE_BF16 ? tw_from_bf16(tw_to_bf16(v)) : v;
}

static void *tensor(int which, tw_shape s, tw_dtype act)
{
    const int64_t n = tw_shape_count(s);
    void *t = malloc((size_t)n * tw_dtype_size(act));
    for (int64_t i = 0; i < n; i++) tw_store(t, i, act, value(which, i, act));
    return t;
}

static int64_t stored(const operation *o, int64_t plain)
{
    const tw_value *w = o->task.node->in[1];
    const int64_t taps = w->shape.dims[2] * w->shape.dims[3], in = w->shape.dims[1],
                  k = plain % taps, i = plain / taps % in, c = plain / (taps * in);
    if (w->layout == TW_PLAIN) return plain;
    return (((c / 16 * (in / 16) + i / 16) * taps + k) * 16 + i % 16) * 16 + c % 16;
}

static operation make(const problem *p, bool back, tw_dtype act)
{
    operation o = {.g = new_graph(), .back = back, .act = act};
    tw_conv_geometry geometry = tw_conv_square(p->stride, p->before, p->after);
    for (int d = 0; d < 3; d++) geometry.dilation[d] = p->dilation;
    tw_value *x = tw_input(o.g, "x", TW_ACT, TW_SHAPE(p->n, p->height, p->width, p->in)),
             *w = tw_param(o.g, "w", TW_SHAPE(p->out, p->in, p->kernel[0], p->kernel[1]),
                           tw_init_ones),
             *y = tw_conv(o.g, x, w, NULL, &geometry), *v = y;
    if (back) tw_graph_gradient(o.g, y, tw_input(o.g, "gy", TW_ACT, y->shape), &x, 1, &v);
    assert_int_equal(tw_graph_status(o.g), TW_OK);
    o.shapes = (tw_conv_shapes){x->shape, w->shape, y->shape};
    o.task = (tw_task){.node = v->node, .op = v->node->op, .act = act};
    o.task.in[0] = o.in = tensor(1, back ? y->shape : x->shape, act);
    o.w = tensor(2, w->shape, TW_DTYPE_F32);
    const int64_t n = tw_shape_count(w->shape);
    float *at = malloc((size_t)n * sizeof *at);
    for (int64_t i = 0; i < n; i++) at[stored(&o, i)] = o.w[i];
    o.task.in[1] = at;
    if (!back) {
        o.bias = tensor(3, TW_SHAPE(p->out), TW_DTYPE_F32);
        o.summand = tensor(4, y->shape, act);
    }
    o.task.out[0] = o.out = malloc((size_t)tw_shape_count(v->shape) * tw_dtype_size(act));
    return o;
}

static void destroy(operation *o)
{
    free(o->in);
    free(o->w);
    free(o->task.in[1]);
    free((void *)(uintptr_t)o->bias);
    free(o->summand);
    free(o->out);
    tw_graph_destroy(&o->g);
}

static void compute(operation *o)
{
    tw_conv_gather d;
    tw_attr a = o->task.node->attr;
    void *scratch = NULL, *packed = NULL;
    if (!o->back) a.f[1] = 0.625;
    assert_int_equal(tw_conv_gather_create(&d, &o->task, &o->shapes, &a,
                                           o->back ? TW_CONV_BACKWARD_DATA : TW_CONV_FORWARD,
                                           o->back),
                     TW_OK);
    assert_int_equal(tw_alloc(&scratch, 1, o->task.scratch_bytes, "scratch"), TW_OK);
    assert_int_equal(tw_alloc(&packed, 1, o->task.packed_bytes, "packed weights"), TW_OK);
    single_fill(scratch, o->task.scratch_bytes);
    single_fill(o->out, (size_t)tw_shape_count(o->task.node->out[0].shape) * tw_dtype_size(o->act));
    o->task.scratch = scratch;
    o->task.packed = packed;
    tw_weights_copy_run(&d.weights, packed, o->task.in[1]);
    tw_conv_gather_run(&d, &o->task, o->bias, o->summand);
    tw_conv_gather_destroy(&d);
    tw_free(&scratch);
    tw_free(&packed);
}

/* All of the result in double, and the sums of the terms' sizes. */
static void exact(const operation *o, const problem *p, double *want, double *size)
{
    const tw_shape y = o->shapes.y, to = o->task.node->out[0].shape;
    const int64_t taps = p->kernel[0] * p->kernel[1];
    memset(want, 0, (size_t)tw_shape_count(to) * sizeof *want);
    memset(size, 0, (size_t)tw_shape_count(to) * sizeof *size);
    for (int64_t q = 0; q < tw_shape_count(y) / p->out; q++)
        for (int64_t k = 0; k < taps; k++) {
            const int64_t n = q / (y.dims[1] * y.dims[2]), r = q / y.dims[2] % y.dims[1],
                          c = q % y.dims[2];
            const int64_t row = r * p->stride + k / p->kernel[1] * p->dilation - p->before,
                          column = c * p->stride + k % p->kernel[1] * p->dilation - p->before;
            if (row < 0 || column < 0 || row >= p->height || column >= p->width) continue;
            const int64_t pixel = (n * p->height + row) * p->width + column;
            for (int64_t co = 0; co < p->out; co++)
                for (int64_t ci = 0; ci < p->in; ci++) {
                    const int64_t x = pixel * p->in + ci, at = q * p->out + co;
                    const double term = (double)o->w[(co * p->in + ci) * taps + k] *
                                        (double)tw_load(o->in, o->back ? at : x, o->act);
                    want[o->back ? x : at] += term;
                    size[o->back ? x : at] += fabs(term);
                }
        }
}

static void check(const operation *o, const problem *p)
{
    const tw_shape to = o->task.node->out[0].shape;
    const int64_t n = tw_shape_count(to);
    double *want = malloc((size_t)n * sizeof *want), *size = malloc((size_t)n * sizeof *size);
    exact(o, p, want, size);
    for (int64_t i = 0; i < n; i++) {
        const double bias = o->bias ? (double)o->bias[i % p->out] : 0,
                     plus = o->summand ? (double)tw_load(o->summand, i, o->act) : 0,
                     all = size[i] + fabs(bias) + fabs(plus),
                     sum = (want[i] + bias + plus) * (o->back ? 1 : 0.625),
                     got = (double)tw_load(o->out, i, o->act);
        const double allowed =
            o->act == TW_DTYPE_BF16 ? 0x1p-8 * fabs(sum) + 0x1p-20 * all : 0x1p-21 * all;
        if (!(fabs(got - sum) <= allowed))
            fail_msg("problem %d, %s, %s: element %lld is %.9g, wanted %.9g", (int)(p - problems),
                     o->task.implementation, o->back ? "backward" : "forward", (long long)i, got,
                     sum);
    }
    free(want);
    free(size);
}

static void solve(const problem *p, bool back, tw_dtype act)
{
    static const int threads[] = {1, 2, 3, 7};
    operation o = make(p, back, act);
    const size_t bytes = (size_t)tw_shape_count(o.task.node->out[0].shape) * tw_dtype_size(act);
    void *first = malloc(bytes);
    for (int t = 0; t < 4; t++) {
        omp_set_num_threads(threads[t]);
        compute(&o);
        if (t == 0) memcpy(first, o.out, bytes);
        if (memcmp(first, o.out, bytes) != 0)
            fail_msg("problem %d has other bits with %d threads", (int)(p - problems), threads[t]);
    }
    omp_set_num_threads(2);
    check(&o, p);
    free(first);
    destroy(&o);
}

static void *solve_all(void *arg)
{
    for (int k = 0; k < PROBLEMS; k++)
        for (int back = 0; back < 2; back++) {
            const int64_t outputs = back ? problems[k].in : problems[k].out;
            solve(&problems[k], back, TW_DTYPE_F32);
            if (outputs <= TW_GATHER_NARROW) solve(&problems[k], back, TW_DTYPE_BF16);
        }
    return arg;
}

static void gathered_convolutions_are_those_of_slow_loops_at_any_number_of_threads(void **state)
{
    (void)state;
    on_each_isa(solve_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathered_convolutions_are_those_of_slow_loops_at_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
