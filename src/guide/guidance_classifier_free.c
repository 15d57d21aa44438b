/* Classifier-free guidance (Ho and Salimans 2022) of a network that was trained with and without
 * labels:
 *
 *   s = s(x_t) + w (s(x_t | y) − s(x_t)),   w = guidance.scale
 *
 * so that 0 is the score of all classes, 1 the class's own, and more sharpens: p(x) p(y | x)^w. (Ho
 * and Salimans' own w is one less.) Outside of an interval of times it is s(x_t | y)
 * (Kynkäänniemi et al. 2024).
 *
 * Both are one evaluation of up to twice the points: first all as s(x_t | y), then those that need
 * it as s(x_t). Where w is 0 or 1 only the one that counts is evaluated. */
#include <stddef.h>
#include <string.h>

#include "guide/interval.h"

extern const tw_guidance tw_guidance_classifier_free;

typedef struct free_config {
    double scale;
    guide_interval interval;
} free_config;

static const tw_config_field fields[] = {
    {NULL, "scale", TW_CONFIG_DOUBLE, offsetof(free_config, scale), "2", -1e6, 1e6,
     .help = "w of s(x) + w (s(x | y) - s(x)): 0 all classes, 1 the class itself, more sharpens"},
    GUIDE_INTERVAL_FIELDS(free_config, interval),
};

/* Within an interval of times only some are evaluated twice. */
static int64_t rows(const void *config)
{
    const free_config *c = config;
    return c->scale != 0 && c->scale != 1 && guide_interval_is_all(&c->interval) ? 2 : 1;
}

static tw_status check(const void *config, const tw_guidance_use *use)
{
    tw_status st = TW_OK;
    const free_config *c = config;
    TW_TRY(guide_interval_check(&c->interval));
    TW_CHECK(use->score->condition && use->score->unlabelled, TW_ECONFIG,
             "guidance.kind: classifier_free needs a network that was trained with and without "
             "labels: network.classes = the number of classes, network.label_dropout above 0 (this "
             "one: %lld classes%s)",
             (long long)use->score->classes,
             use->score->classes ? ", network.label_dropout = 0" : "");
    TW_CHECK(!tw_labels_none(&use->labels), TW_ECONFIG,
             "guidance.kind: classifier_free needs a class to guide to; sample.class = none names "
             "none");
done:
    return st;
}

/* How much of s(x | y) − s(x) a sample at this time gets. */
static double scale_at(const free_config *c, double t)
{
    return guide_acts_at(&c->interval, t) ? c->scale : 1;
}

/* The points as they are evaluated: first p's own, told their class or none, then, again and of no
 * class, those whose scale is neither 0 nor 1. */
typedef struct doubled {
    int64_t n; /* of all */
    float *x;  /* [n][dims] */
} doubled;

static doubled double_points(const free_config *c, tw_guided *g, const tw_guided_points *p,
                             float *x)
{
    const int64_t dims = g->view.dims;
    doubled d = {.n = p->n, .x = x};
    memcpy(x, p->x, (size_t)(p->n * dims) * sizeof *x);
    for (int64_t i = 0; i < p->n; i++) {
        const double w = scale_at(c, p->t[i]);
        g->t[i] = p->t[i];
        g->index[i] = p->index[i];
        g->label[i] = w == 0 ? TW_NO_CLASS : tw_label_of(&g->use.labels, p->index[i]);
        if (w == 0 || w == 1) continue;
        memcpy(x + d.n * dims, p->x + i * dims, (size_t)dims * sizeof *x);
        g->t[d.n] = p->t[i];
        g->index[d.n] = p->index[i];
        g->label[d.n++] = TW_NO_CLASS;
    }
    return d;
}

/* out[i] = u + w (c − u), u behind the n of c where there is one. */
static void mix(const free_config *c, const tw_guided *g, const tw_guided_points *p,
                const float *both, float *out)
{
    const int64_t dims = g->view.dims;
    int64_t at = p->n;
    memcpy(out, both, (size_t)(p->n * dims) * sizeof *out);
    for (int64_t i = 0; i < p->n; i++) {
        const double w = scale_at(c, p->t[i]);
        if (w == 0 || w == 1) continue;
        const float *u = both + at++ * dims, f = (float)w;
        for (int64_t k = 0; k < dims; k++)
            out[i * dims + k] = u[k] + f * (out[i * dims + k] - u[k]);
    }
}

static tw_status eval(const void *config, tw_guided *g, const tw_guided_points *p, float *score,
                      float *variance, double *energy)
{
    tw_status st = TW_OK;
    const free_config *c = config;
    const tw_score *s = g->use.score;
    float *both = g->scratch[2], *both_variance = variance ? g->scratch[4] : NULL;
    const doubled d = double_points(c, g, p, g->scratch[0]);
    const tw_guided_points all = {.n = d.n, .x = d.x, .t = g->t, .index = g->index};
    s->condition(s->self, g->label);
    st = tw_guided_score(g, &all, both, both_variance, energy ? g->number : NULL);
    s->condition(s->self, NULL);
    TW_TRY(st);
    mix(c, g, p, both, score);
    if (variance) /* that of the class */
        memcpy(variance, both_variance, (size_t)(p->n * g->view.dims) * sizeof *variance);
    for (int64_t i = 0, at = p->n; energy && i < p->n; i++) {
        const double w = scale_at(c, p->t[i]);
        energy[i] = g->number[i];
        if (w == 0 || w == 1) continue;
        energy[i] = g->number[at] + w * (energy[i] - g->number[at]);
        at++;
    }
done:
    return st;
}

static tw_status vjp(const void *config, tw_guided *g, const tw_guided_points *p, const float *v,
                     float *score, float *out)
{
    tw_status st = TW_OK;
    const free_config *c = config;
    const tw_score *s = g->use.score;
    const int64_t dims = g->view.dims;
    float *of_score = g->scratch[2], *both_v = g->scratch[4], *both = g->scratch[6];
    const doubled d = double_points(c, g, p, g->scratch[0]);
    memcpy(both_v, v, (size_t)(p->n * dims) * sizeof *v);
    for (int64_t i = 0, at = p->n; i < p->n; i++) {
        const double w = scale_at(c, p->t[i]);
        if (w != 0 && w != 1) memcpy(both_v + at++ * dims, v + i * dims, (size_t)dims * sizeof *v);
    }
    s->condition(s->self, g->label);
    st = s->vjp(s->self, d.n, d.x, g->t, g->index, both_v, of_score, both);
    s->condition(s->self, NULL);
    TW_TRY(st);
    mix(c, g, p, both, out);
    if (score) mix(c, g, p, of_score, score);
done:
    return st;
}

const tw_guidance tw_guidance_classifier_free = {
    .kind = {"classifier_free", "towards a sample's class, by a network with and without labels",
             fields, sizeof fields / sizeof *fields, sizeof(free_config)},
    .energy = true,
    .check = check,
    .rows = rows,
    .scratch = 6,
    .vjp_scratch = 8,
    .eval = eval,
    .vjp = vjp,
};
