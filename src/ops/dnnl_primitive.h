/* A oneDNN primitive with its memory objects: made at plan time, run with plain pointers.
 *
 * bf16 where the library has none: a primitive whose descriptor is f32 where an argument is bf16
 * (tw_pd_conv and tw_pd_matmul make such) runs on f32 copies in its scratch: inputs are widened
 * before, outputs rounded to bf16 after. Its implementation begins with "bf16-as-f32:". */
#ifndef TW_OPS_DNNL_PRIMITIVE_H
#define TW_OPS_DNNL_PRIMITIVE_H

#include "ops/dnnl_compat.h"

enum { TW_PRIMITIVE_ARGS_MAX = 7 };

typedef struct tw_primitive {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    int count;
    dnnl_exec_arg_t args[TW_PRIMITIVE_ARGS_MAX];
    void *bound[TW_PRIMITIVE_ARGS_MAX]; /* what each memory points to now */
    struct {
        int64_t count; /* of elements of the f32 copy; 0: the argument goes in as it is */
        size_t offset; /* of the copy in scratch */
        bool in, out;
    } copy[TW_PRIMITIVE_ARGS_MAX];
    bool scratchpad; /* the last argument is oneDNN's own scratch, at the beginning of ours */
    size_t scratch_bytes;
    char implementation[80];
} tw_primitive;

/* What goes where: oneDNN's DNNL_ARG_* with the descriptor of its memory. */
typedef struct tw_primitive_arg {
    int arg;
    const tw_md *md;
} tw_primitive_arg;

/* Makes the primitive of a descriptor, which it destroys in any case. args ends with arg 0. The
 * scratchpad becomes the last argument. */
tw_status tw_primitive_create(tw_primitive *out, dnnl_primitive_desc_t pd,
                              const tw_primitive_arg *args);
void tw_primitive_destroy(tw_primitive *p);

/* Executes with one pointer per argument in the order of creation, then `scratch` of scratch_bytes
 * (or NULL where that is 0). */
void tw_primitive_run(tw_primitive *p, void *const *data, void *scratch);

#endif
