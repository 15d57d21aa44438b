/* Hamiltonian dynamics at one time (Duane et al. 1987; Neal 2011): with a new momentum p ~ N(0, I),
 * L leapfrog steps of length h along H = E(x) + ½ ‖p‖², whose force is the score:
 *
 *   p ← p + h/2 s(x),   x ← x + h p,   p ← p + h/2 s(x)
 *
 * One of them is a Langevin step of ε = h²/2, so the step rule's ε gives h = √(2 ε). Where the
 * energy is known the end is taken with probability min(1, exp(H_before − H_after)), which leaves
 * p_t exactly invariant; else always, with an error of order h². */
#include <stddef.h>

#include "sample/metropolis.h"

typedef struct hmc_config {
    int64_t steps;
    int metropolis;
} hmc_config;

enum { AUTO, YES, NO };

static const tw_config_field fields[] = {
    {NULL, "leapfrog_steps", TW_CONFIG_INT64, offsetof(hmc_config, steps), "5", 1, 10000,
     .help = "leapfrog steps between two momenta"},
    {NULL, "metropolis", TW_CONFIG_CHOICE, offsetof(hmc_config, metropolis), "auto",
     .choices = "auto|yes|no",
     .help = "accept or reject; auto: where the model has an energy and the step rule allows it"},
};

static tw_status check(const void *config, const tw_part_use *use)
{
    const hmc_config *c = config;
    return c->metropolis == YES ? metropolis_check("hmc", use) : TW_OK;
}

static double kinetic(const tw_batch *b, const float *p, int64_t i)
{
    double sum = 0;
    for (int64_t k = i * b->dims; k < (i + 1) * b->dims; k++) sum += (double)p[k] * (double)p[k];
    return sum / 2;
}

/* p ← p + w h s, then y ← y + h p where it is not NULL. */
static void kick(const tw_batch *b, const double *step, double w, const float *s, float *p,
                 float *y)
{
#pragma omp parallel for schedule(static) if (b->n * b->dims > 8192)
    for (int64_t i = 0; i < b->n; i++) {
        const double h = sqrt(2 * step[i]);
        for (int64_t k = i * b->dims; k < (i + 1) * b->dims; k++) {
            p[k] = (float)((double)p[k] + w * h * (double)s[k]);
            if (y) y[k] = (float)((double)y[k] + h * (double)p[k]);
        }
    }
}

/* y and p go the whole way; then b->s is the score of y, and proposed its energy where it is asked
 * for. @param[in] s  the score of x */
static tw_status leapfrog(const hmc_config *c, tw_batch *b, double t, const float *s, float *y,
                          float *p, bool energy)
{
    tw_status st = TW_OK;
    const metropolis_columns m = metropolis_of(b);
    memcpy(y, b->x, (size_t)(b->n * b->dims) * sizeof *y);
    kick(b, m.step, 0.5, s, p, y);
    for (int64_t l = 1; l < c->steps; l++) {
        TW_TRY(tw_batch_score(b, y, t));
        kick(b, m.step, 1, b->s, p, y);
    }
    if (energy)
        TW_TRY(tw_batch_energy(b, y, t, m.proposed));
    else
        TW_TRY(tw_batch_score(b, y, t));
    kick(b, m.step, 0.5, b->s, p, NULL);
done:
    return st;
}

static tw_status correct(const void *config, const tw_rule *rule, const void *rule_config,
                         const tw_point *at, tw_batch *b)
{
    tw_status st = TW_OK;
    const hmc_config *c = config;
    const bool test = c->metropolis != NO && b->score->eval_energy && !rule->of_state;
    const metropolis_columns m = metropolis_of(b);
    const size_t bytes = (size_t)(b->n * b->dims) * sizeof(float);
    float *s = b->scratch[0], *y = b->scratch[1], *p = b->scratch[2];
    if (test)
        TW_TRY(metropolis_begin(b, at, s));
    else if (!b->unchanged)
        TW_TRY(tw_batch_score(b, b->x, at->t));
    if (!test && !b->unchanged) memcpy(s, b->s, bytes);
    tw_batch_noise(b, p, TW_RNG_CORRECTOR_NOISE, 2 * at->name);
    memcpy(b->s, s, bytes); /* what rules look at */
    rule->size(rule_config, b, at, p, m.step);
    for (int64_t i = 0; i < b->n && test; i++) m.log_ratio[i] = m.energy[i] + kinetic(b, p, i);
    TW_TRY(leapfrog(c, b, at->t, s, y, p, test));
    for (int64_t i = 0; i < b->n && test; i++) m.log_ratio[i] -= m.proposed[i] + kinetic(b, p, i);
    if (test) {
        metropolis_accept(b, at, y, s);
    } else {
        memcpy(b->x, y, bytes);
        memcpy(s, b->s, bytes);
    }
done:
    return st;
}

const tw_corrector tw_corrector_hmc = {
    .kind = {"hmc", "Hamiltonian dynamics by leapfrog steps", fields,
             sizeof fields / sizeof *fields, sizeof(hmc_config)},
    .check = check,
    .scratch = 3,
    .rule = true,
    .usual_rule = "sigma",
    .correct = correct,
};
