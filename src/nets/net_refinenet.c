/* The dilated RefineNets that score matching with many noise levels began with: NCSN (Song and
 * Ermon 2019) and NCSNv2 (Song and Ermon 2020) with its Deeper and Deepest forms.
 *
 * Way down: stages of two residual blocks y = conv2(ELU(N2(conv1(ELU(N1(x)))))) + shortcut(x). The
 * first block of a stage halves the extent by a mean over 2 x 2, or, in the last stages, dilates
 * its convolutions instead. Way up (RefineNet, Lin et al. 2017): from the last stage to the first,
 * the stage's output and what the deeper block gave each pass through residual units (RCU), are
 * convolved, brought to the larger extent by bilinear interpolation and added (MSF), pass a chain
 * of 5 x 5 pooling and convolution (CRP), and residual units again.
 *
 * N is InstanceNorm++. In NCSN its scales depend on the noise level, it also precedes the
 * convolutions of the way up, CRP averages, and the output is the score. In NCSNv2 the scales are
 * the same for all levels, RCU, MSF and CRP have no normalisation, CRP takes the largest, and the
 * output is divided by σ. */
#include "nets/refinenet.h"

enum { POOL = 5 };

typedef enum variant { NCSN, NCSNV2, NCSNV2_DEEPER, NCSNV2_DEEPEST } variant;

typedef struct refinenet_config {
    int64_t base;
    int variant;
    int input; /* 1: 0 to 1 */
    double output_scale;
} refinenet_config;

static const tw_config_field fields[] = {
    {NULL, "variant", TW_CONFIG_CHOICE, offsetof(refinenet_config, variant), "ncsnv2",
     .choices = "ncsn|ncsnv2|ncsnv2_deeper|ncsnv2_deepest", .fixed = true,
     .help = "NCSN, or NCSNv2 as published for 32 and 64, 128, 256 pixels"},
    {NULL, "base", TW_CONFIG_INT64, offsetof(refinenet_config, base), "128", 2, 4096, .fixed = true,
     .help = "channels of the first stage"},
    {NULL, "input", TW_CONFIG_CHOICE, offsetof(refinenet_config, input), "model",
     .choices = "model|unit", .fixed = true,
     .help = "range of the samples: model units (-1 to 1), or 0 to 1 as the papers have it, which "
             "the network maps to 2x - 1"},
    {NULL, "output_scale", TW_CONFIG_DOUBLE, offsetof(refinenet_config, output_scale), "1", -1e6,
     1e6, .fixed = true,
     .help = "factor of the output: 0.5 makes a score for samples in 0 to 1 one in model units"},
};

static const double eps = 1e-5;

static const refinenet_plan plans[] = {
    [NCSN] = {true,
              4,
              {{"res1", "refine4", 1, 1, false, 0, false},
               {"res2", "refine3", 2, 1, true, 0, true},
               {"res3", "refine2", 2, 2, false, 2, true},
               {"res4", "refine1", 2, 2, false, 4, true}},
              {"refine1", "refine2", "refine3", "refine4"}},
    [NCSNV2] = {false,
                4,
                {{"res1", "refine4", 1, 1, false, 0, false},
                 {"res2", "refine3", 2, 1, true, 0, true},
                 {"res3", "refine2", 2, 2, false, 2, true},
                 {"res4", "refine1", 2, 2, false, 4, true}},
                {"refine1", "refine2", "refine3", "refine4"}},
    [NCSNV2_DEEPER] = {false,
                       5,
                       {{"res1", "refine5", 1, 1, false, 0, false},
                        {"res2", "refine4", 2, 1, true, 0, true},
                        {"res3", "refine3", 2, 2, true, 0, true},
                        {"res4", "refine2", 4, 2, false, 2, true},
                        {"res5", "refine1", 4, 4, false, 4, true}},
                       {"refine1", "refine2", "refine3", "refine4", "refine5"}},
    [NCSNV2_DEEPEST] = {false,
                        6,
                        {{"res1", "refine5", 1, 1, false, 0, false},
                         {"res2", "refine4", 2, 1, true, 0, true},
                         {"res3", "refine3", 2, 2, true, 0, true},
                         {"res31", "refine31", 2, 2, true, 0, true},
                         {"res4", "refine2", 4, 2, false, 2, true},
                         {"res5", "refine1", 4, 4, false, 4, true}},
                        {"refine1", "refine2", "refine3", "refine31", "refine4", "refine5"}},
};

/* What the layers of one network share. */
typedef struct builder {
    tw_graph *g;
    const refinenet_plan *plan;
    int64_t base, levels;
    tw_value *index; /* of the noise level */
} builder;

static int64_t multiple(const void *config)
{
    const refinenet_config *c = config;
    int64_t factor = 1;
    for (int k = 0; k < plans[c->variant].count; k++)
        if (plans[c->variant].stages[k].halve) factor *= 2;
    return factor;
}

static tw_status check(const void *config, tw_shape sample)
{
    const int64_t factor = multiple(config);
    if (sample.rank != 3)
        return tw_error_set(TW_ECONFIG,
                            "network.kind: refinenet wants images [height, width, channels]");
    if (sample.dims[0] % factor || sample.dims[1] % factor)
        return tw_error_set(TW_ECONFIG,
                            "network.variant: the image's height and width must be multiples of "
                            "%lld, and it is %lld x %lld (network.pad pads it)",
                            (long long)factor, (long long)sample.dims[0],
                            (long long)sample.dims[1]);
    return TW_OK;
}

/* ---- layers ---- */

static int64_t channels(const tw_value *x)
{
    return x ? tw_shape_channels(x->shape) : 1;
}

static tw_value *elu(const builder *b, tw_value *x)
{
    return tw_activation(b->g, x, TW_ELU);
}

/* As PyTorch begins: weights and biases uniform within 1 / √fan_in. */
static tw_value *conv(const builder *b, const char *path, tw_value *x, int64_t out, int64_t kernel,
                      int64_t dilation, bool bias)
{
    const int64_t in = channels(x), pad = dilation * (kernel / 2);
    const tw_init init = tw_init_fan_in(in * kernel * kernel);
    tw_conv_geometry geometry = tw_conv_square(1, pad, pad);
    refinenet_name p;
    for (int d = 0; d < 3; d++) geometry.dilation[d] = dilation;
    refinenet_join(p, "%s.weight", path);
    tw_value *w = tw_param(b->g, p, TW_SHAPE(out, in, kernel, kernel), init);
    refinenet_join(p, "%s.bias", path);
    return tw_conv(b->g, x, w, bias ? tw_param(b->g, p, TW_SHAPE(out), init) : NULL, &geometry);
}

/* InstanceNorm++: γ and α from N(1, 0.02²), β zero, of each level or of all. */
static tw_value *norm(const builder *b, const char *path, tw_value *x, bool activate)
{
    const int64_t c = channels(x);
    const tw_init init = {
        .kind = TW_INIT_NORMAL, .mean = 1, .std = 0.02, .period = 3 * c, .live = 2 * c};
    refinenet_name p;
    refinenet_join(p, "%s.scales", path);
    tw_value *scales =
        b->plan->conditional
            ? tw_embed_table(b->g, tw_param(b->g, p, TW_SHAPE(b->levels, 3 * c), init), b->index)
            : tw_param(b->g, p, TW_SHAPE(3 * c), init);
    return tw_instance_norm_plus(b->g, x, scales, eps, activate);
}

/* ---- way down ---- */

/* The mean over 2 x 2 and a 1 x 1 convolution change places in the shortcut: a quarter of the work
 * for the same numbers. */
static tw_value *shortcut(const builder *b, const refinenet_stage *s, const char *path, tw_value *x,
                          int64_t out)
{
    refinenet_name p;
    refinenet_join(p, "%s.shortcut", path);
    if (s->halve) return conv(b, p, tw_average_pool(b->g, x, 2), out, 1, 1, true);
    return conv(b, p, x, out, 3, s->dilation, true);
}

static tw_value *residual_block(const builder *b, const refinenet_stage *s, int k, tw_value *x)
{
    const int64_t out = b->base * s->channels, dilation = s->dilation ? s->dilation : 1;
    const bool resample = k == 0 && s->resample, halve = k == 0 && s->halve;
    const int64_t middle = refinenet_middle(s, k, channels(x), out);
    refinenet_name path, p[4];
    static const char *const leaf[4] = {"normalize1", "conv1", "normalize2", "conv2"};
    refinenet_join(path, "%s.%d", s->down, k);
    for (int i = 0; i < 4; i++) refinenet_join(p[i], "%s.%s", path, leaf[i]);
    tw_value *h = conv(b, p[1], norm(b, p[0], x, true), middle, 3, dilation, true);
    h = conv(b, p[3], norm(b, p[2], h, true), out, 3, dilation, true);
    if (halve) h = tw_average_pool(b->g, h, 2);
    return tw_add(b->g, h, resample ? shortcut(b, s, path, x, out) : x);
}

/* ---- way up ---- */

/* RCU: `units` times x + conv(ELU(conv(ELU(x)))), with normalisation where there is one. */
static tw_value *residual_units(const builder *b, const char *path, tw_value *x, int units)
{
    refinenet_name p;
    for (int i = 1; i <= units; i++) {
        tw_value *h = x;
        for (int j = 1; j <= REFINENET_STEPS; j++) {
            refinenet_join(p, "%s.%d_%d_norm", path, i, j);
            h = b->plan->conditional ? norm(b, p, h, true) : elu(b, h);
            refinenet_join(p, "%s.%d_%d_conv", path, i, j);
            h = conv(b, p, h, channels(h), 3, 1, false);
        }
        x = tw_add(b->g, h, x);
    }
    return x;
}

/* MSF: input i as `out` channels at the extent of the first. */
static tw_value *fusion_input(const builder *b, const char *path, int i, tw_value *x, int64_t out,
                              const tw_value *first)
{
    refinenet_name p;
    refinenet_join(p, "%s.msf.norms.%d", path, i);
    if (b->plan->conditional) x = norm(b, p, x, false);
    refinenet_join(p, "%s.msf.convs.%d", path, i);
    x = conv(b, p, x, out, 3, 1, true);
    return first ? tw_resize_linear(b->g, x, first->shape.dims + 1) : x;
}

/* CRP: what each pooling and convolution gives is added and goes on. */
static tw_value *pooling_chain(const builder *b, const char *path, tw_value *x)
{
    refinenet_name p;
    x = elu(b, x);
    tw_value *h = x;
    for (int i = 0; i < REFINENET_POOLS; i++) {
        refinenet_join(p, "%s.crp.norms.%d", path, i);
        h = b->plan->conditional ? tw_average_pool_same(b->g, norm(b, p, h, false), POOL)
                                 : tw_max_pool_same(b->g, h, POOL);
        refinenet_join(p, "%s.crp.convs.%d", path, i);
        h = conv(b, p, h, channels(h), 3, 1, false);
        x = tw_add(b->g, h, x);
    }
    return x;
}

/* `deeper` is NULL where nothing lies below. */
static tw_value *refine_block(const builder *b, int stage, tw_value *x, tw_value *deeper)
{
    const refinenet_stage *s = &b->plan->stages[stage];
    const int64_t out = b->base * s->refined;
    refinenet_name p;
    refinenet_join(p, "%s.adapt_convs.0", s->up);
    tw_value *h = residual_units(b, p, x, 2);
    if (stage < b->plan->count - 1) {
        refinenet_join(p, "%s.adapt_convs.1", s->up);
        deeper = residual_units(b, p, deeper, 2);
        h = fusion_input(b, s->up, 0, h, out, NULL);
        h = tw_add(b->g, h, fusion_input(b, s->up, 1, deeper, out, h));
    }
    h = pooling_chain(b, s->up, h);
    refinenet_join(p, "%s.output_convs", s->up);
    return residual_units(b, p, h, refinenet_units(stage));
}

/* ---- the network ---- */

static tw_value *by_sigma(tw_graph *g, tw_value *y, tw_value *log_sigma)
{
    if (!y || !log_sigma) return NULL;
    tw_value *factor = tw_exp(g, tw_affine(g, log_sigma, -1, 0));
    return tw_mul(g, y, tw_reshape(g, factor, TW_SHAPE(y->shape.dims[0], 1, 1, 1)));
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const refinenet_config *c = config;
    const refinenet_plan *plan = &plans[c->variant];
    const builder b = {
        .g = g, .plan = plan, .base = c->base, .levels = in->levels, .index = in->index};
    tw_value *layers[REFINENET_STAGES_MAX], *h = in->x;
    if (plan->conditional && in->levels < 1)
        return tw_graph_fail(g, TW_ECONFIG,
                             "network.variant: ncsn has scales for each noise level, and the "
                             "process is continuous; take process.kind = ladder, or ncsnv2");
    refinenet_publish(in->reference_names, g, plan, c->base, in->levels,
                      h ? tw_shape_channels(h->shape) : 0, in->outputs);
    if (c->input) h = tw_affine(g, h, 2, -1);
    h = conv(&b, "begin_conv", tw_cast(g, h, TW_ACT), c->base, 3, 1, true);
    for (int k = 0; k < plan->count; k++) {
        for (int i = 0; i < 2; i++) h = residual_block(&b, &plan->stages[k], i, h);
        layers[k] = h;
    }
    for (int k = plan->count - 1; k >= 0; k--)
        h = refine_block(&b, k, layers[k], k == plan->count - 1 ? NULL : h);
    h = conv(&b, "end_conv", norm(&b, "normalizer", h, true), in->outputs, 3, 1, true);
    h = tw_cast(g, h, TW_F32);
    if (!plan->conditional) h = by_sigma(g, h, in->log_sigma);
    return c->output_scale == 1 ? h : tw_affine(g, h, c->output_scale, 0);
}

const tw_net tw_net_refinenet = {
    .kind = {"refinenet", "the RefineNets of NCSN and NCSNv2", fields,
             sizeof fields / sizeof *fields, sizeof(refinenet_config)},
    .check = check,
    .multiple = multiple,
    .build = build,
};
