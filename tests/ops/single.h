/* One operation of a graph, planned and run by itself: for tests against references, without a plan
 * around it. Inputs and outputs are exchanged as f32 whatever they are stored as. Memory holds NaN
 * before a run, so what an operation forgets to write is seen. */
#ifndef TESTS_OPS_SINGLE_H
#define TESTS_OPS_SINGLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ops/kernel.h"
#include "ops/op.h"
#include "ops/task.h"
#include "tweedie/memory.h"

static tw_convolution single_convolution; /* of what single_create plans */

typedef struct single {
    tw_task task;
    void *packed, *scratch;
} single;

static inline void single_fill(void *p, size_t bytes)
{
    if (p) memset(p, 0xff, bytes);
}

static inline size_t single_bytes(const single *s, const tw_value *v)
{
    return (size_t)tw_shape_count(v->shape) * tw_dtype_size(tw_task_dtype(&s->task, v));
}

/* Plans the node that made `value`. Bit k of `unread` leaves output k without memory. */
static inline void single_create(single *s, tw_value *value, tw_dtype act, unsigned unread)
{
    assert_non_null(value);
    tw_node *n = value->node;
    *s = (single){.task = {.node = n, .op = n->op, .act = act, .convolution = single_convolution}};
    for (int i = 0; i < n->nin; i++)
        if (n->in[i])
            assert_int_equal(tw_alloc(&s->task.in[i], 1, single_bytes(s, n->in[i]), "an input"),
                             TW_OK);
    for (int k = 0; k < n->nout; k++)
        if (!(unread >> k & 1u))
            assert_int_equal(tw_alloc(&s->task.out[k], 1, single_bytes(s, &n->out[k]), "an output"),
                             TW_OK);
    assert_int_equal(n->op->plan(&s->task), TW_OK);
    if (s->task.scratch_bytes)
        assert_int_equal(tw_alloc(&s->scratch, 1, s->task.scratch_bytes, "scratch"), TW_OK);
    if (s->task.packed_bytes)
        assert_int_equal(tw_alloc(&s->packed, 1, s->task.packed_bytes, "packed memory"), TW_OK);
    s->task.scratch = s->scratch;
    s->task.packed = s->packed;
}

static inline void single_set(single *s, int i, const float *x)
{
    const tw_value *v = s->task.node->in[i];
    const int64_t n = tw_shape_count(v->shape);
    if (tw_task_dtype(&s->task, v) == TW_DTYPE_BF16)
        for (int64_t j = 0; j < n; j++) ((tw_bf16 *)s->task.in[i])[j] = tw_to_bf16(x[j]);
    else
        memcpy(s->task.in[i], x, (size_t)n * sizeof *x);
}

static inline void single_run(single *s, const tw_run *run)
{
    const tw_node *n = s->task.node;
    for (int k = 0; k < n->nout; k++) single_fill(s->task.out[k], single_bytes(s, &n->out[k]));
    single_fill(s->scratch, s->task.scratch_bytes);
    tw_task_pack(&s->task);
    n->op->run(&s->task, run);
}

static inline void single_get(const single *s, int k, float *y)
{
    const tw_value *v = &s->task.node->out[k];
    const int64_t n = tw_shape_count(v->shape);
    if (tw_task_dtype(&s->task, v) == TW_DTYPE_BF16)
        for (int64_t j = 0; j < n; j++) y[j] = tw_from_bf16(((const tw_bf16 *)s->task.out[k])[j]);
    else
        memcpy(y, s->task.out[k], (size_t)n * sizeof *y);
}

static inline void single_destroy(single *s)
{
    if (s->task.op->destroy) s->task.op->destroy(&s->task);
    for (int i = 0; i < TW_OP_IN_MAX; i++) tw_free(&s->task.in[i]);
    for (int k = 0; k < TW_OP_OUT_MAX; k++) tw_free(&s->task.out[k]);
    tw_free(&s->scratch);
    tw_free(&s->packed);
}

#endif
