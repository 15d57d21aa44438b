/* Convolutions and their gradients against slow loops in double: oneDNN's and our own kernel, in
 * f32 and bf16, over one to three spatial dimensions, at sizes that no vector width divides.
 *
 * An output is a sum Σ x w of K terms. Rounding errs by about 2^-24 Σ |x w| (a walk of K roundings
 * of partial sums, themselves of the size Σ |x w| / √K), of which eight times are allowed; a wrong
 * or missing term is about 1 / K of Σ |x w|. bf16 results are rounded once more. Products in fixed
 * point err by 0.002 of the root mean square of results, which is about Σ |x w| / √K: at most by
 * 2^-10 of the largest Σ |x w| for the K here; gradients of weights by a quarter of that.
 */
#include <omp.h>

#include "ops/conv.h"
#include "ops/each_isa.h"
#include "ops/reference.h"
#include "ops/winograd.h"

typedef struct problem {
    int rank;
    int64_t x[5], w[5], stride[3], dilation[3], before[3], after[3];
} problem;

#define SAME(n)                                                                                    \
    {                                                                                              \
        n, n, n                                                                                    \
    }
#define SQUARE(s, d, b, a) SAME(s), SAME(d), SAME(b), SAME(a)

static const problem problems[] = {
    {4, {1, 1, 1, 1}, {1, 1, 1, 1}, SQUARE(1, 1, 0, 0)},
    {4, {1, 5, 3, 1}, {1, 1, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {2, 5, 7, 3}, {4, 3, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4,
     {1, 6, 5, 3},
     {2, 3, 1, 1},
     SQUARE(1, 1, 1, 1)}, /* padding beyond the kernel's reach: no forward convolution gives gx */
    {4, {1, 7, 6, 2}, {2, 2, 2, 2}, SQUARE(2, 1, 0, 0)},
    {4, {1, 10, 11, 16}, {17, 16, 3, 3}, SQUARE(3, 1, 1, 0)},
    /* small ones of 16 channels and more, which are ours in f32: whole and cut chunks, blocks and
       tiles; blocked and plain weights */
    {4, {1, 8, 8, 16}, {32, 16, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {3, 7, 5, 17}, {19, 17, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {2, 9, 8, 16}, {16, 16, 3, 3}, SQUARE(2, 1, 0, 1)},
    {4, {2, 8, 9, 33}, {48, 33, 3, 2}, {2, 1}, {1, 2}, {2, 0}, {1, 2}},
    {4, {5, 11, 11, 16}, {16, 16, 5, 5}, SQUARE(2, 1, 2, 2)},
    {4, {1, 4, 41, 20}, {70, 20, 3, 3}, SQUARE(1, 2, 2, 2)},
    {4, {1, 3, 26, 16}, {24, 16, 1, 3}, {1, 1}, {1, 1}, {0, 2}, {0, 0}},
    {4, {2, 4, 4, 16}, {48, 16, 1, 1}, SQUARE(1, 1, 0, 0)},
    {4, {1, 3, 5, 37}, {21, 37, 1, 1}, SQUARE(1, 1, 0, 0)},
    {4, {1, 5, 7, 16}, {16, 16, 1, 1}, SQUARE(2, 1, 0, 0)},
    /* larger than our own kernel takes */
    {4, {4, 17, 19, 48}, {64, 48, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {2, 24, 24, 64}, {64, 64, 1, 1}, SQUARE(1, 1, 0, 0)},
    /* one and three dimensions */
    {3, {2, 11, 4}, {6, 4, 3}, SQUARE(1, 1, 1, 1)},
    {3, {1, 33, 16}, {32, 16, 3}, SQUARE(1, 1, 2, 0)},
    {3, {3, 9, 1}, {1, 1, 4}, SQUARE(2, 1, 1, 0)},
    {5, {1, 4, 5, 3, 2}, {3, 2, 3, 3, 3}, SQUARE(1, 1, 1, 1)},
    {5, {1, 3, 4, 5, 16}, {16, 16, 2, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 0, 1}, {0, 1, 1}},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

/* ---- slow loops ---- */

/* Plain tensors, the sums over |x w| beside the results. */
typedef struct numbers {
    int64_t images, in, out, taps, x_pixels, y_pixels;
    double *x, *w, *b, *gy, *residual, *summand; /* residual: of y; summand: of gx */
    double *y, *gx, *gw, *gb, *y_size, *gx_size, *gw_size, *gb_size;
    int64_t x_count, y_count, w_count;
} numbers;

static double *draw(int which, int64_t n, bool bf16)
{
    double *v = malloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++)
        v[i] = (double)(bf16 ? tw_from_bf16(tw_to_bf16(noise(which, i))) : noise(which, i));
    return v;
}

static double *zeros(int64_t n)
{
    return calloc((size_t)n, sizeof(double));
}

static int64_t pixels_of(tw_shape s)
{
    return tw_shape_count(s) / (s.dims[0] * tw_shape_channels(s));
}

static numbers numbers_of(const problem *p, tw_shape y, bool bf16)
{
    const tw_shape x = tw_shape_make(p->x, p->rank), w = tw_shape_make(p->w, p->rank);
    numbers s = {.images = x.dims[0],
                 .in = w.dims[1],
                 .out = w.dims[0],
                 .taps = tw_shape_count(w) / (w.dims[0] * w.dims[1]),
                 .x_pixels = pixels_of(x),
                 .y_pixels = pixels_of(y),
                 .x_count = tw_shape_count(x),
                 .y_count = tw_shape_count(y),
                 .w_count = tw_shape_count(w)};
    s.x = draw(1, s.x_count, bf16);
    s.w = draw(2, s.w_count, bf16);
    s.b = draw(3, s.out, false);
    s.gy = draw(4, s.y_count, bf16);
    s.residual = draw(5, s.y_count, bf16);
    s.summand = draw(6, s.x_count, bf16);
    s.y = zeros(s.y_count);
    s.y_size = zeros(s.y_count);
    s.gx = zeros(s.x_count);
    s.gx_size = zeros(s.x_count);
    s.gw = zeros(s.w_count);
    s.gw_size = zeros(s.w_count);
    s.gb = zeros(s.out);
    s.gb_size = zeros(s.out);
    return s;
}

static void numbers_free(numbers *s)
{
    double *all[] = {s->x,  s->w,  s->b,  s->gy,     s->residual, s->summand, s->y,
                     s->gx, s->gw, s->gb, s->y_size, s->gx_size,  s->gw_size, s->gb_size};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* The pixel of x that tap k of output pixel q meets, or -1 in the padding. */
static int64_t meets(const problem *p, tw_shape y, int64_t q, int64_t k)
{
    int64_t at = 0, stride = 1;
    for (int d = p->rank - 3; d >= 0; d--) {
        const int64_t i =
            q % y.dims[1 + d] * p->stride[d] + k % p->w[2 + d] * p->dilation[d] - p->before[d];
        q /= y.dims[1 + d];
        k /= p->w[2 + d];
        if (i < 0 || i >= p->x[1 + d]) return -1;
        at += i * stride;
        stride *= p->x[1 + d];
    }
    return at;
}

static void add(double *sum, double *size, double term)
{
    *sum += term;
    *size += fabs(term);
}

/* One pixel of y and one tap: all channels. */
static void meet(numbers *s, int64_t image, int64_t q, int64_t from, int64_t k)
{
    const int64_t y0 = (image * s->y_pixels + q) * s->out,
                  x0 = (image * s->x_pixels + from) * s->in;
    for (int64_t o = 0; o < s->out; o++)
        for (int64_t i = 0; i < s->in; i++) {
            const int64_t at = (o * s->in + i) * s->taps + k;
            add(&s->y[y0 + o], &s->y_size[y0 + o], s->x[x0 + i] * s->w[at]);
            add(&s->gx[x0 + i], &s->gx_size[x0 + i], s->gy[y0 + o] * s->w[at]);
            add(&s->gw[at], &s->gw_size[at], s->gy[y0 + o] * s->x[x0 + i]);
        }
}

static void convolve(numbers *s, const problem *p, tw_shape y)
{
    for (int64_t image = 0; image < s->images; image++)
        for (int64_t q = 0; q < s->y_pixels; q++) {
            for (int64_t o = 0; o < s->out; o++) {
                const int64_t at = (image * s->y_pixels + q) * s->out + o;
                add(&s->gb[o], &s->gb_size[o], s->gy[at]);
            }
            for (int64_t k = 0; k < s->taps; k++) {
                const int64_t from = meets(p, y, q, k);
                if (from >= 0) meet(s, image, q, from, k);
            }
        }
}

/* ---- the operations under test ---- */

static tw_attr attributes(const problem *p)
{
    tw_attr a = {0};
    for (int d = 0; d < 3; d++) {
        a.i[CONV_STRIDE + d] = p->stride[d] ? p->stride[d] : 1;
        a.i[CONV_DILATION + d] = p->dilation[d] ? p->dilation[d] : 1;
        a.i[CONV_BEFORE + d] = p->before[d];
        a.i[CONV_AFTER + d] = p->after[d];
    }
    return a;
}

/* Stored where the parameter store would: blocks [O/16][I/16][tap][16 i][16 o] or plain. */
static int64_t stored(const tw_value *w, const numbers *s, int64_t plain)
{
    const int64_t k = plain % s->taps, i = plain / s->taps % s->in, o = plain / (s->taps * s->in);
    if (w->layout == TW_PLAIN) return plain;
    return (((o / 16 * (s->in / 16) + i / 16) * s->taps + k) * 16 + i % 16) * 16 + o % 16;
}

static void give(single *t, int i, const double *v, int64_t n)
{
    float *f = malloc((size_t)n * sizeof *f);
    for (int64_t j = 0; j < n; j++) f[j] = (float)v[j];
    single_set(t, i, f);
    free(f);
}

static void give_weights(single *t, int i, const numbers *s)
{
    float *f = t->task.in[i];
    for (int64_t j = 0; j < s->w_count; j++) f[stored(t->task.node->in[i], s, j)] = (float)s->w[j];
}

/* bias and residual may be NULL; `plus` is what the result has beyond the convolution. */
static void check(const char *what, const single *t, int k, const double *want, const double *size,
                  const double *bias, const double *plus, int64_t n)
{
    const tw_value *v = &t->task.node->out[k];
    const bool half = tw_task_dtype(&t->task, v) == TW_DTYPE_BF16,
               fixed = strstr(t->task.implementation, "vnni") != NULL;
    const int64_t channels = tw_shape_channels(v->shape);
    float *got = malloc((size_t)n * sizeof *got);
    single_get(t, k, got);
    double largest =
        0; /* Winograd's errors are of the size of a tile's sums, whatever the number */
    for (int64_t j = 0; j < n && strstr(t->task.implementation, "winograd"); j++)
        largest = size[j] > largest ? size[j] : largest;
    for (int64_t j = 0; j < n; j++) {
        const double b = bias ? bias[j % channels] : 0, r = plus ? plus[j] : 0,
                     sum = want[j] + b + r;
        const double all = size[j] + 8 * largest + fabs(b) + fabs(r),
                     tolerance = half ? 0x1p-8 * fabs(sum) + (fixed ? 0x1p-13 : 0x1p-20) * all
                                      : (fixed && k == 0 ? 0x1p-15 : 0x1p-21) * all;
        if (!(fabs((double)got[j] - sum) <= tolerance))
            fail_msg("%s (%s, %s): element %lld is %.9g, wanted %.9g", what, t->task.implementation,
                     t->task.act == TW_DTYPE_BF16 ? "bf16" : "f32", (long long)j, (double)got[j],
                     sum);
    }
    free(got);
}

/* Runs with input `i`, a summand, in the output's own memory. */
static void run_in_place(single *t, int i)
{
    void *own = t->task.in[i];
    const tw_run run = {0};
    single_fill(t->scratch, t->task.scratch_bytes);
    memcpy(t->task.out[0], own, single_bytes(t, &t->task.node->out[0]));
    t->task.in[i] = t->task.out[0];
    tw_task_pack(&t->task);
    t->task.op->run(&t->task, &run);
    t->task.in[i] = own;
}

typedef struct operands {
    tw_graph *g;
    tw_value *x, *w, *b, *y, *gy;
    tw_attr attr;
    tw_dtype act;
} operands;

static operands operands_of(const problem *p, bool bias, tw_dtype act)
{
    operands o = {.g = new_graph(), .attr = attributes(p), .act = act};
    o.x = tw_input(o.g, "x", TW_ACT, tw_shape_make(p->x, p->rank));
    o.w = tw_param(o.g, "w", tw_shape_make(p->w, p->rank), tw_init_ones);
    o.b = bias ? tw_param(o.g, "b", TW_SHAPE(p->w[0]), tw_init_ones) : NULL;
    o.y = tw_emit_optional(o.g, &tw_op_conv, (tw_value *[]){o.x, o.w, o.b}, 3, 1u << 2, &o.attr);
    if (!o.y) fail_msg("%s", tw_error_message());
    o.gy = tw_input(o.g, "gy", TW_ACT, o.y->shape);
    return o;
}

/* A factor of all: what a plan makes of a convolution that a scale follows. */
static void check_scaled(const operands *o, const numbers *s, tw_value *residual)
{
    const tw_run run = {0};
    single t;
    tw_attr a = o->attr;
    double *want = zeros(s->y_count), *size = zeros(s->y_count);
    a.f[1] = 0.625;
    tw_value *y = tw_emit_optional(o->g, &tw_op_conv, (tw_value *[]){o->x, o->w, o->b, residual},
                                   residual ? 4 : 3, 1u << 2, &a);
    single_create(&t, y, o->act, 0);
    give(&t, 0, s->x, s->x_count);
    give_weights(&t, 1, s);
    if (o->b) give(&t, 2, s->b, s->out);
    if (residual) give(&t, 3, s->residual, s->y_count);
    single_run(&t, &run);
    for (int64_t j = 0; j < s->y_count; j++) {
        const double bias = o->b ? s->b[j % s->out] : 0, plus = residual ? s->residual[j] : 0;
        want[j] = 0.625 * (s->y[j] + bias + plus);
        size[j] = s->y_size[j] + fabs(bias) + fabs(plus);
    }
    check(residual ? "0.625 (y + residual)" : "0.625 y", &t, 0, want, size, NULL, NULL, s->y_count);
    free(size);
    free(want);
    single_destroy(&t);
}

static void check_forward(const operands *o, const numbers *s)
{
    const tw_run run = {0};
    single t;
    tw_value *r = tw_input(o->g, "residual", TW_ACT, o->y->shape);
    tw_value *with = tw_emit_optional(o->g, &tw_op_conv, (tw_value *[]){o->x, o->w, o->b, r}, 4,
                                      1u << 2, &o->attr);
    for (int residual = 0; residual < 2; residual++) {
        single_create(&t, residual ? with : o->y, o->act, 0);
        give(&t, 0, s->x, s->x_count);
        give_weights(&t, 1, s);
        if (o->b) give(&t, 2, s->b, s->out);
        if (residual) give(&t, 3, s->residual, s->y_count);
        single_run(&t, &run);
        check(residual ? "y + residual" : "y", &t, 0, s->y, s->y_size, o->b ? s->b : NULL,
              residual ? s->residual : NULL, s->y_count);
        if (residual) {
            run_in_place(&t, 3);
            check("y + residual, in place", &t, 0, s->y, s->y_size, o->b ? s->b : NULL, s->residual,
                  s->y_count);
        }
        single_destroy(&t);
        check_scaled(o, s, residual ? r : NULL);
    }
}

static tw_value *gradient(const operands *o, tw_value *wrt)
{
    tw_value *g = NULL;
    tw_graph_gradient(o->g, o->y, o->gy, &wrt, 1, &g);
    if (tw_graph_status(o->g) != TW_OK) fail_msg("%s", tw_error_message());
    return g;
}

static void check_data(const operands *o, const numbers *s, const problem *p)
{
    const tw_run run = {0};
    tw_value *gx = gradient(o, o->x), *with = NULL;
    bool can_add = true; /* as a forward convolution only */
    for (int d = 0; d < p->rank - 2; d++) {
        const int64_t reach = o->attr.i[CONV_DILATION + d] * (p->w[2 + d] - 1);
        can_add = can_add && o->attr.i[CONV_STRIDE + d] == 1 && p->before[d] <= reach &&
                  p->after[d] <= reach;
    }
    if (can_add) {
        tw_value *summand = tw_input(o->g, "summand", TW_ACT, o->x->shape);
        with = tw_emit(o->g, &tw_op_conv_backward_data, (tw_value *[]){o->gy, o->w, summand}, 3,
                       &gx->node->attr);
        if (!with) fail_msg("%s", tw_error_message());
    }
    for (int sum = 0; sum < (can_add ? 2 : 1); sum++) {
        single t;
        single_create(&t, sum ? with : gx, o->act, 0);
        give(&t, 0, s->gy, s->y_count);
        give_weights(&t, 1, s);
        if (sum) give(&t, 2, s->summand, s->x_count);
        single_run(&t, &run);
        check(sum ? "gx + gradient" : "gx", &t, 0, s->gx, s->gx_size, NULL, sum ? s->summand : NULL,
              s->x_count);
        if (sum) {
            run_in_place(&t, 2);
            check("gx + gradient, in place", &t, 0, s->gx, s->gx_size, NULL, s->summand,
                  s->x_count);
        }
        single_destroy(&t);
    }
}

static void check_weights(const operands *o, const numbers *s)
{
    const tw_run run = {0};
    single t;
    tw_value *wrt[2] = {o->w, o->b}, *g[2] = {0};
    tw_graph_gradient(o->g, o->y, o->gy, wrt, o->b ? 2 : 1, g);
    single_create(&t, g[0], o->act, 0);
    assert_int_equal(g[0]->layout, o->w->layout);
    give(&t, 0, s->x, s->x_count);
    give(&t, 1, s->gy, s->y_count);
    single_run(&t, &run);
    double *want = zeros(s->w_count), *size = zeros(s->w_count);
    for (int64_t j = 0; j < s->w_count; j++) {
        want[stored(o->w, s, j)] = s->gw[j];
        size[stored(o->w, s, j)] = s->gw_size[j] * (o->act == TW_DTYPE_BF16 ? 4 : 1);
    }
    check("gw", &t, 0, want, size, NULL, NULL, s->w_count);
    if (o->b) check("gb", &t, 1, s->gb, s->gb_size, NULL, NULL, s->out);
    free(want);
    free(size);
    single_destroy(&t);
}

static void solve(const problem *p, bool bias, tw_dtype act)
{
    operands o = operands_of(p, bias, act);
    numbers s = numbers_of(p, o.y->shape, act == TW_DTYPE_BF16);
    problem full = *p; /* dimensions beyond those given have stride and dilation 1 */
    for (int d = 0; d < 3; d++) {
        full.stride[d] = o.attr.i[CONV_STRIDE + d];
        full.dilation[d] = o.attr.i[CONV_DILATION + d];
    }
    convolve(&s, &full, o.y->shape);
    check_forward(&o, &s);
    check_data(&o, &s, &full);
    check_weights(&o, &s);
    numbers_free(&s);
    tw_graph_destroy(&o.g);
}

static void convolutions_are_those_of_slow_loops(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++)
        for (int bias = 0; bias < 2; bias++) solve(&problems[i], bias, TW_DTYPE_F32);
}

static void convolutions_in_bf16_are_those_of_slow_loops(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) solve(&problems[i], i % 2, TW_DTYPE_BF16);
}

static const problem winograd_problems[] = {
    {4, {1, 1, 1, 1}, {1, 1, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {1, 2, 1, 3}, {5, 3, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {1, 2, 2, 17}, {16, 17, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {1, 5, 3, 1}, {1, 1, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {3, 4, 4, 16}, {32, 16, 3, 3}, SQUARE(1, 1, 1, 1)}, /* blocked weights */
    {4, {1, 6, 6, 48}, {16, 48, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {3, 7, 5, 17}, {19, 17, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {2, 5, 7, 3}, {4, 3, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {1, 9, 8, 20}, {37, 20, 3, 3}, SQUARE(1, 1, 0, 0)}, /* paddings that differ */
    {4, {2, 6, 9, 5}, {7, 5, 3, 3}, {1, 1}, {1, 1}, {2, 0}, {1, 2}},
    {4,
     {1, 4, 5, 2},
     {3, 2, 3, 3},
     SQUARE(1, 1, 3, 4)}, /* beyond the kernel: gx takes a primitive */
    {4, {40, 4, 8, 6}, {5, 6, 3, 3}, SQUARE(1, 1, 1, 1)}, /* blocks of tiles */
    {4, {30, 1, 2, 6}, {5, 6, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {1, 17, 19, 64}, {96, 64, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {1, 5, 6, 131}, {35, 131, 3, 3}, SQUARE(1, 1, 1, 1)},
    {4, {3, 57, 54, 6}, {5, 6, 3, 3}, SQUARE(1, 1, 1, 1)}, /* two and eight segments of tiles */
    {4, {1, 190, 180, 2}, {3, 2, 3, 3}, SQUARE(1, 1, 1, 1)},
};

static void *solve_winograd_problems(void *arg)
{
    for (size_t i = 0; i < sizeof winograd_problems / sizeof *winograd_problems; i++)
        for (int bias = 0; bias < 2; bias++) {
            solve(&winograd_problems[i], bias, TW_DTYPE_F32);
            solve(&winograd_problems[i], bias, TW_DTYPE_BF16);
        }
    return arg;
}

static void winograds_convolutions_are_those_of_slow_loops(void **state)
{
    (void)state;
    single_convolution = TW_CONVOLUTION_WINOGRAD;
    on_each_isa(solve_winograd_problems);
    single_convolution = TW_CONVOLUTION_DIRECT;
}

/* The same image alone, among others and with another number of threads: bit for bit, as sampling
 * promises. */
static void image_is_the_same_in_any_batch(tw_dtype act)
{
    static const problem batches[] = {{4, {1, 9, 7, 24}, {40, 24, 3, 3}, SQUARE(1, 1, 1, 1)},
                                      {4, {5, 9, 7, 24}, {40, 24, 3, 3}, SQUARE(1, 1, 1, 1)}};
    const tw_run run = {0};
    const int threads = omp_get_max_threads();
    float *first = NULL;
    for (int k = 0; k < 2; k++)
        for (int n = 1; n <= 3; n++) {
            omp_set_num_threads(n);
            operands o = operands_of(&batches[k], true, act);
            numbers s = numbers_of(&batches[k], o.y->shape, false);
            const int64_t image = s.y_count / s.images;
            single t;
            single_create(&t, o.y, act, 0);
            give(&t, 0, s.x, s.x_count);
            give_weights(&t, 1, &s);
            give(&t, 2, s.b, s.out);
            single_run(&t, &run);
            float *got = malloc((size_t)s.y_count * sizeof *got);
            single_get(&t, 0, got);
            if (first)
                assert_memory_equal(got, first, (size_t)image * sizeof *got);
            else
                first =
                    memcpy(malloc((size_t)image * sizeof *got), got, (size_t)image * sizeof *got);
            free(got);
            single_destroy(&t);
            numbers_free(&s);
            tw_graph_destroy(&o.g);
        }
    omp_set_num_threads(threads);
    free(first);
}

static void an_image_does_not_depend_on_its_batch_or_on_threads(void **state)
{
    (void)state;
    image_is_the_same_in_any_batch(TW_DTYPE_F32);
    single_convolution = TW_CONVOLUTION_WINOGRAD;
    image_is_the_same_in_any_batch(TW_DTYPE_F32);
    image_is_the_same_in_any_batch(TW_DTYPE_BF16);
    single_convolution = TW_CONVOLUTION_DIRECT;
}

/* A pixel of one channel that is none, of the input or of the output's gradient: whatever weights
 * it meets have no gradient then, and all others keep theirs. */
static void no_number_has_no_gradient(void **state)
{
    (void)state;
    static const problem p = {4, {2, 9, 10, 20}, {40, 20, 3, 3}, SQUARE(1, 1, 1, 1)};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const tw_run run = {0};
    enum { I = 7, O = 33 };
    single_convolution = TW_CONVOLUTION_WINOGRAD;
    for (int k = 0; k < 12; k++) {
        const tw_dtype act = k < 6 ? TW_DTYPE_F32 : TW_DTYPE_BF16;
        operands o = operands_of(&p, false, act);
        numbers s = numbers_of(&p, o.y->shape, true);
        float *gw = malloc((size_t)s.w_count * sizeof *gw);
        single t;
        if (k % 2)
            s.gy[(s.images * s.y_pixels / 2 + 3) * s.out + O] = (double)bad[k / 2 % 3];
        else
            s.x[(s.images * s.x_pixels / 2 + 3) * s.in + I] = (double)bad[k / 2 % 3];
        single_create(&t, gradient(&o, o.w), act, 0);
        give(&t, 0, s.x, s.x_count);
        give(&t, 1, s.gy, s.y_count);
        single_run(&t, &run);
        single_get(&t, 0, gw);
        for (int64_t j = 0; j < s.w_count; j++) {
            const bool met =
                k % 2 ? j / (s.in * s.taps) == O : j / s.taps % s.in == I; /* plain: 20 channels */
            if ((isfinite(gw[j]) != 0) == met)
                fail_msg("%s, case %d: gradient %lld is %g", t.task.implementation, k, (long long)j,
                         (double)gw[j]);
        }
        free(gw);
        single_destroy(&t);
        numbers_free(&s);
        tw_graph_destroy(&o.g);
    }
    single_convolution = TW_CONVOLUTION_DIRECT;
}

/* Is the convolution of n images of side x side, 256 -> 256 channels, Winograd's? */
static bool is_winograd(int64_t n, int64_t side, tw_conv_direction direction, tw_dtype act)
{
    tw_graph *g = new_graph();
    const tw_conv_geometry same = tw_conv_square(1, 1, 1);
    tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(n, side, side, 256)),
             *w = tw_param(g, "w", TW_SHAPE(256, 256, 3, 3), tw_init_ones),
             *y = tw_conv(g, x, w, NULL, &same);
    assert_non_null(y);
    const tw_conv_shapes s = {x->shape, w->shape, y->shape};
    const bool suits = tw_winograd_suits(&s, &y->node->attr, direction, act, TW_CONVOLUTION_AUTO);
    tw_graph_destroy(&g);
    return suits;
}

/* Where a processor has bf16 dot products and no tiles, they are faster up to 16 tiles. */
static void few_tiles_are_convolved_directly(void **state)
{
    (void)state;
    const bool dots = tw_dnnl_bf16_unit() == TW_DNNL_BF16_DOTS;
    for (int d = TW_CONV_FORWARD; d <= TW_CONV_BACKWARD_DATA; d++) {
        assert_false(is_winograd(1, 4, (tw_conv_direction)d, TW_DTYPE_F32));
        assert_true(is_winograd(1, 8, (tw_conv_direction)d, TW_DTYPE_F32));
        if (!dots) continue;
        assert_false(is_winograd(2, 8, (tw_conv_direction)d, TW_DTYPE_BF16));
        assert_true(is_winograd(4, 8, (tw_conv_direction)d, TW_DTYPE_BF16));
    }
    assert_false(is_winograd(1, 8, TW_CONV_BACKWARD_WEIGHTS, TW_DTYPE_F32));
    assert_true(is_winograd(2, 8, TW_CONV_BACKWARD_WEIGHTS, TW_DTYPE_F32));
    if (!dots) return;
    const bool fixed = tw_processor_allowed().avx512_vnni;
    assert_false(is_winograd(fixed ? 4 : 8, 8, TW_CONV_BACKWARD_WEIGHTS, TW_DTYPE_BF16));
    assert_true(is_winograd(fixed ? 8 : 16, 8, TW_CONV_BACKWARD_WEIGHTS, TW_DTYPE_BF16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_are_those_of_slow_loops),
        cmocka_unit_test(convolutions_in_bf16_are_those_of_slow_loops),
        cmocka_unit_test(winograds_convolutions_are_those_of_slow_loops),
        cmocka_unit_test(an_image_does_not_depend_on_its_batch_or_on_threads),
        cmocka_unit_test(no_number_has_no_gradient),
        cmocka_unit_test(few_tiles_are_convolved_directly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
