/* Holds an operation against a naive one in double, in both storage types, for the tests of single
 * operations. */
#ifndef TESTS_OPS_REFERENCE_H
#define TESTS_OPS_REFERENCE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops/single.h"

/* Computes output 0 from inputs that were read back as double; in[k] is NULL where the input is
 * absent. */
typedef void reference(const tw_node *n, double *const *in, double *out);

/* Numbers in ±[0.1, 1.1] that repeat nowhere in a test: the same for the same (which, j). */
static inline float noise(int which, int64_t j)
{
    uint64_t z = ((uint64_t)which << 40) + (uint64_t)j + 1;
    z = (z ^ z >> 31) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 29) * 0xbf58476d1ce4e5b9u;
    z ^= z >> 32;
    const float size = 0.1f + (float)(z >> 8 & 0xffffff) / 16777216.0f;
    return z & 1 ? size : -size;
}

static inline void fill_inputs(single *s, float gain)
{
    for (int i = 0; i < s->task.node->nin; i++) {
        const tw_value *v = s->task.node->in[i];
        if (!v) continue;
        const int64_t n = tw_shape_count(v->shape);
        float *x = malloc((size_t)n * sizeof *x);
        for (int64_t j = 0; j < n; j++) x[j] = gain * noise(i, j);
        if (v->type == TW_I32)
            for (int64_t j = 0; j < n; j++)
                ((int32_t *)s->task.in[i])[j] = (int32_t)((j * 7 + 2) % 5) - 1;
        else
            single_set(s, i, x);
        free(x);
    }
}

static inline double *read_input(const single *s, int i)
{
    const tw_value *v = s->task.node->in[i];
    if (!v) return NULL;
    const int64_t n = tw_shape_count(v->shape);
    double *x = malloc((size_t)n * sizeof *x);
    const tw_dtype type = tw_task_dtype(&s->task, v);
    for (int64_t j = 0; j < n; j++)
        x[j] = type == TW_DTYPE_BF16  ? (double)tw_from_bf16(((tw_bf16 *)s->task.in[i])[j])
               : type == TW_DTYPE_F32 ? (double)((float *)s->task.in[i])[j]
                                      : (double)((int32_t *)s->task.in[i])[j];
    return x;
}

/* f32: `ulps` · 2^-23 of the result or of 1, whichever is larger. bf16: half a last place (2^-8)
 * and what the coarse functions add. */
static inline void assert_close(const single *s, const float *got, const double *want, int64_t n,
                                double ulps)
{
    const bool half = tw_task_dtype(&s->task, &s->task.node->out[0]) == TW_DTYPE_BF16;
    for (int64_t j = 0; j < n; j++) {
        const double size = fabs(want[j]);
        const double tolerance =
            half ? size * 0x1.1p-8 + 2e-4 : ulps * 0x1p-23 * (size > 1 ? size : 1);
        if (fabs((double)got[j] - want[j]) <= tolerance) continue;
        fail_msg("%s (%s, %s): element %lld is %.9g, wanted %.9g", s->task.op->name,
                 s->task.implementation, half ? "bf16" : "f32", (long long)j, (double)got[j],
                 want[j]);
    }
}

/* Runs the node that made `value` on noise of amplitude `gain`, with act stored as f32 and as bf16.
 */
static inline void agrees(tw_value *value, reference *naive, float gain, double ulps,
                          const tw_run *run)
{
    for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
        single s;
        double *in[TW_OP_IN_MAX] = {0};
        single_create(&s, value, (tw_dtype)act, 0);
        const int64_t n = tw_shape_count(value->shape);
        float *got = malloc((size_t)n * sizeof *got);
        double *want = malloc((size_t)n * sizeof *want);
        fill_inputs(&s, gain);
        for (int i = 0; i < s.task.node->nin; i++) in[i] = read_input(&s, i);
        naive(s.task.node, in, want);
        single_run(&s, run);
        single_get(&s, 0, got);
        assert_close(&s, got, want, n, ulps);
        for (int i = 0; i < TW_OP_IN_MAX; i++) free(in[i]);
        free(want);
        free(got);
        single_destroy(&s);
    }
}

/* Where element j of a tensor of shape `big` falls in one of shape `small` that repeats up to it.
 */
static inline int64_t repeated_index(tw_shape big, tw_shape small, int64_t j)
{
    int64_t at = 0, stride = 1;
    for (int d = big.rank - 1; d >= 0; d--) {
        const int k = d - (big.rank - small.rank);
        const int64_t i = j % big.dims[d];
        j /= big.dims[d];
        if (k < 0) continue;
        if (small.dims[k] != 1) at += i * stride;
        stride *= small.dims[k];
    }
    return at;
}

static inline tw_graph *new_graph(void)
{
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(&g), TW_OK);
    return g;
}

#endif
