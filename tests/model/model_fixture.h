/* Small models from configuration text, for tests of models, objectives and training. Include after
 * cmocka.h. */
#ifndef TWEEDIE_TEST_MODEL_FIXTURE_H
#define TWEEDIE_TEST_MODEL_FIXTURE_H

#include <string.h>

#include "tweedie/model.h"
#include "tweedie/rng.h"

#define MLP "[network]\nkind = mlp\nwidth = 24\ndepth = 2\ntime_dim = 16\n"
#define UNET                                                                                       \
    "[network]\nkind = unet\nbase = 8\ngroups = 4\nmult = 1, 2\nblocks = 1\nattention = 4\n"

static inline void ok(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

/* Standard normal numbers, a stream for each `position`. */
static inline void fill_normal(float *out, int64_t position, int64_t n)
{
    const tw_rng_stream s = {.seed = 7, .purpose = TW_RNG_TEST, .position = position};
    tw_rng_normal(out, &s, 0, n);
}

/* A model of the text, which must outlive the configuration; sample is [H, W, C] or [D]. Its
 * parameters are moved away from where they begin, since last layers begin at zero. */
static inline tw_model *make_model(tw_config **config, const char *text, tw_shape sample)
{
    tw_model *m = NULL;
    float move[4096];
    ok(tw_config_create(config));
    ok(tw_config_parse(*config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&m, *config));
    ok(tw_config_finish(*config));
    ok(tw_model_create(m, sample, 1));
    for (int i = 0; i < m->params->view_count; i++) {
        const tw_param_view *v = &m->params->views[i];
        for (int64_t k = 0; k < v->count; k += 4096) {
            const int64_t n = v->count - k < 4096 ? v->count - k : 4096;
            fill_normal(move, 1000 + i * 1000 + k / 4096, n);
            for (int64_t j = 0; j < n; j++) m->params->value[v->offset + k + j] += 0.1f * move[j];
        }
    }
    return m;
}

static inline void destroy_model(tw_model **m, tw_config **config)
{
    tw_model_destroy(m);
    tw_config_destroy(config);
}

#endif
