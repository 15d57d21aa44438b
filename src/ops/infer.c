/* What the shape rules of operations share. */
#include "ops/ops.h"

bool tw_shape_repeats_to(tw_shape small, tw_shape big)
{
    if (small.rank > big.rank) return false;
    for (int d = 0; d < small.rank; d++) {
        int64_t met = small.dims[d];
        if (met != 1 && met != big.dims[big.rank - small.rank + d]) return false;
    }
    return true;
}

void tw_attr_set_shape(tw_attr *a, int at, tw_shape s)
{
    a->i[at] = s.rank;
    for (int d = 0; d < s.rank; d++) a->i[at + 1 + d] = s.dims[d];
}

tw_shape tw_attr_shape(const tw_attr *a, int at)
{
    int rank = (int)a->i[at];
    return tw_shape_make(a->i + at + 1, rank < 0 ? 0 : rank > TW_RANK_MAX ? TW_RANK_MAX : rank);
}

tw_status tw_infer_floating(const tw_node *n)
{
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && n->in[i]->type == TW_I32)
            return tw_op_shape_error(n, "input %d holds integers, wanted numbers", i);
    return TW_OK;
}

tw_status tw_infer_plain(const tw_node *n)
{
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && n->in[i]->layout != TW_PLAIN)
            return tw_op_shape_error(n, "input %d lies in blocks of channels, wanted plain", i);
    return tw_infer_floating(n);
}

tw_status tw_infer_wanted_shape(const tw_node *n, int at, tw_shape *out)
{
    const tw_shape shape = tw_attr_shape(&n->attr, at);
    for (int d = 0; d < shape.rank; d++)
        if (shape.dims[d] < 1)
            return tw_op_shape_error(n, "dimension %d of the result is %lld", d,
                                     (long long)shape.dims[d]);
    *out = shape;
    return TW_OK;
}

tw_status tw_infer_wanted_type(const tw_node *n, int at, tw_type *out)
{
    const int64_t type = n->attr.i[at];
    if (type != TW_ACT && type != TW_F32)
        return tw_op_shape_error(n, "type %lld of the result is not floating", (long long)type);
    *out = (tw_type)type;
    return TW_OK;
}
