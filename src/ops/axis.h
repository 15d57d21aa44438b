/* A tensor cut into strips along one of its spatial dimensions. */
#ifndef TW_OPS_AXIS_H
#define TW_OPS_AXIS_H

#include "ops/kern_axis.h"
#include "ops/task.h"

/* [outer, length, inner]: strips are the pieces of `inner` of at most TW_AXIS_STRIP elements. */
typedef struct tw_axis {
    int64_t outer, length, inner, pieces;
} tw_axis;

static inline tw_axis tw_axis_of(tw_shape s, int64_t axis)
{
    tw_axis a = {.outer = 1, .length = s.dims[axis], .inner = 1};
    for (int d = 0; d < axis; d++) a.outer *= s.dims[d];
    for (int d = (int)axis + 1; d < s.rank; d++) a.inner *= s.dims[d];
    a.pieces = (a.inner + TW_AXIS_STRIP - 1) / TW_AXIS_STRIP;
    return a;
}

static inline int64_t tw_axis_width(const tw_axis *a, int64_t strip)
{
    const int64_t left = a->inner - strip % a->pieces * TW_AXIS_STRIP;
    return left < TW_AXIS_STRIP ? left : TW_AXIS_STRIP;
}

/* The first element of a strip, in this tensor or one of another length. */
static inline int64_t tw_axis_start(const tw_axis *a, int64_t strip, int64_t length)
{
    return strip / a->pieces * length * a->inner + strip % a->pieces * TW_AXIS_STRIP;
}

/* Checks of infer(): a plain tensor, and one of its spatial dimensions. */
static inline tw_status tw_axis_check(const tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_plain(n));
    if (n->attr.i[0] < 1 || n->attr.i[0] > n->in[0]->shape.rank - 2)
        return tw_op_shape_error(n, "dimension %lld is no spatial one of [N, spatial..., C]",
                                 (long long)n->attr.i[0]);
done:
    return st;
}

#endif
