/* The layers that networks share, and the names that published implementations give. */
#include "tweedie/net.h"

#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"

tw_shape tw_net_padded(const tw_net *net, const void *config, tw_net_padding pad, tw_shape sample)
{
    const int64_t multiple = net->multiple ? net->multiple(config) : 1;
    for (int d = 0; pad != TW_NET_PAD_NO && d < sample.rank - 1; d++)
        sample.dims[d] = (sample.dims[d] + multiple - 1) / multiple * multiple;
    return sample;
}

tw_status tw_net_check(const tw_net *net, const void *config, tw_net_padding pad, tw_shape sample)
{
    return net->check(config, tw_net_padded(net, config, pad, sample));
}

tw_value *tw_net_build(const tw_net *net, const void *config, tw_net_padding pad, tw_graph *g,
                       const tw_net_inputs *in)
{
    int64_t before[3] = {0}, after[3] = {0};
    tw_net_inputs padded = *in;
    padded.sample = tw_net_padded(net, config, pad, in->sample);
    if (tw_shape_equal(padded.sample, in->sample)) return net->build(g, config, in);
    for (int d = 0; d < in->sample.rank - 1; d++) {
        const int64_t more = padded.sample.dims[d] - in->sample.dims[d];
        before[d] = more / 2;
        after[d] = more - before[d];
    }
    padded.x =
        tw_pad(g, in->x, before, after, pad == TW_NET_PAD_ZERO ? TW_PAD_ZERO : TW_PAD_REFLECT);
    tw_value *y = net->build(g, config, &padded);
    return net->logits ? y : tw_crop(g, y, before, after);
}

void tw_net_features(tw_graph *g, const tw_net_inputs *in, tw_value *x)
{
    if (in->features) *in->features = tw_cast(g, x, TW_F32);
}

void tw_net_map(const tw_net_inputs *in, tw_value *h)
{
    if (in->maps && in->maps->count < TW_NET_MAPS_MAX) in->maps->map[in->maps->count++] = h;
}

void tw_publish_entry(tw_reference_names *p, tw_graph *g, const tw_published *entry)
{
    if (!p || tw_graph_status(g) != TW_OK) return;
    if (p->count == p->capacity) {
        tw_published *more = NULL;
        const int capacity = p->capacity ? 2 * p->capacity : 128;
        if (tw_alloc(&more, capacity, sizeof *more, "published parameter names") != TW_OK) {
            tw_graph_fail(g, TW_ENOMEM, "%s", tw_error_message());
            return;
        }
        if (p->count) memcpy(more, p->items, (size_t)p->count * sizeof *more);
        tw_free(&p->items);
        p->items = more;
        p->capacity = capacity;
    }
    p->items[p->count++] = *entry;
}

void tw_publish(tw_reference_names *p, tw_graph *g, const char *name, const char *param,
                tw_shape shape, int64_t first, bool transposed)
{
    tw_published e = {.shape = shape, .first = first, .transposed = transposed};
    snprintf(e.name, sizeof e.name, "%s", name);
    snprintf(e.param, sizeof e.param, "%s", param);
    tw_publish_entry(p, g, &e);
}

int64_t tw_published_index(const tw_published *e, int64_t i)
{
    const int64_t count = tw_shape_count(e->shape), rows = e->shape.rank ? e->shape.dims[0] : 1;
    if (e->transposed) return e->first * rows + i % e->shape.dims[1] * rows + i / e->shape.dims[1];
    const int64_t row = count / rows;
    int64_t r = i / row;
    if (e->parts > 1) {
        const int64_t group = e->parts * e->block, outer = r / group;
        r = (r / e->block % e->parts * (rows / group) + outer) * e->block + r % e->block;
    }
    return (e->first + r) * row + i % row;
}

void tw_reference_names_free(tw_reference_names *p)
{
    tw_free(&p->items);
    *p = (tw_reference_names){0};
}

/* A parameter named PATH.LEAF. */
static tw_value *param(tw_graph *g, const char *path, const char *leaf, tw_shape shape,
                       tw_init init)
{
    char name[TW_NAME_MAX + 16];
    snprintf(name, sizeof name, "%s.%s", path, leaf);
    return tw_param(g, name, shape, init);
}

tw_value *tw_layer_linear(tw_graph *g, const char *path, tw_value *x, int64_t out, tw_init weight,
                          tw_init bias)
{
    if (!x) return NULL;
    tw_value *w = param(g, path, "weight", TW_SHAPE(out, tw_shape_channels(x->shape)), weight);
    return tw_linear(g, x, w, param(g, path, "bias", TW_SHAPE(out), bias));
}

tw_shape tw_layer_kernel(const tw_value *x, int64_t out, int64_t extent)
{
    tw_shape s = {.rank = x->shape.rank, .dims = {out, tw_shape_channels(x->shape)}};
    for (int d = 2; d < s.rank; d++) s.dims[d] = extent;
    return s;
}

tw_value *tw_layer_conv(tw_graph *g, const char *path, tw_value *x, int64_t out, int64_t kernel,
                        tw_init weight)
{
    if (!x) return NULL;
    const tw_conv_geometry same = tw_conv_square(1, (kernel - 1) / 2, kernel / 2);
    tw_value *w = param(g, path, "weight", tw_layer_kernel(x, out, kernel), weight);
    return tw_conv(g, x, w, param(g, path, "bias", TW_SHAPE(out), tw_init_zeros), &same);
}

tw_value *tw_layer_class(tw_graph *g, const char *path, const tw_net_inputs *in, int64_t width)
{
    const tw_init normal = {.kind = TW_INIT_NORMAL, .std = 1};
    return tw_embed_table(g, param(g, path, "weight", TW_SHAPE(in->classes, width), normal),
                          in->label);
}

tw_value *tw_layer_group_norm(tw_graph *g, const char *path, tw_value *x, int64_t groups,
                              double eps)
{
    if (!x) return NULL;
    const tw_shape c = TW_SHAPE(tw_shape_channels(x->shape));
    tw_value *gamma = param(g, path, "weight", c, tw_init_ones);
    return tw_group_norm(g, x, gamma, param(g, path, "bias", c, tw_init_zeros), groups, eps);
}
