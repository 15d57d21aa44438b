/* RePaint (Lugmayr et al. 2022, algorithm 1): replacement, and each `jump` steps are made
 * `resample` times, noise bringing x back to where they began, so that what is measured and the
 * rest come to agree. */
#include <stddef.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_repaint;

typedef struct repaint_config {
    int64_t jump, resample;
} repaint_config;

static const tw_config_field fields[] = {
    {NULL, "jump", TW_CONFIG_INT64, offsetof(repaint_config, jump), "10", 1, 100000,
     .help = "steps that are made again"},
    {NULL, "resample", TW_CONFIG_INT64, offsetof(repaint_config, resample), "10", 1, 100000,
     .help = "how often they are made"},
};

static tw_status after(const void *config, tw_posterior *p, tw_batch *b, const tw_point *at,
                       int64_t name)
{
    (void)config;
    posterior_replace(p, b, at, name);
    return TW_OK;
}

/* x of point k from that of a later point. */
static void go_back(const tw_posterior *p, const tw_sampler *s, tw_batch *b, int64_t later,
                    int64_t k, int64_t name)
{
    const tw_point *from = &s->grid.point[later], *to = &s->grid.point[k];
    const tw_bridge q = tw_bridge_between(from->alpha, from->sigma, to->alpha, to->sigma);
    double *z = p->work[0];
    for (int64_t i = 0; i < b->n; i++) {
        posterior_noise(p, b->index[i], name, z);
        for (int64_t j = 0; j < p->dims; j++) {
            float *x = b->x + i * p->dims + j;
            *x = (float)(q.alpha * (double)*x + q.sigma * z[j]);
        }
    }
}

/* Each pass has random numbers of its own: the names of its points are moved on. */
static tw_status segment(tw_sampler *s, tw_batch *b, int64_t k, int64_t end, int64_t pass)
{
    tw_status st = TW_OK;
    const int64_t off = pass << 24;
    for (int64_t j = k; j < end && st == TW_OK; j++) {
        s->grid.point[j].name += off;
        st = tw_sampler_predict(s, b, j);
        s->grid.point[j].name -= off;
    }
    return st;
}

static tw_status run(const void *config, tw_posterior *p, tw_sampler *s, tw_batch *b)
{
    tw_status st = TW_OK;
    const repaint_config *c = config;
    for (int64_t k = 0; k < s->grid.steps; k += c->jump) {
        const int64_t end = k + c->jump < s->grid.steps ? k + c->jump : s->grid.steps;
        for (int64_t pass = 0; pass < c->resample; pass++) {
            if (pass > 0)
                go_back(p, s, b, end, k,
                        ((int64_t)1 << 43) + s->grid.point[k].name * c->resample + pass);
            TW_TRY(segment(s, b, k, end, pass));
        }
        TW_TRY(tw_sampler_step_done(s, b, end));
    }
done:
    return st;
}

const tw_posterior_method tw_posterior_repaint = {
    .kind = {"repaint", "replacement with resampling (RePaint)", fields,
             sizeof fields / sizeof *fields, sizeof(repaint_config)},
    .basis = true,
    .after = after,
    .run = run,
};
