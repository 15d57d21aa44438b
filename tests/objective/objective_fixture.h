/* A model and an objective from configuration text, for tests. Include after cmocka.h. */
#ifndef TWEEDIE_TEST_OBJECTIVE_FIXTURE_H
#define TWEEDIE_TEST_OBJECTIVE_FIXTURE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_fixture.h"
#include "tweedie/objective.h"

enum { N = 12, X_MAX = N * 8 * 8 * 2 };

typedef struct rig {
    tw_config *config;
    tw_model *m;
    tw_objective_config oc;
    tw_objective *objective;
    float x0[X_MAX];
    int64_t trainable;
    float *gradient;
} rig;

static inline void release(rig *r)
{
    tw_objective_destroy(&r->objective);
    tw_objective_config_free(&r->oc);
    tw_model_destroy(&r->m);
    tw_config_destroy(&r->config);
}

/* As a run makes it. @param net  in place of the configuration's, where not NULL */
static inline tw_status make_rig(rig *r, const char *text, tw_shape sample, const tw_net *net)
{
    tw_status st = TW_OK;
    const tw_objective_options options = {
        .batch = N, .global_batch = N, .precision = TW_PRECISION_F32, .gradients = true};
    memset(r, 0, sizeof *r);
    TW_TRY(tw_config_create(&r->config));
    TW_TRY(tw_config_parse(r->config, text, (int64_t)strlen(text), "test"));
    TW_TRY(tw_model_configure(&r->m, r->config));
    TW_TRY(tw_objective_bind(&r->oc, r->config));
    TW_TRY(tw_config_finish(r->config));
    if (net) r->m->net = net;
    TW_TRY(tw_model_create(r->m, sample, 1));
    TW_TRY(tw_params_use_gradient(r->m->params, NULL));
    r->trainable = r->m->params->trainable;
    r->gradient = r->m->params->gradient;
    TW_TRY(tw_objective_create(&r->objective, r->m, &r->oc, &options));
    fill_normal(r->x0, 0, N * r->m->dims);
done:
    if (st != TW_OK) release(r);
    return st;
}

/* Away from where parameters begin: last layers begin at zero. */
static inline void move_parameters(rig *r)
{
    float *move = malloc((size_t)r->trainable * sizeof *move);
    fill_normal(move, 1, r->trainable);
    for (int64_t i = 0; i < r->trainable; i++) r->m->params->value[i] += 0.1f * move[i];
    free(move);
}

static inline double run_step(rig *r, int64_t k)
{
    const tw_objective_step step = {.seed = 5, .step = k, .count = N, .weight = 1.0 / N};
    tw_objective_refresh(r->objective);
    return tw_objective_run(r->objective, &step, r->x0);
}

/* Levels of an image, as a dataset of bytes gives them; with amplitude 100 the lowest and highest
 * are among them. */
static inline void make_levels(rig *r, double amplitude)
{
    for (int64_t i = 0; i < N * r->m->dims; i++)
        r->x0[i] =
            (float)fmin(255, fmax(0, round(127.5 + amplitude * (double)r->x0[i]))) / 127.5f - 1.0f;
}

#endif
