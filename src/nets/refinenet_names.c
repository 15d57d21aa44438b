/* The published names of the RefineNets' parameters, in the order in which the authors' modules
 * register them, which is not that of their use: the ends come first, a block's first normalisation
 * last. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nets/refinenet.h"

typedef struct lister {
    tw_reference_names *names;
    tw_graph *g;
    const refinenet_plan *plan;
    int64_t base, levels;
} lister;

void refinenet_join(refinenet_name out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, sizeof(refinenet_name), format, args);
    va_end(args);
}

/* `wrapper` is what the published module adds to the path of a convolution that is followed by a
 * mean. */
static void list_conv(const lister *l, const char *path, const char *wrapper, int64_t in,
                      int64_t out, int64_t kernel, bool bias)
{
    refinenet_name published, ours;
    refinenet_join(published, "%s%s.weight", path, wrapper);
    refinenet_join(ours, "%s.weight", path);
    tw_publish(l->names, l->g, published, ours, TW_SHAPE(out, in, kernel, kernel), 0, false);
    refinenet_join(published, "%s%s.bias", path, wrapper);
    refinenet_join(ours, "%s.bias", path);
    if (bias) tw_publish(l->names, l->g, published, ours, TW_SHAPE(out), 0, false);
}

static void list_norm(const lister *l, const char *path, int64_t c)
{
    static const struct {
        const char *leaf;
        int64_t part; /* of ours: γ, α, β */
    } parts[] = {{"alpha", 1}, {"gamma", 0}, {"beta", 2}};
    refinenet_name published, ours;
    refinenet_join(ours, "%s.scales", path);
    refinenet_join(published, "%s.embed.weight", path);
    if (l->plan->conditional)
        tw_publish(l->names, l->g, published, ours, TW_SHAPE(l->levels, 3 * c), 0, false);
    for (int k = 0; !l->plan->conditional && k < 3; k++) {
        refinenet_join(published, "%s.%s", path, parts[k].leaf);
        tw_publish(l->names, l->g, published, ours, TW_SHAPE(c), parts[k].part * c, false);
    }
}

static void list_block(const lister *l, const refinenet_stage *s, int k, int64_t in, int64_t out)
{
    const int64_t middle = refinenet_middle(s, k, in, out);
    const bool resample = k == 0 && s->resample, halve = k == 0 && s->halve;
    const char *wrapper = halve ? ".conv" : "";
    refinenet_name p;
    refinenet_join(p, "%s.%d.conv1", s->down, k);
    list_conv(l, p, "", in, middle, 3, true);
    refinenet_join(p, "%s.%d.normalize2", s->down, k);
    list_norm(l, p, middle);
    refinenet_join(p, "%s.%d.conv2", s->down, k);
    list_conv(l, p, wrapper, middle, out, 3, true);
    refinenet_join(p, "%s.%d.shortcut", s->down, k);
    if (resample) list_conv(l, p, wrapper, in, out, halve ? 1 : 3, true);
    refinenet_join(p, "%s.%d.normalize1", s->down, k);
    list_norm(l, p, in);
}

static void list_units(const lister *l, const char *path, int units, int64_t c)
{
    refinenet_name p;
    for (int i = 1; i <= units; i++)
        for (int j = 1; j <= REFINENET_STEPS; j++) {
            refinenet_join(p, "%s.%d_%d_norm", path, i, j);
            if (l->plan->conditional) list_norm(l, p, c);
            refinenet_join(p, "%s.%d_%d_conv", path, i, j);
            list_conv(l, p, "", c, c, 3, false);
        }
}

/* A list of modules: `count` convolutions, then as many normalisations. */
static void list_modules(const lister *l, const char *path, int count, const int64_t *in,
                         int64_t out, bool bias)
{
    refinenet_name p;
    for (int i = 0; i < count; i++) {
        refinenet_join(p, "%s.convs.%d", path, i);
        list_conv(l, p, "", in[i], out, 3, bias);
    }
    for (int i = 0; l->plan->conditional && i < count; i++) {
        refinenet_join(p, "%s.norms.%d", path, i);
        list_norm(l, p, in[i]);
    }
}

static void list_refine(const lister *l, int stage)
{
    const refinenet_stage *s = &l->plan->stages[stage];
    const bool start = stage == l->plan->count - 1;
    const int64_t out = l->base * s->refined,
                  in[2] = {l->base * s->channels, start ? 0 : l->base * s[1].refined},
                  pooled[REFINENET_POOLS] = {out, out};
    refinenet_name p;
    for (int i = 0; i < (start ? 1 : 2); i++) {
        refinenet_join(p, "%s.adapt_convs.%d", s->up, i);
        list_units(l, p, 2, in[i]);
    }
    refinenet_join(p, "%s.output_convs", s->up);
    list_units(l, p, refinenet_units(stage), out);
    refinenet_join(p, "%s.msf", s->up);
    if (!start) list_modules(l, p, 2, in, out, true);
    refinenet_join(p, "%s.crp", s->up);
    list_modules(l, p, REFINENET_POOLS, pooled, out, false);
}

void refinenet_publish(tw_reference_names *names, tw_graph *g, const refinenet_plan *plan,
                       int64_t base, int64_t levels, int64_t in, int64_t out)
{
    const lister l = {.names = names, .g = g, .plan = plan, .base = base, .levels = levels};
    int64_t width = base;
    if (!names) return;
    list_conv(&l, "begin_conv", "", in, base, 3, true);
    list_norm(&l, "normalizer", base);
    list_conv(&l, "end_conv", "", base, out, 3, true);
    for (int k = 0; k < plan->count; k++) {
        const int64_t next = base * plan->stages[k].channels;
        list_block(&l, &plan->stages[k], 0, width, next);
        list_block(&l, &plan->stages[k], 1, next, next);
        width = next;
    }
    for (int i = 0; i < plan->count; i++)
        for (int k = 0; k < plan->count; k++)
            if (strcmp(plan->stages[k].up, plan->order[i]) == 0) list_refine(&l, k);
}
