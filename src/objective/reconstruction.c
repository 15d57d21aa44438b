/* The distance of a reconstruction, as a graph. */
#include "objective/reconstruction.h"

#include "tweedie/param_names.h"

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

/* Unit length at each position; shorter vectors than `shortest` are left as too short, so that
 * where a classifier sees nothing slopes stay finite. */
static tw_value *direction(tw_graph *g, tw_value *f)
{
    const double shortest = 1e-2;
    if (!f) return NULL;
    tw_shape each = f->shape;
    each.dims[each.rank - 1] = 1;
    f = tw_cast(g, f, TW_F32);
    tw_value *squares = tw_sum_to(g, tw_mul(g, f, f), each);
    return tw_mul(g, f, tw_power(g, squares, -0.5, shortest * shortest));
}

tw_value *tw_feature_distance(tw_graph *g, const tw_net_maps *a, const tw_net_maps *b)
{
    tw_value *sum = NULL;
    for (int k = 0; k < a->count; k++) {
        tw_value *d = tw_sub(g, direction(g, a->map[k]), direction(g, b->map[k]));
        if (!d) return NULL;
        const double positions =
            (double)(tw_shape_count(d->shape) / (d->shape.dims[0] * tw_shape_channels(d->shape)));
        d = tw_affine(g, tw_sum_each(g, tw_mul(g, d, d)), 1 / positions, 0);
        sum = sum ? tw_add(g, sum, d) : d;
    }
    return sum;
}

/* Differences of neighbours along one side. */
static tw_value *difference(tw_graph *g, tw_value *d, int side)
{
    int64_t one[3] = {0}, none[3] = {0};
    one[side] = 1;
    return tw_sub(g, tw_crop(g, d, one, none), tw_crop(g, d, none, one));
}

tw_status tw_reconstruction_check(const tw_reconstruction_config *c, const tw_model *m)
{
    tw_status st = TW_OK;
    if (c->features.weight == 0) return TW_OK;
    TW_CHECK(m->features, TW_ECONFIG,
             "objective.features: must be given with objective.feature_weight above 0: the run or "
             "the weights of a classifier");
    st = tw_model_check_maps(m->features, m->sample);
    if (st != TW_OK) tw_error_prefix("objective.features: ");
done:
    return st;
}

/* Two towers of one frozen network, of which the first is a constant of all gradients. */
static tw_value *feature_term(tw_graph *g, const tw_model *classifier, tw_value *x, tw_value *y)
{
    tw_net_maps of_x, of_y;
    tw_graph_scope scope = {.prefix = TW_NAME_OBJECTIVE "features.", .frozen = true};
    tw_graph_push_scope(g, &scope);
    tw_model_build_maps(&of_x, g, classifier, x);
    tw_graph_pop_scope(g);
    scope.again = true;
    tw_graph_push_scope(g, &scope);
    tw_model_build_maps(&of_y, g, classifier, y);
    tw_graph_pop_scope(g);
    return tw_feature_distance(g, &of_x, &of_y);
}

tw_value *tw_reconstruction(tw_graph *g, const tw_reconstruction_config *c, const tw_model *m,
                            tw_value *x, tw_value *y)
{
    if (!x || !y) return NULL;
    tw_value *d = tw_sub(g, x, y), *loss = mean_distance(g, c, d);
    for (int side = 0; c->gradient > 0 && side < x->shape.rank - 2; side++) {
        if (x->shape.dims[side + 1] < 2) continue;
        tw_value *edges = mean_distance(g, c, difference(g, d, side));
        loss = tw_add(g, loss, tw_affine(g, edges, c->gradient, 0));
    }
    if (c->features.weight > 0)
        loss = tw_add(g, loss,
                      tw_affine(g, feature_term(g, m->features, x, y), c->features.weight, 0));
    return loss;
}
