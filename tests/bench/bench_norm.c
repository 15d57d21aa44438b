/* Speed of the fused normalisation beside a copy of the bytes that it must read and write. Not a
 * test: its numbers are for tuning.
 *
 *     bench_norm [repetitions]
 *
 * Columns: the least time of all repetitions in ms, GB/s of the bytes that pass between memory and
 * the kernel if each tensor is touched once, and the ratio to memcpy of as many bytes in total, by
 * as many threads. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops/norm.h"
#include "ops/single.h"
#include "tweedie/clock.h"

typedef struct shape {
    int64_t n, side, channels;
} shape;

/* Least time of copying `bytes` / 2 from one place to another: as many bytes read and written as
 * the kernel's. */
static double copy_seconds(size_t bytes, int repetitions)
{
    char *from = NULL, *to = NULL;
    const size_t piece = bytes / 2 / (size_t)omp_get_max_threads();
    double best = 1e9;
    if (tw_alloc(&from, 1, bytes / 2, "a copy") != TW_OK ||
        tw_alloc(&to, 1, bytes / 2, "a copy") != TW_OK)
        exit(1);
    memset(from, 1, bytes / 2);
    for (int i = 0; i < repetitions; i++) {
        const double start = tw_clock_seconds();
#pragma omp parallel
        memcpy(to + (size_t)omp_get_thread_num() * piece,
               from + (size_t)omp_get_thread_num() * piece, piece);
        const double t = tw_clock_seconds() - start;
        best = t < best ? t : best;
    }
    tw_free(&from);
    tw_free(&to);
    return best;
}

static void fill(single *s)
{
    for (int i = 0; i < s->task.node->nin; i++) {
        const tw_value *v = s->task.node->in[i];
        if (!v) continue;
        float *x = NULL;
        const int64_t n = tw_shape_count(v->shape);
        if (tw_alloc(&x, n, sizeof *x, "an input") != TW_OK) exit(1);
        for (int64_t k = 0; k < n; k++)
            x[k] = (float)((k * 2654435761u >> 7) % 2048) / 1024.0f - 0.5f;
        single_set(s, i, x);
        tw_free(&x);
    }
}

static void measure(const char *what, tw_value *v, tw_dtype act, int repetitions, unsigned unread,
                    double tensors, const shape *k)
{
    single s;
    const tw_run run = {.seed = 1, .training = true};
    double best = 1e9;
    single_create(&s, v, act, unread);
    fill(&s);
    single_run(&s, &run);
    for (int i = 0; i < repetitions; i++) {
        const double start = tw_clock_seconds();
        s.task.op->run(&s.task, &run);
        const double t = tw_clock_seconds() - start;
        best = t < best ? t : best;
    }
    const double bytes =
        tensors * (double)(k->n * k->side * k->side * k->channels) * (double)tw_dtype_size(act);
    const double copy = copy_seconds((size_t)bytes, repetitions);
    printf("%-34s %4lld@%-3lld N=%-3lld %s  %7.3f ms %6.1f GB/s  %5.2f x copy (%.3f ms)\n", what,
           (long long)k->channels, (long long)k->side, (long long)k->n,
           act == TW_DTYPE_BF16 ? "bf16" : "f32 ", best * 1e3, bytes / best * 1e-9, best / copy,
           copy * 1e3);
    single_destroy(&s);
}

static void bench(const shape *k, tw_dtype act, int repetitions)
{
    tw_graph *g = NULL;
    if (tw_graph_create(&g) != TW_OK) exit(1);
    const tw_shape s = TW_SHAPE(k->n, k->side, k->side, k->channels), c = TW_SHAPE(k->channels);
    tw_value *x = tw_input(g, "x", TW_ACT, s), *gy = tw_input(g, "gy", TW_ACT, s),
             *add = tw_input(g, "add", TW_ACT, s);
    tw_value *gamma = tw_param(g, "gamma", c, tw_init_ones),
             *beta = tw_param(g, "beta", c, tw_init_zeros);
    tw_value *embedding = tw_input(g, "embedding", TW_ACT, TW_SHAPE(k->n, k->channels));
    tw_value *stats = tw_input(g, "stats", TW_F32, TW_SHAPE(k->n, 32, 2));
    tw_value *forward[] = {x, gamma, beta, NULL}, *forward_t[] = {x, gamma, beta, embedding};
    tw_value *backward[] = {x, gamma, beta, stats, gy, NULL, NULL};
    tw_value *backward_add[] = {x, gamma, beta, stats, gy, NULL, add};
    tw_value *backward_t[] = {x, gamma, beta, stats, gy, embedding, NULL};
    const tw_attr plain = {.i = {32, 0, 0}, .f = {1e-6, 0}},
                  silu = {.i = {32, 1, 0}, .f = {1e-6, 0}};
    const tw_attr dropout = {.i = {32, 1, 0}, .f = {1e-6, 0.1}};
    const unsigned f = 1u << 3, b = 3u << 5;
    measure("forward", tw_emit_optional(g, &tw_op_norm_act, forward, 4, f, &plain), act,
            repetitions, 0, 2, k);
    measure("forward, silu", tw_emit_optional(g, &tw_op_norm_act, forward, 4, f, &silu), act,
            repetitions, 0, 2, k);
    measure("forward, t, silu, dropout",
            tw_emit_optional(g, &tw_op_norm_act, forward_t, 4, f, &dropout), act, repetitions, 0, 2,
            k);
    measure("backward", tw_emit_optional(g, &tw_op_norm_act_grad, backward, 7, b, &plain), act,
            repetitions, 1u << 3, 3, k);
    measure("backward, silu", tw_emit_optional(g, &tw_op_norm_act_grad, backward, 7, b, &silu), act,
            repetitions, 1u << 3, 3, k);
    measure("backward, silu, add",
            tw_emit_optional(g, &tw_op_norm_act_grad, backward_add, 7, b, &silu), act, repetitions,
            1u << 3, 4, k);
    measure("backward, t, silu, dropout",
            tw_emit_optional(g, &tw_op_norm_act_grad, backward_t, 7, b, &dropout), act, repetitions,
            0, 3, k);
    tw_graph_destroy(&g);
}

int main(int argc, char **argv)
{
    const int repetitions = argc > 1 ? atoi(argv[1]) : 50;
    static const shape shapes[] = {
        {16, 32, 128}, {16, 16, 256}, {16, 4, 256}, {2, 32, 128}, {96, 32, 128}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        bench(&shapes[i], TW_DTYPE_F32, repetitions);
        bench(&shapes[i], TW_DTYPE_BF16, repetitions);
    }
    return 0;
}
