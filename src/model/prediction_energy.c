/* An energy: the network gives one number E(x, t) for each sample (the sum of its outputs), and the
 * score is −∇x E by the symbolic gradient, so it is a gradient field by construction. Training
 * differentiates it a second time: the network's operations must have second derivatives. */
#include "tweedie/prediction.h"

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config;
    *a = 0;
    *b = -1 / tw_process_sigma(p, t);
}

static tw_value *build(tw_graph *g, const void *config, tw_value *x, tw_value *net,
                       tw_value **energy_out)
{
    tw_value *gx = NULL;
    (void)config;
    if (!net || !x) return NULL;
    tw_graph_gradient(g, net, NULL, &x, 1, &gx); /* of the sum over the batch: samples are apart */
    if (!gx) return tw_graph_fail(g, TW_ECONFIG, "an energy that does not depend on the sample");
    tw_shape each = TW_SHAPE(net->shape.dims[0]);
    tw_value *flat = tw_reshape(
        g, net, TW_SHAPE(net->shape.dims[0], tw_shape_count(net->shape) / net->shape.dims[0]));
    *energy_out = tw_reshape(g, tw_sum_to(g, flat, TW_SHAPE(each.dims[0], 1)), each);
    return tw_affine(g, tw_cast(g, gx, TW_F32), -1, 0);
}

const tw_prediction tw_prediction_energy = {
    .kind = {"energy", "an energy, whose negative gradient is the score"},
    .target = target,
    .outputs = 1,
    .build = build,
};
