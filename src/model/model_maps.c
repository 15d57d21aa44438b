/* A classifier as a distance between samples: its feature maps, of samples that a graph computes.
 */
#include <math.h>
#include <string.h>

#include "tweedie/model.h"

/* What it sees of samples of that shape. */
static tw_shape seen(const tw_model *c, tw_shape sample)
{
    return c->seen.count ? tw_shape_make(c->seen.values, (int)c->seen.count) : sample;
}

tw_status tw_model_check_maps(const tw_model *c, tw_shape sample)
{
    tw_status st = TW_OK;
    char want[64], met[64];
    const tw_shape sees = seen(c, sample);
    TW_CHECK(c->net->logits, TW_ECONFIG,
             "network.kind = %s is no classifier, and has no feature maps; a run of objective.kind "
             "= classify was expected",
             c->net->kind.name);
    TW_CHECK(tw_shape_count(sees) == tw_shape_count(sample), TW_ECONFIG,
             "its network takes samples of %s, and these are %s", tw_shape_text(sees, want),
             tw_shape_text(sample, met));
    TW_TRY(tw_net_check(c->net, c->network.config, (tw_net_padding)c->pad, sees));
done:
    return st;
}

/* The number v for each sample: 0 x + v, of the graph's own x where there is one, which no
 * parameter moves: embeddings of times have no derivatives. */
static tw_value *each(tw_graph *g, tw_value *x, double v)
{
    if (tw_graph_input(g, "x")) x = tw_graph_input(g, "x");
    const int64_t n = x->shape.dims[0], numbers = tw_shape_count(x->shape) / n;
    x = tw_slice(g, tw_reshape(g, x, TW_SHAPE(n, numbers)), 0, 1);
    return tw_reshape(g, tw_affine(g, x, 0, v), TW_SHAPE(n));
}

static tw_shape batch_of(tw_shape sample, int64_t n)
{
    tw_shape s = {.rank = sample.rank + 1, .dims = {n}};
    memcpy(s.dims + 1, sample.dims, (size_t)sample.rank * sizeof *s.dims);
    return s;
}

/* As the network is given the time of least noise. */
static double told(const tw_model *c, double t)
{
    const tw_prediction *p = c->prediction;
    return p->condition ? p->condition(c->predicted.config, c->process, t)
                        : tw_process_condition(c->process, t);
}

void tw_model_build_maps(tw_net_maps *out, tw_graph *g, const tw_model *c, tw_value *x)
{
    *out = (tw_net_maps){0};
    if (!x) return;
    tw_shape sample = {.rank = x->shape.rank - 1};
    memcpy(sample.dims, x->shape.dims + 1, (size_t)sample.rank * sizeof *sample.dims);
    sample = seen(c, sample);
    if (tw_process_prepare(c->process) != TW_OK) {
        tw_graph_fail(g, TW_ECONFIG, "%s", tw_error_message());
        return;
    }
    const double start = c->process->steps ? 0 : c->process->start;
    const double scale = tw_process_alpha(c->process, start) * tw_model_view_at(c, start).input;
    x = tw_reshape(g, tw_affine(g, x, scale, 0), batch_of(sample, x->shape.dims[0]));
    if (!x) return;
    const tw_net_inputs in = {.x = x,
                              .t = each(g, x, told(c, start)),
                              .log_sigma = each(g, x, log(tw_process_sigma(c->process, start))),
                              .levels = c->process->steps,
                              .sample = sample,
                              .outputs = c->classes,
                              .maps = out};
    tw_graph_set_padding(g, c->padding ? TW_PAD_CIRCULAR : TW_PAD_ZERO);
    tw_net_build(c->net, c->network.config, (tw_net_padding)c->pad, g, &in);
    tw_graph_set_padding(g, TW_PAD_ZERO);
    if (!out->count)
        tw_graph_fail(g, TW_ECONFIG, "network.kind = %s names no feature maps", c->net->kind.name);
}
