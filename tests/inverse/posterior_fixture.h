/* Posterior samplers of Gaussian random fields, held against the exact posterior. Include after
 * cmocka.h. */
#ifndef TESTS_POSTERIOR_FIXTURE_H
#define TESTS_POSTERIOR_FIXTURE_H

#include <string.h>

#include "inverse/inverse_fixture.h"
#include "tweedie/memory.h"

/* A posterior sampler with what it is made of. */
typedef struct rig {
    tw_config *config;
    tw_operator *a;
    tw_posterior_config settings;
    tw_sampler_config sampler;
    tw_process *process;
    tw_score score;
    tw_posterior *posterior;
} rig;

/* "section.key=value section.key=value" (a ';' for a blank inside a value). */
static inline tw_status assign(tw_config *config, const char *words)
{
    char text[768], *rest = NULL;
    if (strlen(words) >= sizeof text) return tw_error_set(TW_EUSAGE, "too many words");
    memcpy(text, words, strlen(words) + 1);
    for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        for (char *c = w; *c; c++)
            if (*c == ';') *c = ' ';
        const tw_status st = tw_config_override(config, 1, &w);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

/* The posterior sampler that the words describe. Score, process and map are the caller's, and
 * `own`, an operator in the place of the words'; NULL: none. */
static inline tw_status make_rig_of(rig *r, tw_process *process, tw_score score, tw_extent in,
                                    const char *words, int64_t per, int64_t batch,
                                    const tw_map *map, tw_operator *own)
{
    tw_status st = TW_OK;
    *r = (rig){.process = process, .score = score};
    TW_TRY(tw_config_create(&r->config));
    TW_TRY(assign(r->config, words));
    TW_TRY(tw_operator_bind(&r->a, r->config));
    TW_TRY(tw_posterior_bind(&r->settings, r->config));
    TW_TRY(tw_sampler_bind(&r->sampler, r->config, tw_posterior_usual_sampler(&r->settings)));
    TW_TRY(tw_config_finish(r->config));
    TW_TRY(tw_operator_prepare(r->a, &in));
    const tw_posterior_options options = {.config = &r->settings,
                                          .sampler = &r->sampler,
                                          .process = process,
                                          .prior = &r->score,
                                          .a = own ? own : r->a,
                                          .map = map,
                                          .noise = r->settings.noise,
                                          .per = per,
                                          .batch = batch};
    TW_TRY(tw_posterior_create(&r->posterior, &options));
done:
    return st;
}

static inline tw_status make_rig(rig *r, tw_process *process, tw_score score, tw_extent in,
                                 const char *words, int64_t per, int64_t batch)
{
    return make_rig_of(r, process, score, in, words, per, batch, NULL, NULL);
}

static inline void break_rig(rig *r)
{
    tw_posterior_destroy(&r->posterior);
    tw_operator_destroy(&r->a);
    tw_posterior_config_free(&r->settings);
    tw_sampler_config_free(&r->sampler);
    tw_config_destroy(&r->config);
}

/* How samples of a field's posterior compare with the exact one. */
typedef struct against {
    double mean; /* root mean square of the error of the mean, in exact deviations, less what the
                    number of samples explains */
    double covariance; /* ‖C − C_exact‖ / ‖C_exact‖, likewise */
    double coverage;   /* of the exact posterior by intervals of 90 % of the samples */
    double spread;     /* mean ratio of the deviations */
} against;

static inline double square_error(const double *c, const double *wanted, int64_t n, double *norm)
{
    double sum = 0;
    *norm = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (c[i] - wanted[i]) * (c[i] - wanted[i]);
        *norm += wanted[i] * wanted[i];
    }
    return sum;
}

static inline double normal_below(double z)
{
    return 0.5 * erfc(-z * M_SQRT1_2);
}

/* n samples [n][dims] of one measurement. The interval of a number is taken from the samples' own
 * mean and deviation, ± 1.6449, and covered is what the exact normal marginal has inside of it; the
 * shape of marginals is not judged. */
static inline against compare(const float *x, int64_t n, int64_t dims, const double *mean,
                              const double *covariance)
{
    against r = {0};
    double *m = numbers(dims, 0), *c = numbers(dims * dims, 0), norm, noise = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < dims; d++) m[d] += (double)x[i * dims + d] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < dims; d++) {
            const double a = (double)x[i * dims + d] - m[d];
            for (int64_t e = 0; e < dims; e++)
                c[d * dims + e] += a * ((double)x[i * dims + e] - m[e]) / (double)(n - 1);
        }
    for (int64_t d = 0; d < dims; d++) {
        const double std = sqrt(covariance[d * dims + d]), own = sqrt(c[d * dims + d]),
                     off = (m[d] - mean[d]) / std, half = 1.6448536269514722 * own / std;
        r.mean += off * off / (double)dims;
        r.spread += own / std / (double)dims;
        r.coverage += (normal_below(off + half) - normal_below(off - half)) / (double)dims;
        for (int64_t e = 0; e < dims; e++)
            noise += (covariance[d * dims + d] * covariance[e * dims + e] +
                      covariance[d * dims + e] * covariance[d * dims + e]) /
                     (double)(n - 1);
    }
    r.mean = sqrt(fmax(r.mean - 1 / (double)n, 0));
    const double error = square_error(c, covariance, dims * dims, &norm);
    r.covariance = sqrt(fmax(error - noise, 0) / norm);
    free(m), free(c);
    return r;
}

#endif
