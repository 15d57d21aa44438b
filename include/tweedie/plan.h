/* A graph made ready to run: fused, laid out in memory, every primitive created. Plan once, run
 * many times.
 *
 * Not collective. A plan belongs to one thread at a time; it uses as many OpenMP threads as when it
 * was created. */
#ifndef TWEEDIE_PLAN_H
#define TWEEDIE_PLAN_H

#include <stdio.h>

#include "tweedie/params.h"
#include "tweedie/processor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_precision { TW_PRECISION_F32, TW_PRECISION_BF16, TW_PRECISION_AUTO } tw_precision;

/* The faster one on a processor, by what was measured on such ones.
 * @param[out] reason  what of the processor decided; may be NULL */
tw_precision tw_precision_of(const tw_processor *p, const char **reason);
/* `auto` becomes the faster one on this processor, as far as $TWEEDIE_ISA and $ONEDNN_MAX_CPU_ISA
 * leave it. Not collective: ranks may answer differently. */
tw_precision tw_precision_resolve(tw_precision wish);
const char *tw_precision_name(tw_precision p);
const char *tw_convolution_name(tw_convolution c);
/* Whether oneDNN computes in it on this processor. A plan in bf16 runs everywhere; where this is
 * false (below AVX-512) its products are computed in f32 between roundings to bf16, which is slower
 * than f32. */
bool tw_precision_native(tw_precision p);

typedef struct tw_plan tw_plan;

/* Where operations find parameters in the layouts that they read: kept from one packing to the
 * next, as is best where parameters stay the same for many runs; or packed by each run just before
 * they are read, in memory that all operations share, which is as fast where each run sees others.
 */
typedef enum tw_packing {
    TW_PACKING_KEPT,
    TW_PACKING_EACH_RUN,
    TW_PACKING_WHERE_CHEAP /* by each run where that costs little beside the operation */
} tw_packing;

/* What a plan forgets after the forward pass and computes again in the backward pass, on the same
 * numbers: gradients have the same bits. */
typedef enum tw_recompute {
    TW_RECOMPUTE_NO,
    TW_RECOMPUTE_PASSES, /* copies and activations, and normalisations of what is computed again */
    TW_RECOMPUTE_CHEAP   /* all that is cheap beside convolutions: normalisations, attention */
} tw_recompute;

typedef struct tw_plan_options {
    tw_precision precision; /* resolved: not TW_PRECISION_AUTO */
    tw_convolution convolution;
    tw_packing packing;
    bool accumulate;     /* gradients can be added to those of earlier microbatches */
    bool lend_gradients; /* until gradients are written, values lie in their buffer: a run leaves
                            nothing else there, and what was there before is lost; not with
                            accumulate */
    tw_recompute recompute;
    bool no_fusion; /* primitives as they stand: for tests */
    bool poison;    /* fills every buffer with NaN when its life ends; also where $TWEEDIE_POISON is
                       set */
    bool profile;   /* measures each task */
} tw_plan_options;

/* Plans a graph over a parameter store that holds (at least) the graph's parameters by name and
 * shape.
 * @param g       may be destroyed afterwards
 * @param params  must outlive the plan; with gradients in the graph it needs its gradient buffer
 * before
 * @return TW_ESHAPE, TW_EUNSUPPORTED, TW_ENOMEM, or the graph's own error */
tw_status tw_plan_create(tw_plan **out, const tw_graph *g, tw_params *params,
                         const tw_plan_options *options);
void tw_plan_destroy(tw_plan **plan);

/* The memory of an input, to be filled before a run, or of an output, valid after a run until the
 * next one; NULL where there is none of that name. TW_ACT values are f32 in an f32 plan and bf16 in
 * a bf16 one; inputs and outputs that users touch should be TW_F32. */
void *tw_plan_input(tw_plan *p, const char *name);
const void *tw_plan_output(const tw_plan *p, const char *name);
tw_shape tw_plan_shape(const tw_plan *p,
                       const char *name); /* of an input or output; rank 0 where there is none */

/* To be called after each change of the parameters and before the first run: packs them for the
 * operations. */
void tw_plan_refresh(tw_plan *p);

/* The same in parts, for who changes parameters part by part and may pack each while it is in
 * cache. A part is made of floats [offset, offset + count) of the store's values, which no other
 * part reads; parts are in the order of offsets and leave out what nothing packs. Any thread may
 * pack any part, beside others; a run sees what was packed before a barrier that it comes behind.
 */
typedef struct tw_plan_part {
    int64_t offset, count;
} tw_plan_part;
int64_t tw_plan_part_count(const tw_plan *p);
tw_plan_part tw_plan_part_get(const tw_plan *p, int64_t i);
void tw_plan_pack(const tw_plan *p, int64_t i);

/* Called during a run, by the running thread, each time a stretch of the gradient buffer has become
 * final: each float of the buffer, padding included, once. The order is nearly that of the views
 * reversed. */
typedef void tw_gradient_ready(void *self, int64_t offset, int64_t count);

typedef struct tw_plan_run {
    uint64_t seed;
    int64_t step;
    int64_t position;            /* of the first sample in the global batch */
    bool training;               /* dropout acts */
    bool add_gradients;          /* to those in the buffer, instead of in their place; wants
                                    options.accumulate */
    tw_gradient_ready *ready;    /* or NULL */
    void (*between)(void *self); /* called after each operation, by the running thread; or NULL */
    void *self;
} tw_plan_run;

/* Computes. Cannot fail, allocates nothing. */
void tw_plan_execute(tw_plan *p, const tw_plan_run *run);

/* Prints ops, implementations, shapes, buffers, bytes, and times where profiled. */
void tw_plan_print(const tw_plan *p, FILE *out);

typedef struct tw_plan_memory {
    size_t arena, scratch, packed, inputs;
} tw_plan_memory;
tw_plan_memory tw_plan_memory_use(const tw_plan *p);

/* One task of the plan, for reports: its op, implementation, seconds in all runs since the last
 * reset, and flops of one run. */
typedef struct tw_plan_task_info {
    const char *op, *implementation;
    double seconds, flops;
} tw_plan_task_info;
int tw_plan_task_count(const tw_plan *p);
tw_plan_task_info tw_plan_task(const tw_plan *p, int i);
void tw_plan_profile_reset(tw_plan *p);

/* The plan's convolutions alone, as oneDNN's convolution primitives give them: forward,
 * backward-data and backward-weights at the plan's sizes, in its order, on its activations (which a
 * run overwrites), also where the plan itself does better. */
typedef struct tw_conv_limit tw_conv_limit;
typedef struct tw_conv_limit_times {
    double forward, backward_data, backward_weights; /* seconds */
} tw_conv_limit_times;
tw_status tw_conv_limit_create(tw_conv_limit **out, const tw_plan *p); /* p must outlive it */
void tw_conv_limit_destroy(tw_conv_limit **limit);
/* Times each in the plan's layout, channels last, and in the one that oneDNN would choose for the
 * activations, and keeps the faster; without it all are in the plan's. Once, before the first run.
 */
void tw_conv_limit_choose(tw_conv_limit *limit);
tw_conv_limit_times tw_conv_limit_run(tw_conv_limit *limit);

/* One of them: "forward x [16, 32, 32, 128] w [128, 128, 3, 3]"; what computes it; whether in
 * oneDNN's own layout. Texts belong to the limit. */
typedef struct tw_conv_limit_item {
    const char *convolution, *implementation;
    bool own_layout;
} tw_conv_limit_item;
int tw_conv_limit_count(const tw_conv_limit *limit);
tw_conv_limit_item tw_conv_limit_get(const tw_conv_limit *limit, int i);

#ifdef __cplusplus
}
#endif

#endif
