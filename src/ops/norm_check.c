/* The shapes that normalisations take. */
#include "ops/norm.h"
#include "ops/task.h"

tw_status tw_norm_check(const tw_node *n, const tw_value *x, const tw_value *gamma,
                        const tw_value *beta)
{
    tw_status st = TW_OK;
    const int64_t groups = n->attr.i[0];
    if (x->shape.rank < 2) return tw_op_shape_error(n, "wanted [N, spatial…, C]");
    if (x->type == TW_I32) return tw_op_shape_error(n, "wanted floating numbers");
    const int64_t channels = tw_shape_channels(x->shape);
    if ((!tw_shape_equal(gamma->shape, TW_SHAPE(channels)) &&
         !tw_shape_equal(gamma->shape, TW_SHAPE(x->shape.dims[0], channels))) ||
        (beta && !tw_shape_equal(gamma->shape, beta->shape)))
        return tw_op_shape_error(n, "gamma and beta must both be [%lld], or [%lld, %lld]",
                                 (long long)channels, (long long)x->shape.dims[0],
                                 (long long)channels);
    if (gamma->type != TW_F32 || (beta && beta->type != TW_F32))
        return tw_op_shape_error(n, "gamma and beta must be f32");
    TW_CHECK(groups >= 1 && channels % groups == 0, TW_ESHAPE,
             "%s: %lld groups do not divide %lld channels", n->op->name, (long long)groups,
             (long long)channels);
    TW_CHECK(n->attr.f[0] > 0, TW_EINTERNAL, "%s: epsilon is %g, not positive", n->op->name,
             n->attr.f[0]);
done:
    return st;
}

tw_status tw_norm_check_rows(const tw_node *n, const tw_value *embedding, tw_shape y)
{
    const tw_shape wanted = TW_SHAPE(y.dims[0], tw_shape_channels(y));
    if (embedding &&
        (!tw_shape_equal(embedding->shape, wanted) || embedding->type != n->in[0]->type))
        return tw_op_shape_error(n, "the embedding must be [%lld, %lld], of x's type",
                                 (long long)wanted.dims[0], (long long)wanted.dims[1]);
    return TW_OK;
}
