/* Speed of fused attention beside the operations that it is made of. Not a test: its numbers are
 * for tuning.
 *
 *     bench_attention [repetitions]
 *
 * Columns: the least time of all repetitions in ms and GFLOP/s of the matrix products. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ops/attention.h"
#include "ops/ops.h"
#include "ops/single.h"
#include "tweedie/clock.h"

static void fill(single *s)
{
    for (int i = 0; i < s->task.node->nin; i++) {
        const tw_value *v = s->task.node->in[i];
        float *x = NULL;
        if (!v) continue;
        const int64_t n = tw_shape_count(v->shape);
        if (tw_alloc(&x, n, sizeof *x, "an input") != TW_OK) exit(1);
        for (int64_t k = 0; k < n; k++)
            x[k] = (float)((k * 2654435761u >> 7) % 2048) / 1024.0f - 1.0f;
        single_set(s, i, x);
        tw_free(&x);
    }
}

/* One thread is timed by the processor time that it gets, whatever else runs. */
static double now(void)
{
    struct timespec t;
    if (omp_get_max_threads() > 1) return tw_clock_seconds();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds(tw_value *v, tw_dtype act, int repetitions, char *implementation)
{
    single s;
    const tw_run run = {.training = true};
    double best = 1e9;
    single_create(&s, v, act, 0);
    fill(&s);
    single_run(&s, &run);
    for (int i = 0; i < repetitions; i++) {
        const double start = now();
        s.task.op->run(&s.task, &run);
        const double t = now() - start;
        best = t < best ? t : best;
    }
    snprintf(implementation, TW_IMPLEMENTATION_MAX, "%s", s.task.implementation);
    single_destroy(&s);
    return best;
}

static void bench(int64_t n, int64_t side, int64_t c, int64_t heads, tw_dtype act, int repetitions)
{
    tw_graph *g = NULL;
    char name[TW_IMPLEMENTATION_MAX], other[TW_IMPLEMENTATION_MAX];
    const int64_t p = side * side;
    const double flops = 4.0 * (double)(n * p * p * c);
    if (tw_graph_create(&g) != TW_OK) exit(1);
    tw_value *qkv = tw_input(g, "qkv", TW_ACT, TW_SHAPE(n, p, 3 * c)),
             *q = tw_input(g, "q", TW_ACT, TW_SHAPE(n * heads, p, c / heads));
    tw_value *s = tw_input(g, "s", TW_ACT, TW_SHAPE(n * heads, p, p)),
             *go = tw_input(g, "go", TW_ACT, TW_SHAPE(n, p, c)), *gqkv = NULL;
    tw_value *o = tw_attention(g, qkv, heads, 0.1);
    tw_graph_gradient(g, o, go, &qkv, 1, &gqkv);
    const double forward = seconds(o, act, repetitions, name),
                 backward = seconds(gqkv, act, repetitions, other);
    const double qk = seconds(tw_matmul(g, q, q, false, true), act, repetitions, other);
    const double av = seconds(tw_matmul(g, s, q, false, false), act, repetitions, other);
    const double ta = seconds(tw_matmul(g, s, q, true, false), act, repetitions, other);
    const double softmax = seconds(tw_softmax(g, s, 0.1), act, repetitions, other);
    const double slice = seconds(tw_slice(g, qkv, 0, c), act, repetitions, other);
    printf("%4lld@%-2lld N=%-3lld heads %lld %s  forward %7.3f ms %5.0f GFLOP/s (of primitives "
           "%7.3f)  backward %7.3f ms %5.0f GFLOP/s  %s\n",
           (long long)c, (long long)side, (long long)n, (long long)heads,
           act == TW_DTYPE_BF16 ? "bf16" : "f32 ", forward * 1e3, flops / forward * 1e-9,
           (qk + softmax + av + 3 * slice) * 1e3, backward * 1e3, 2 * flops / backward * 1e-9,
           name);
    printf("        QK' %.3f, softmax %.3f, AV %.3f, A'V %.3f, each slice %.3f ms\n", qk * 1e3,
           softmax * 1e3, av * 1e3, ta * 1e3, slice * 1e3);
    tw_graph_destroy(&g);
}

int main(int argc, char **argv)
{
    const int repetitions = argc > 1 ? atoi(argv[1]) : 30;
    for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
        bench(16, 16, 256, 1, (tw_dtype)act, repetitions);
        bench(16, 16, 256, 4, (tw_dtype)act, repetitions);
        bench(16, 4, 256, 1, (tw_dtype)act, repetitions);
        bench(64, 7, 64, 1, (tw_dtype)act, repetitions);
        bench(2, 32, 256, 4, (tw_dtype)act, repetitions);
        bench(1, 64, 128, 2, (tw_dtype)act, repetitions);
    }
    return 0;
}
