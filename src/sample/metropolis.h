/* What correctors with a Metropolis test share: they leave p_t ∝ exp(−E) exactly invariant. */
#ifndef SAMPLE_METROPOLIS_H
#define SAMPLE_METROPOLIS_H

#include <math.h>
#include <string.h>

#include "sample/sampler.h"

/* The test needs the energy, and a proposal whose density it knows in both directions. */
static inline tw_status metropolis_check(const char *name, const tw_part_use *use)
{
    tw_status st = TW_OK;
    TW_CHECK(use->score->eval_energy, TW_ECONFIG,
             "sample.corrector: %s needs the energy of the model, and this one gives its score "
             "only; train one with prediction.kind = energy, or take langevin%s",
             name, strcmp(name, "hmc") == 0 ? ", or metropolis = no" : "");
    TW_CHECK(!use->rule->of_state, TW_ECONFIG,
             "sample.step_rule: the steps of %s depend on the sample, so that %s would not leave "
             "the distribution alone; take fixed, sigma or ncsn",
             use->rule->kind.name, name);
done:
    return st;
}

/* b->number as four columns [n]; energy is kept from step to step. */
typedef struct metropolis_columns {
    double *energy, *proposed, *step, *log_ratio;
} metropolis_columns;

static inline metropolis_columns metropolis_of(const tw_batch *b)
{
    double *c = b->number;
    return (metropolis_columns){c, c + b->n, c + 2 * b->n, c + 3 * b->n};
}

/* The energy of x, and its score in s [n][dims], unless they are known from the step before. */
static inline tw_status metropolis_begin(tw_batch *b, const tw_point *at, float *s)
{
    tw_status st = TW_OK;
    if (b->unchanged) goto done;
    TW_TRY(tw_batch_energy(b, b->x, at->t, metropolis_of(b).energy));
    memcpy(s, b->s, (size_t)(b->n * b->dims) * sizeof *s);
done:
    return st;
}

/* Where accepted, x ← y and s ← b->s, with the energy: with probability min(1, e^log_ratio), the
 * uniform number being of the stream 2 name + 1. An energy that is not a number is passed on, with
 * the proposal that came of it: it must be seen. */
static inline void metropolis_accept(tw_batch *b, const tw_point *at, const float *y, float *s)
{
    const metropolis_columns c = metropolis_of(b);
    const size_t bytes = (size_t)b->dims * sizeof *y;
    int64_t accepted = 0;
    for (int64_t i = 0; i < b->n; i++) {
        const tw_rng_stream stream = {.seed = b->seed,
                                      .purpose = TW_RNG_CORRECTOR_NOISE,
                                      .position = b->index[i],
                                      .step = 2 * at->name + 1};
        float u;
        tw_rng_uniform_open(&u, &stream, 0, 1);
        if (!isnan(c.energy[i]) && !(log((double)u) < c.log_ratio[i])) continue;
        accepted++;
        memcpy(b->x + i * b->dims, y + i * b->dims, bytes);
        memcpy(s + i * b->dims, b->s + i * b->dims, bytes);
        c.energy[i] = c.proposed[i];
    }
    tw_batch_report(b, "acceptance", (double)accepted, (double)b->n);
}

#endif
