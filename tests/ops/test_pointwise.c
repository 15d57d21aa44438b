/* Our convolutions of one tap against slow loops in double: forward with bias, summand and factor,
 * the gradients with respect to input, weights and bias; on each instruction set, the same bits at
 * any number of threads, and of an image whatever is in its batch. Tolerances as in test_conv.c. */
#include <omp.h>

#include "ops/each_isa.h"
#include "ops/pointwise.h"
#include "ops/pointwise_gradient.h"
#include "ops/reference.h"

typedef struct problem {
    int64_t n, side, in, out;
} problem;

/* Parameters of multiples of 16 channels are blocked. */
static const problem problems[] = {
    {1, 1, 1, 1},    {1, 1, 100, 100}, {1, 3, 17, 33},  {2, 5, 16, 16},
    {3, 5, 48, 16},  {2, 7, 16, 48},   {1, 9, 5, 70},   {3, 9, 70, 5},
    {2, 11, 37, 21}, {5, 13, 64, 32},  {2, 24, 31, 47}, {4, 14, 32, 80},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

typedef struct operation {
    tw_graph *g;
    tw_conv_shapes shapes;
    tw_value *y, *gx, *gw;
    float *x, *gy, *w, *stored, *bias, *summand; /* w: [O, I] */
    int64_t pixels;
} operation;

static float *numbers(int which, int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = noise(which, i);
    return x;
}

static int64_t place(const operation *o, int64_t out, int64_t in)
{
    const int64_t inputs = o->shapes.w.dims[1];
    if (o->gw->layout == TW_PLAIN) return out * inputs + in;
    return ((out / 16 * (inputs / 16) + in / 16) * 16 + in % 16) * 16 + out % 16;
}

static operation make(const problem *p)
{
    operation o = {.g = new_graph(), .pixels = p->n * p->side * p->side};
    const tw_conv_geometry geometry = tw_conv_square(1, 0, 0);
    tw_value *x = tw_input(o.g, "x", TW_ACT, TW_SHAPE(p->n, p->side, p->side, p->in)),
             *w = tw_param(o.g, "w", TW_SHAPE(p->out, p->in, 1, 1), tw_init_ones),
             *b = tw_param(o.g, "b", TW_SHAPE(p->out), tw_init_ones), *grad[3];
    o.y = tw_conv(o.g, x, w, b, &geometry);
    tw_graph_gradient(o.g, o.y, tw_input(o.g, "gy", TW_ACT, o.y->shape), (tw_value *[]){x, w, b}, 3,
                      grad);
    assert_int_equal(tw_graph_status(o.g), TW_OK);
    o.gx = grad[0];
    o.gw = grad[1];
    o.shapes = (tw_conv_shapes){x->shape, w->shape, o.y->shape};
    o.x = numbers(1, o.pixels * p->in);
    o.gy = numbers(2, o.pixels * p->out);
    o.w = numbers(3, p->in * p->out);
    o.bias = numbers(4, p->out);
    o.summand = numbers(5, o.pixels * p->out);
    o.stored = malloc((size_t)(p->in * p->out) * sizeof *o.stored);
    for (int64_t c = 0; c < p->out; c++)
        for (int64_t i = 0; i < p->in; i++) o.stored[place(&o, c, i)] = o.w[c * p->in + i];
    return o;
}

static void destroy(operation *o)
{
    float *all[] = {o->x, o->gy, o->w, o->stored, o->bias, o->summand};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    tw_graph_destroy(&o->g);
}

static void allocate(tw_task *t)
{
    assert_int_equal(tw_alloc(&t->scratch, 1, t->scratch_bytes + 1, "scratch"), TW_OK);
    assert_int_equal(tw_alloc(&t->packed, 1, t->packed_bytes + 1, "packed weights"), TW_OK);
    single_fill(t->scratch, t->scratch_bytes);
}

static void release(tw_task *t)
{
    tw_free(&t->scratch);
    tw_free(&t->packed);
}

/* y = 0.625 (conv(x) + bias + summand) where the summand lies, or gx [of images from `first` on] */
static void multiply(const operation *o, bool back, int64_t images, float *result)
{
    const tw_value *v = back ? o->gx : o->y;
    tw_task t = {.node = v->node, .op = v->node->op};
    tw_conv_shapes s = o->shapes;
    tw_attr a = v->node->attr;
    tw_pointwise d;
    s.x.dims[0] = s.y.dims[0] = images;
    if (back) s = (tw_conv_shapes){s.y, tw_weights_flipped_shape(s.w), s.x};
    if (!back) a.f[1] = 0.625;
    assert_int_equal(tw_pointwise_create(&d, &t, &s, &a, back), TW_OK);
    allocate(&t);
    t.in[0] = back ? o->gy : o->x;
    t.in[1] = o->stored;
    t.out[0] = result;
    if (!d.direct) tw_weights_copy_run(&d.weights, t.packed, o->stored);
    if (back)
        single_fill(result, (size_t)tw_shape_count(s.y) * sizeof *result);
    else
        memcpy(result, o->summand, (size_t)tw_shape_count(s.y) * sizeof *result);
    tw_pointwise_run(&d, &t, back ? NULL : o->bias, back ? NULL : result);
    tw_pointwise_destroy(&d);
    release(&t);
}

static void sum_of(const operation *o, tw_dtype act, const void *x, const void *gy, float *gw,
                   float *gb)
{
    tw_task t = {.node = o->gw->node, .op = o->gw->node->op, .act = act};
    tw_pointwise_gradient d;
    assert_int_equal(tw_pointwise_gradient_create(&d, &t, &o->shapes), TW_OK);
    allocate(&t);
    t.in[0] = (void *)(uintptr_t)x;
    t.in[1] = (void *)(uintptr_t)gy;
    t.out[0] = gw;
    t.out[1] = gb;
    single_fill(gw, (size_t)tw_shape_count(o->shapes.w) * sizeof *gw);
    tw_pointwise_gradient_run(&d, &t);
    tw_pointwise_gradient_destroy(&d);
    release(&t);
}

static void sum(const operation *o, float *gw, float *gb)
{
    sum_of(o, TW_DTYPE_F32, o->x, o->gy, gw, gb);
}

/* Number `k` of the result is Σ a[k0 + j · step_a] b[…]: `size` is the sum of the terms' sizes. */
static void near(double got, double want, double size, const char *what, const problem *p)
{
    if (!(fabs(got - want) <= 0x1p-21 * size))
        fail_msg("problem %d: %s is %.9g, wanted %.9g", (int)(p - problems), what, got, want);
}

static void check_products(const operation *o, const problem *p, const float *y, const float *gx)
{
    for (int64_t q = 0; q < o->pixels; q++) {
        for (int64_t c = 0; c < p->out; c++) {
            const double b = (double)o->bias[c], r = (double)o->summand[q * p->out + c];
            double want = b + r, size = fabs(b) + fabs(r);
            for (int64_t i = 0; i < p->in; i++) {
                const double term = (double)o->x[q * p->in + i] * (double)o->w[c * p->in + i];
                want += term;
                size += fabs(term);
            }
            near((double)y[q * p->out + c], 0.625 * want, size, "y", p);
        }
        for (int64_t i = 0; i < p->in; i++) {
            double want = 0, size = 0;
            for (int64_t c = 0; c < p->out; c++) {
                const double term = (double)o->gy[q * p->out + c] * (double)o->w[c * p->in + i];
                want += term;
                size += fabs(term);
            }
            near((double)gx[q * p->in + i], want, size, "gx", p);
        }
    }
}

static void check_sums(const operation *o, const problem *p, const float *gw, const float *gb)
{
    for (int64_t c = 0; c < p->out; c++) {
        double bias = 0, bias_size = 0;
        for (int64_t q = 0; q < o->pixels; q++) {
            bias += (double)o->gy[q * p->out + c];
            bias_size += fabs((double)o->gy[q * p->out + c]);
        }
        near((double)gb[c], bias, bias_size, "gb", p);
        for (int64_t i = 0; i < p->in; i++) {
            double want = 0, size = 0;
            for (int64_t q = 0; q < o->pixels; q++) {
                const double term = (double)o->x[q * p->in + i] * (double)o->gy[q * p->out + c];
                want += term;
                size += fabs(term);
            }
            near((double)gw[place(o, c, i)], want, size, "gw", p);
        }
    }
}

/* y, gx, gw and gb one after the other */
static void compute(const operation *o, const problem *p, float *result)
{
    float *gx = result + o->pixels * p->out, *gw = gx + o->pixels * p->in;
    multiply(o, false, p->n, result);
    multiply(o, true, p->n, gx);
    sum(o, gw, gw + p->in * p->out);
}

static void solve(const problem *p)
{
    static const int threads[] = {1, 2, 3, 7};
    operation o = make(p);
    const int64_t y = o.pixels * p->out, x = o.pixels * p->in, w = p->in * p->out,
                  all = y + x + w + p->out, image = p->side * p->side * p->out;
    float *got = malloc((size_t)all * sizeof *got), *first = malloc((size_t)all * sizeof *first);
    for (int t = 0; t < 4; t++) {
        omp_set_num_threads(threads[t]);
        compute(&o, p, t == 0 ? first : got);
        if (t > 0 && memcmp(first, got, (size_t)all * sizeof *got) != 0)
            fail_msg("problem %d has other bits with %d threads", (int)(p - problems), threads[t]);
    }
    omp_set_num_threads(2);
    check_products(&o, p, first, first + y);
    check_sums(&o, p, first + y + x, first + y + x + w);
    multiply(&o, false, 1, got);
    assert_memory_equal(got, first, (size_t)image * sizeof *got);
    sum(&o, got, NULL);
    assert_memory_equal(got, first + y + x, (size_t)w * sizeof *got);
    free(first);
    free(got);
    destroy(&o);
}

/* The same numbers in bf16, to which they are rounded. */
static tw_bf16 *halves(float *x, int64_t n)
{
    tw_bf16 *h = malloc((size_t)n * sizeof *h);
    for (int64_t i = 0; i < n; i++) {
        h[i] = tw_to_bf16(x[i]);
        x[i] = tw_from_bf16(h[i]);
    }
    return h;
}

static void solve_pairs(const problem *p)
{
    operation o = make(p);
    const int64_t w = p->in * p->out, all = w + p->out;
    tw_bf16 *x = halves(o.x, o.pixels * p->in), *gy = halves(o.gy, o.pixels * p->out);
    float *got = malloc((size_t)all * sizeof *got), *first = malloc((size_t)all * sizeof *first);
    for (int threads = 1; threads < 4; threads++) {
        float *to = threads == 1 ? first : got;
        omp_set_num_threads(threads);
        sum_of(&o, TW_DTYPE_BF16, x, gy, to, to + w);
        assert_memory_equal(to, first, (size_t)all * sizeof *to);
    }
    omp_set_num_threads(2);
    check_sums(&o, p, first, first + w);
    sum_of(&o, TW_DTYPE_BF16, x, gy, got, NULL);
    assert_memory_equal(got, first, (size_t)w * sizeof *got);
    free(x);
    free(gy);
    free(first);
    free(got);
    destroy(&o);
}

static void sums_of_pairs_in_bf16_are_those_of_slow_loops_at_any_number_of_threads(void **state)
{
    (void)state;
    if (!tw_processor_allowed().avx512_bf16) skip();
    for (int k = 0; k < PROBLEMS; k++) solve_pairs(&problems[k]);
}

static void *solve_all(void *arg)
{
    for (int k = 0; k < PROBLEMS; k++) solve(&problems[k]);
    return arg;
}

static void products_of_pixels_are_those_of_slow_loops_at_any_number_of_threads(void **state)
{
    (void)state;
    on_each_isa(solve_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_pixels_are_those_of_slow_loops_at_any_number_of_threads),
        cmocka_unit_test(sums_of_pairs_in_bf16_are_those_of_slow_loops_at_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
