/* oneDNN 2.6 and 3.x behind one interface: every difference between the two C APIs is in
 * dnnl_compat.c. */
#ifndef TW_OPS_DNNL_COMPAT_H
#define TW_OPS_DNNL_COMPAT_H

#include <oneapi/dnnl/dnnl.h>

#include "ops/op.h"

/* A memory descriptor: a struct in 2.x, a pointer in 3.x. Owned: released by tw_md_destroy. */
typedef struct tw_md {
    dnnl_memory_desc_t md;
    bool set;
} tw_md;

#define TRY_DNNL(call)                                                                             \
    do {                                                                                           \
        dnnl_status_t dnnl_st_ = (call);                                                           \
        if (dnnl_st_ != dnnl_success)                                                              \
            TW_FAIL(TW_EINTERNAL, "oneDNN: %s: %s", #call, tw_dnnl_status_text(dnnl_st_));         \
    } while (0)

const char *tw_dnnl_status_text(dnnl_status_t st);

/* For failures that have no way back: one sentence to standard error, exit code 70. */
__attribute__((noreturn, format(printf, 1, 2))) void tw_dnnl_fail(const char *format, ...);

/* From now on an exception that leaves oneDNN ends the process like tw_dnnl_fail. */
void tw_dnnl_catch(void);

/* What oneDNN computes bf16 with here, within $ONEDNN_MAX_CPU_ISA: nothing (below AVX-512), f32
 * instructions of AVX-512, dot products (AVX512_BF16), tiles (AMX). Each is faster than the one
 * before. */
typedef enum tw_dnnl_bf16 {
    TW_DNNL_BF16_NONE,
    TW_DNNL_BF16_EMULATED,
    TW_DNNL_BF16_DOTS,
    TW_DNNL_BF16_TILES
} tw_dnnl_bf16;
tw_dnnl_bf16 tw_dnnl_bf16_unit(void);

/* The one CPU engine and stream of this process. */
tw_status tw_dnnl_open(dnnl_engine_t *engine, dnnl_stream_t *stream);

tw_status tw_md_tag(tw_md *out, int rank, const int64_t *dims, tw_dtype type,
                    dnnl_format_tag_t tag);
tw_status tw_md_strides(tw_md *out, int rank, const int64_t *dims, tw_dtype type,
                        const int64_t *strides);
void tw_md_destroy(tw_md *md);
bool tw_md_equal(const tw_md *a, const tw_md *b);
size_t tw_md_size(const tw_md *md);
bool tw_md_is_bf16(const tw_md *md);

/* A blocked layout: the offset of an element is Σ over dimensions of a function of that coordinate
 * alone. */
typedef struct tw_md_blocking {
    int rank;
    int64_t stride[TW_RANK_MAX]; /* of the outer blocks, in elements */
    int inner_count;             /* inner blocks, outermost first; together they lie densely */
    int64_t inner_size[4];
    int inner_dim[4];
} tw_md_blocking;
tw_status tw_md_get_blocking(tw_md_blocking *out,
                             const tw_md *md); /* TW_EUNSUPPORTED where it is none */

typedef enum tw_conv_direction {
    TW_CONV_FORWARD,
    TW_CONV_BACKWARD_DATA,
    TW_CONV_BACKWARD_WEIGHTS
} tw_conv_direction;

/* Spatial geometry in oneDNN's terms (dilation 0 = dense). */
typedef struct tw_conv_problem {
    tw_conv_direction direction;
    tw_md src, weights, bias,
        dst; /* borrowed; bias.set false: none. weights may be of format any */
    dnnl_dims_t stride, dilation, before, after;
    bool add;    /* dst = dst + convolution, by the sum post-op (forward only) */
    double gain; /* of the result, sum included; 0: none (forward only) */
} tw_conv_problem;

/* Primitive descriptors. Scratchpads are the user's. Where oneDNN has no bf16 primitive for a
 * problem (below AVX-512), the descriptor is that of the same problem in f32; tw_primitive_create
 * then puts conversions around it. */
tw_status tw_pd_conv(dnnl_primitive_desc_t *out, const tw_conv_problem *problem);
/* @param add  dst = dst + product */
tw_status tw_pd_matmul(dnnl_primitive_desc_t *out, const tw_md *src, const tw_md *weights,
                       const tw_md *bias, const tw_md *dst, bool add);

typedef enum tw_pd_what {
    TW_PD_WEIGHTS,
    TW_PD_DIFF_WEIGHTS,
    TW_PD_SCRATCHPAD,
    TW_PD_SRC,
    TW_PD_DST,
    TW_PD_DIFF_SRC,
    TW_PD_DIFF_DST
} tw_pd_what;
tw_status tw_pd_md(tw_md *out, dnnl_primitive_desc_t pd,
                   tw_pd_what what); /* a copy of one of its descriptors */
/* Whether argument `arg` (DNNL_ARG_*), given as `md`, is bf16 where the primitive takes f32. */
bool tw_pd_widens(dnnl_primitive_desc_t pd, int arg, const tw_md *md);
bool tw_pd_adds(dnnl_primitive_desc_t pd); /* to its output, which it then reads as well */
void tw_pd_implementation(dnnl_primitive_desc_t pd, char *out, size_t size);

tw_status tw_dnnl_memory(dnnl_memory_t *out, const tw_md *md); /* without data */
/* The same for an argument as the primitive takes it. */
tw_status tw_dnnl_argument(dnnl_memory_t *out, dnnl_primitive_desc_t pd, int arg);

#endif
