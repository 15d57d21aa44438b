/* A oneDNN primitive with its memory objects: made at plan time, run with plain pointers. */
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
    size_t scratch_bytes;
    char implementation[64];
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
