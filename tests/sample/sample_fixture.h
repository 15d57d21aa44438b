/* Samplers of exact scores, made from the words of [sample]. Include after cmocka.h. */
#ifndef TESTS_SAMPLE_FIXTURE_H
#define TESTS_SAMPLE_FIXTURE_H

#include <string.h>

#include "exact_mixture.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"
#include "tweedie/sample.h"

/* A sampler with what it is made of. */
typedef struct rig {
    tw_config *config;
    tw_sampler_config settings;
    tw_process *process;
    tw_score score;
    tw_sampler *sampler;
} rig;

static inline tw_process *make_process(const char *kind, int count, const char *const *keys)
{
    tw_process *p = NULL;
    if (tw_process_make(&p, kind, count, keys) != TW_OK) fail_msg("%s", tw_error_message());
    return p;
}

/* The configuration of "key=value key=value" ([sample]; a ';' for a blank inside a value). */
static inline tw_status bind_settings(rig *r, const char *words, const char *usual)
{
    char text[512], *rest = NULL, assignment[128], *one = assignment;
    tw_status st = tw_config_create(&r->config);
    if (st != TW_OK) return st;
    strncpy(text, words, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        if (tw_format(assignment, sizeof assignment, "sample.%s", w) != TW_OK ||
            tw_config_override(r->config, 1, &one) != TW_OK)
            return TW_EINTERNAL;
    }
    st = tw_sampler_bind(&r->settings, r->config, usual);
    return st == TW_OK ? tw_config_finish(r->config) : st;
}

/* A sampler of this score, or why there is none. The process is the caller's. */
static inline tw_status make_rig(rig *r, tw_process *process, tw_score score, const char *words,
                                 int64_t batch, bool bounded)
{
    const tw_sampler_options options = {.batch = batch, .bounded = bounded};
    *r = (rig){.process = process, .score = score};
    tw_status st = bind_settings(r, words, process->kind->sampler);
    if (st == TW_OK)
        st = tw_sampler_create(&r->sampler, &r->settings, r->process, &r->score, &options);
    return st;
}

static inline void break_rig(rig *r)
{
    tw_sampler_destroy(&r->sampler);
    tw_sampler_config_free(&r->settings);
    tw_config_destroy(&r->config);
}

/* n samples of the mixture from index `first`; freed by the caller. */
static inline float *sample_mixture(mixture *m, tw_process *process, const char *words,
                                    int64_t first, int64_t n, int64_t batch)
{
    rig r;
    float *x = NULL;
    m->process = process;
    if (tw_alloc(&x, n * m->dims, sizeof *x, "samples") != TW_OK ||
        make_rig(&r, process, mixture_score(m), words, batch, false) != TW_OK ||
        tw_sampler_run(r.sampler, first, n, x) != TW_OK)
        fail_msg("%s: %s", words, tw_error_message());
    break_rig(&r);
    return x;
}

static inline void close_to(double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance))
        fail_msg("met %.9g, wanted %.9g within %g", met, wanted, tolerance);
}

/* Mean and variance of coordinate d. */
static inline void moments(const float *x, int64_t n, int64_t dims, int64_t d, double *mean,
                           double *variance)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i * dims + d];
    for (int64_t i = 0; i < n; i++) square += pow((double)x[i * dims + d] - sum / (double)n, 2);
    *mean = sum / (double)n;
    *variance = square / (double)n;
}

#endif
