/* The Metropolis-adjusted Langevin algorithm (Roberts and Tweedie 1996): a Langevin step is a
 * proposal,
 *
 *   y = x + ε s(x) + √(2 ε) z,   q(y | x) ∝ exp(−‖y − x − ε s(x)‖² / (4 ε)),
 *
 * that is taken with probability min(1, p(y) q(x | y) / (p(x) q(y | x))), log p = −E. It leaves p_t
 * exactly invariant at any ε. In D dimensions an acceptance of 0.57 is best, at ε ∝ D^(−1/3). */
#include "sample/metropolis.h"

static tw_status check(const void *config, const tw_part_use *use)
{
    (void)config;
    return metropolis_check("mala", use);
}

static void propose(const tw_batch *b, const double *step, const float *s, const float *z, float *y)
{
    for (int64_t i = 0; i < b->n; i++) {
        const double e = step[i], root = sqrt(2 * e);
        for (int64_t k = i * b->dims; k < (i + 1) * b->dims; k++)
            y[k] = (float)((double)b->x[k] + e * (double)s[k] + root * (double)z[k]);
    }
}

/* Of the move from x to y and back; b->s is the score of y. */
static double log_ratio_of_moves(const tw_batch *b, int64_t i, double e, const float *s,
                                 const float *y)
{
    double there = 0, back = 0;
    for (int64_t k = i * b->dims; k < (i + 1) * b->dims; k++) {
        const double move = (double)y[k] - (double)b->x[k], f = move - e * (double)s[k],
                     r = -move - e * (double)b->s[k];
        there += f * f;
        back += r * r;
    }
    return (there - back) / (4 * e);
}

static tw_status correct(const void *config, const tw_rule *rule, const void *rule_config,
                         const tw_point *at, tw_batch *b)
{
    tw_status st = TW_OK;
    const metropolis_columns c = metropolis_of(b);
    float *s = b->scratch[0], *y = b->scratch[1], *z = b->scratch[2];
    (void)config;
    TW_TRY(metropolis_begin(b, at, s));
    tw_batch_noise(b, z, TW_RNG_CORRECTOR_NOISE, 2 * at->name);
    rule->size(rule_config, b, at, z, c.step);
    propose(b, c.step, s, z, y);
    TW_TRY(tw_batch_energy(b, y, at->t, c.proposed));
    for (int64_t i = 0; i < b->n; i++)
        c.log_ratio[i] = c.energy[i] - c.proposed[i] + log_ratio_of_moves(b, i, c.step[i], s, y);
    metropolis_accept(b, at, y, s);
done:
    return st;
}

const tw_corrector tw_corrector_mala = {
    .kind = {"mala", "Metropolis-adjusted Langevin steps, of models with an energy"},
    .check = check,
    .scratch = 3,
    .rule = true,
    .usual_rule = "sigma",
    .correct = correct,
};
