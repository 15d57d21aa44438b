/* Small things that the run-time halves of operations share. */
#ifndef TW_OPS_TASK_H
#define TW_OPS_TASK_H

#include <stdio.h>

#include "ops/element.h"
#include "ops/ops.h"

/* Work of `items` equal parts cut into jobs of about 16 Ki elements. The cut depends on shapes
 * alone, so no result depends on how many threads share the jobs; 64 KiB of f32 is small against a
 * second-level cache and large against the cost of a job. */
typedef struct tw_cut {
    int64_t items, per_job, jobs;
} tw_cut;

enum { TW_CUT_ELEMENTS = 16384 };

static inline tw_cut tw_cut_of(int64_t items, int64_t elements_each)
{
    int64_t per_job = TW_CUT_ELEMENTS / (elements_each < 1 ? 1 : elements_each);
    if (per_job < 1) per_job = 1;
    return (tw_cut){.items = items, .per_job = per_job, .jobs = (items + per_job - 1) / per_job};
}

static inline int64_t tw_cut_first(const tw_cut *c, int64_t job)
{
    return job * c->per_job;
}

static inline int64_t tw_cut_count(const tw_cut *c, int64_t job)
{
    const int64_t rest = c->items - job * c->per_job;
    return rest < c->per_job ? rest : c->per_job;
}

/* What a plan() of an operation in C has to say. */
static inline tw_status tw_task_plan_c(tw_task *t, double flops)
{
    static const char *const isa[] = {"baseline", "avx2", "avx512"};
    t->flops = flops;
    return tw_format(t->implementation, sizeof t->implementation, "c:%s", isa[tw_isa_get()]);
}

static inline tw_dtype tw_task_in_dtype(const tw_task *t, int k)
{
    return tw_task_dtype(t, t->node->in[k]);
}

static inline tw_dtype tw_task_out_dtype(const tw_task *t)
{
    return tw_task_dtype(t, &t->node->out[0]);
}

static inline int64_t tw_task_out_count(const tw_task *t)
{
    return tw_shape_count(t->node->out[0].shape);
}

/* How many units of an input, a parameter, pack() has to pack. */
static inline int64_t tw_task_pack_units(const tw_task *t, int input)
{
    const int64_t unit = t->pack_unit[input];
    return unit ? (tw_shape_count(t->node->in[input]->shape) + unit - 1) / unit : 0;
}

/* All of them. */
static inline void tw_task_pack(const tw_task *t)
{
    for (int k = 0; k < 2 && t->op->pack; k++)
        for (int64_t u = 0; u < tw_task_pack_units(t, k); u++) t->op->pack(t, k, u);
}

/* destroy() of an op whose state is one block from tw_alloc. */
static inline void tw_task_free_state(tw_task *t)
{
    tw_free(&t->state);
}

/* Elements of one sample: all dimensions but the first. */
static inline int64_t tw_sample_count(tw_shape s)
{
    int64_t n = 1;
    for (int d = 1; d < s.rank; d++) n *= s.dims[d];
    return n;
}

#endif
