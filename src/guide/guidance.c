/* A score with a guidance around it: memory, calls cut into batches, and what siblings share. */
#include "tweedie/guidance.h"

#include <stddef.h>

#include "tweedie/memory.h"

/* ---- configuration ---- */

static const tw_config_field network_field = {
    NULL,
    "network",
    TW_CONFIG_PATH,
    offsetof(tw_guidance_config, network),
    "",
    .help = "the second network of a guidance that has one: a run, a checkpoint or a weights file"};

tw_status tw_guidance_bind(tw_guidance_config *out, tw_config *config, const char *section)
{
    tw_status st = TW_OK;
    const tw_choice_rule rule = {.section = section,
                                 .key = "kind",
                                 .default_name = "none",
                                 .help = "what changes the score on its way to the sampler",
                                 .kinds = tw_guidance_kinds,
                                 .shared = true};
    TW_TRY(tw_choice_bind(&out->choice, config, &rule));
    TW_TRY(tw_config_bind_in(config, section, &network_field, 1, out));
done:
    return st;
}

void tw_guidance_config_free(tw_guidance_config *config)
{
    tw_choice_free(&config->choice);
}

static const tw_guidance *kind_of(const tw_guidance_config *config)
{
    return (const tw_guidance *)config->choice.kind;
}

bool tw_guidance_is_none(const tw_guidance_config *config)
{
    return !kind_of(config) || !kind_of(config)->eval;
}

bool tw_guidance_has_network(const tw_guidance_config *config)
{
    return kind_of(config) && kind_of(config)->network;
}

int64_t tw_guidance_rows(const tw_guidance_config *config)
{
    const tw_guidance *k = kind_of(config);
    return k && k->rows ? k->rows(config->choice.config) : 1;
}

tw_status tw_guidance_check_network(const tw_guidance_config *config)
{
    tw_status st = TW_OK;
    const bool given = config->network && *config->network;
    TW_CHECK(kind_of(config)->network || !given, TW_ECONFIG,
             "guidance.network: guidance.kind = %s has no second network; it is for classifier and "
             "energy",
             config->choice.kind->name);
    TW_CHECK(!kind_of(config)->network || given, TW_ECONFIG,
             "guidance.network: guidance.kind = %s needs a second network: a run, a checkpoint or "
             "a weights file",
             config->choice.kind->name);
done:
    return st;
}

/* ---- what siblings share ---- */

tw_status tw_guided_score(const tw_guided *g, const tw_guided_points *p, float *score,
                          float *variance, double *energy)
{
    const tw_score *s = g->use.score;
    if (variance) return s->eval_variance(s->self, p->n, p->x, p->t, p->index, score, variance);
    if (energy) return s->eval_energy(s->self, p->n, p->x, p->t, p->index, score, energy);
    return s->eval(s->self, p->n, p->x, p->t, p->index, score);
}

/* out = (of + σ² what) / α, row by row; out may be what. */
static void tweedie_formula(const tw_guided *g, const tw_guided_points *p, const float *of,
                            const float *what, float *out)
{
    const int64_t dims = g->view.dims;
    for (int64_t i = 0; i < p->n; i++) {
        const double alpha = tw_process_alpha(g->use.process, p->t[i]),
                     sigma = tw_process_sigma(g->use.process, p->t[i]);
        const float a = (float)(1 / alpha), b = (float)(sigma * sigma / alpha);
        for (int64_t k = i * dims; k < (i + 1) * dims; k++) out[k] = a * of[k] + b * what[k];
    }
}

tw_status tw_guided_x0(const tw_guided *g, const tw_guided_points *p, float *x0)
{
    tw_status st = TW_OK;
    TW_TRY(tw_guided_score(g, p, x0, NULL, NULL));
    tweedie_formula(g, p, p->x, x0, x0);
done:
    return st;
}

tw_status tw_guided_x0_vjp(const tw_guided *g, const tw_guided_points *p, const float *v, float *x0,
                           float *vjp)
{
    tw_status st = TW_OK;
    const tw_score *s = g->use.score;
    TW_TRY(s->vjp(s->self, p->n, p->x, p->t, p->index, v, x0, vjp));
    tweedie_formula(g, p, v, vjp, vjp);
    if (x0) tweedie_formula(g, p, p->x, x0, x0);
done:
    return st;
}

tw_status tw_guidance_check_factor(const tw_guidance_use *use, bool classifier)
{
    tw_status st = TW_OK;
    const bool is = use->factor && use->factor->classifier;
    TW_CHECK(use->factor && is == classifier, TW_ECONFIG,
             classifier ? "guidance.kind: classifier needs a network that was trained with "
                          "objective.kind = classify; one with prediction.kind = energy is for "
                          "guidance.kind = energy"
                        : "guidance.kind: energy needs a network with prediction.kind = energy; a "
                          "classifier is for guidance.kind = classifier");
    TW_CHECK(use->factor->dims == use->score->dims, TW_ESHAPE,
             "guidance.network: takes samples of %lld numbers, and these have %lld",
             (long long)use->factor->dims, (long long)use->score->dims);
done:
    return st;
}

/* ---- as a score ---- */

static tw_status in_batches(tw_guided *g, int64_t n, const tw_guided_points *all, float *score,
                            float *variance, double *energy)
{
    tw_status st = TW_OK;
    const int64_t dims = g->view.dims;
    for (int64_t at = 0; at < n; at += g->use.batch) {
        const tw_guided_points p = {.n = n - at < g->use.batch ? n - at : g->use.batch,
                                    .x = all->x + at * dims,
                                    .t = all->t + at,
                                    .index = all->index + at};
        TW_TRY(g->kind->eval(g->config, g, &p, score + at * dims,
                             variance ? variance + at * dims : NULL, energy ? energy + at : NULL));
    }
done:
    return st;
}

static tw_status eval(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                      float *score)
{
    const tw_guided_points all = {.n = n, .x = x, .t = t, .index = index};
    return in_batches(self, n, &all, score, NULL, NULL);
}

static tw_status eval_variance(void *self, int64_t n, const float *x, const double *t,
                               const int64_t *index, float *score, float *variance)
{
    const tw_guided_points all = {.n = n, .x = x, .t = t, .index = index};
    return in_batches(self, n, &all, score, variance, NULL);
}

static tw_status eval_energy(void *self, int64_t n, const float *x, const double *t,
                             const int64_t *index, float *score, double *energy)
{
    const tw_guided_points all = {.n = n, .x = x, .t = t, .index = index};
    return in_batches(self, n, &all, score, NULL, energy);
}

/* Allocates `count` arrays of a batch. */
static tw_status make_arrays(float **arrays, float ***views, const tw_guided *g, int count)
{
    tw_status st = TW_OK;
    int64_t numbers, all;
    if (count == 0) return TW_OK;
    TW_TRY(tw_multiply(&numbers, g->use.batch, g->view.dims, "a guided batch"));
    TW_TRY(tw_multiply(&all, numbers, count, "a guided batch"));
    TW_TRY(tw_alloc(arrays, all, sizeof **arrays, "a guided batch"));
    TW_TRY(tw_alloc(views, count, sizeof **views, "a guided batch"));
    for (int k = 0; k < count; k++) (*views)[k] = *arrays + k * numbers;
done:
    return st;
}

/* The scratch of vjp is made when it is first called: few samplers do. */
static tw_status vjp(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                     const float *v, float *score, float *out)
{
    tw_status st = TW_OK;
    tw_guided *g = self;
    const int64_t dims = g->view.dims;
    float **own = g->scratch;
    if (!g->vjp_views) TW_TRY(make_arrays(&g->vjp_arrays, &g->vjp_views, g, g->kind->vjp_scratch));
    g->scratch = g->vjp_views;
    for (int64_t at = 0; at < n && st == TW_OK; at += g->use.batch) {
        const tw_guided_points p = {.n = n - at < g->use.batch ? n - at : g->use.batch,
                                    .x = x + at * dims,
                                    .t = t + at,
                                    .index = index + at};
        st = g->kind->vjp(g->config, g, &p, v + at * dims, score ? score + at * dims : NULL,
                          out + at * dims);
    }
    g->scratch = own;
done:
    return st;
}

static tw_status allocate(tw_guided *g)
{
    tw_status st = TW_OK;
    int64_t n;
    TW_TRY(tw_multiply(&n, g->use.batch, 2, "a guided batch"));
    TW_TRY(make_arrays(&g->arrays, &g->scratch, g, g->kind->scratch));
    TW_TRY(tw_alloc(&g->t, n, sizeof *g->t, "a guided batch"));
    TW_TRY(tw_alloc(&g->index, n, sizeof *g->index, "a guided batch"));
    TW_TRY(tw_alloc(&g->label, n, sizeof *g->label, "a guided batch"));
    TW_TRY(tw_alloc(&g->number, n, sizeof *g->number, "a guided batch"));
done:
    return st;
}

tw_status tw_guided_create(tw_guided **out, const tw_guidance_config *config,
                           const tw_guidance_use *use)
{
    tw_status st = TW_OK;
    tw_guided *g = NULL;
    const tw_score *s = use->score;
    TW_CHECK(!tw_guidance_is_none(config), TW_EUSAGE, "guidance.kind = none guides nothing");
    TW_TRY(tw_alloc(&g, 1, sizeof *g, "a guided score"));
    g->kind = kind_of(config);
    g->config = config->choice.config;
    g->use = *use;
    g->view = (tw_score){.self = g,
                         .dims = s->dims,
                         .eval = eval,
                         .vjp = g->kind->vjp && s->vjp ? vjp : NULL,
                         .eval_variance = s->eval_variance ? eval_variance : NULL,
                         .eval_energy = g->kind->energy && s->eval_energy ? eval_energy : NULL};
    TW_CHECK(use->batch >= 1, TW_ESHAPE, "a guided score of %lld points", (long long)use->batch);
    if (g->kind->check) TW_TRY(g->kind->check(g->config, use));
    TW_TRY(allocate(g));
    *out = g;
    g = NULL;
done:
    tw_guided_destroy(&g);
    return st;
}

void tw_guided_destroy(tw_guided **guided)
{
    tw_guided *g = *guided;
    if (!g) return;
    tw_free(&g->arrays);
    tw_free(&g->scratch);
    tw_free(&g->vjp_arrays);
    tw_free(&g->vjp_views);
    tw_free(&g->t);
    tw_free(&g->index);
    tw_free(&g->label);
    tw_free(&g->number);
    tw_free(guided);
}

const tw_score *tw_guided_view(const tw_guided *guided)
{
    return &guided->view;
}

tw_status tw_guided_describe(tw_text *out, const tw_guided *g)
{
    tw_status st = TW_OK;
    const tw_choice choice = {.kind = &g->kind->kind, .config = (void *)g->config};
    TW_TRY(tw_text_add(out, " guidance="));
    TW_TRY(tw_choice_describe(out, &choice));
    if (g->use.factor) TW_TRY(tw_text_add(out, " network=%s", g->use.factor->text));
done:
    return st;
}
