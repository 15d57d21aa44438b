/* The distance of a reconstruction, as a graph. */
#include "objective/reconstruction.h"

tw_value *tw_sum_each(tw_graph *g, tw_value *x)
{
    if (!x) return NULL;
    const tw_shape each = {.rank = x->shape.rank, .dims = {x->shape.dims[0], 1, 1, 1, 1}};
    return tw_reshape(g, tw_sum_to(g, x, each), TW_SHAPE(x->shape.dims[0]));
}

static tw_value *magnitude(tw_graph *g, tw_value *x)
{
    return tw_add(g, tw_activation(g, x, TW_RELU),
                  tw_activation(g, tw_affine(g, x, -1, 0), TW_RELU));
}

/* The mean of |d| or d² of each sample, [n]. */
static tw_value *mean_distance(tw_graph *g, const tw_reconstruction_config *c, tw_value *d)
{
    if (!d) return NULL;
    const double numbers = (double)(tw_shape_count(d->shape) / d->shape.dims[0]);
    tw_value *each = c->distance ? tw_mul(g, d, d) : magnitude(g, d);
    return tw_affine(g, tw_sum_each(g, each), 1 / numbers, 0);
}

/* Differences of neighbours along one side. */
static tw_value *difference(tw_graph *g, tw_value *d, int side)
{
    int64_t one[3] = {0}, none[3] = {0};
    one[side] = 1;
    return tw_sub(g, tw_crop(g, d, one, none), tw_crop(g, d, none, one));
}

tw_value *tw_reconstruction(tw_graph *g, const tw_reconstruction_config *c, tw_value *x,
                            tw_value *y)
{
    if (!x || !y) return NULL;
    tw_value *d = tw_sub(g, x, y), *loss = mean_distance(g, c, d);
    for (int side = 0; c->gradient > 0 && side < x->shape.rank - 2; side++) {
        if (x->shape.dims[side + 1] < 2) continue;
        tw_value *edges = mean_distance(g, c, difference(g, d, side));
        loss = tw_add(g, loss, tw_affine(g, edges, c->gradient, 0));
    }
    return loss;
}
