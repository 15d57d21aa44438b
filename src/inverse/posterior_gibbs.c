/* Split Gibbs sampling with a diffusion model as the prior's half (Coeurdoux, Dobigeon, Chainais
 * 2023; Xu and Chi 2024): x and a copy of it, tied by N(x; x_0, ρ² I), are sampled in turns,
 *
 *   x | x_0, y ~ N(y; A x, σ_y² I) N(x; x_0, ρ² I): Gaussian, exact in the basis
 *   x_0 | x    : what a sample was that has the noise ρ, by the reverse process from σ/α = ρ to 0
 *
 * Nothing is approximated in either half but by the steps of the reverse process. The chain's
 * posterior has the noise σ_y² + s² ρ² in the place of σ_y², so the error is of the order ρ² and
 * goes to zero with it, the number of sweeps and the steps. ρ falls geometrically from rho_max,
 * where sweeps are independent samples, to rho_min, where `stay` more are made. The answer is x_0.
 */
#include <math.h>
#include <stddef.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_gibbs;

typedef struct gibbs_config {
    double rho_max, rho_min, last;
    int64_t sweeps, stay, inner;
} gibbs_config;

static const tw_config_field fields[] = {
    {NULL, "rho_max", TW_CONFIG_DOUBLE, offsetof(gibbs_config, rho_max), "10", TW_CONFIG_ABOVE_ZERO,
     1e6, .help = "first tie, a noise level sigma / alpha; at most that of the process's end"},
    {NULL, "rho_min", TW_CONFIG_DOUBLE, offsetof(gibbs_config, rho_min), "0.1",
     TW_CONFIG_ABOVE_ZERO, 1e6, .help = "last tie: the error is of the order of its square"},
    {NULL, "sweeps", TW_CONFIG_INT64, offsetof(gibbs_config, sweeps), "20", 1, 1000000,
     .help = "from the first tie to the last"},
    {NULL, "stay", TW_CONFIG_INT64, offsetof(gibbs_config, stay), "10", 0, 1000000,
     .help = "further ones at the last"},
    {NULL, "inner", TW_CONFIG_INT64, offsetof(gibbs_config, inner), "10", 1, 100000,
     .help = "steps of the predictor in each"},
    {NULL, "last", TW_CONFIG_DOUBLE, offsetof(gibbs_config, last), "0.02", TW_CONFIG_ABOVE_ZERO, 1,
     .help = "the noise level before the step to the data, in units of the tie"},
};

static int64_t points(const void *config)
{
    return ((const gibbs_config *)config)->inner + 1;
}

static tw_status check(const void *config, const tw_posterior *p)
{
    tw_status st = TW_OK;
    const gibbs_config *c = config;
    TW_CHECK(c->rho_min <= c->rho_max, TW_ECONFIG,
             "restore.rho_min: %g must not exceed restore.rho_max, %g", c->rho_min, c->rho_max);
    (void)p;
done:
    return st;
}

/* Times of one sweep: from the tie to `last` of it, geometrically, then the data. Of a discrete
 * process several may be one index: such steps are left out. */
static int64_t make_times(const gibbs_config *c, tw_posterior *p, double rho, int64_t sweep)
{
    const tw_process *process = p->o.process;
    int64_t n = 0;
    for (int64_t k = 0; k < c->inner; k++) {
        const double part = c->inner > 1 ? (double)k / (double)(c->inner - 1) : 0;
        const tw_point at =
            tw_point_at(process, tw_process_time_at(process, rho * pow(c->last, part)));
        if (n > 0 && at.t >= p->grid.point[n - 1].t) continue;
        p->grid.point[n] = at;
        p->grid.point[n].name = sweep * (c->inner + 1) + n;
        n++;
    }
    p->grid.point[n] = tw_point_data(process);
    p->grid.point[n].name = sweep * (c->inner + 1) + n;
    p->grid.steps = n;
    return n;
}

/* x_t = α x, x ~ N(y; A x, σ_y² I) N(x; x_0, ρ² I), with b->x as the x_0. */
static void sample_likelihood(const tw_posterior *p, tw_batch *b, const tw_point *at, int64_t name)
{
    double *c = p->work[0], *x = p->work[1], *z = p->work[2];
    const double *s = p->a->singular, rho = at->sigma / at->alpha, noise = p->noise * p->noise;
    for (int64_t i = 0; i < b->n; i++) {
        const double *ybar = posterior_ybar(p, b->index[i]);
        for (int64_t k = 0; k < p->dims; k++) x[k] = (double)b->x[i * p->dims + k];
        tw_operator_to_basis(p->a, x, c);
        posterior_noise(p, b->index[i], name, z);
        for (int64_t k = 0; k < p->dims; k++) {
            const double v = s[k] * s[k] * rho * rho, weight = v > 0 ? v / (v + noise) : 0;
            c[k] += weight * (ybar[k] - c[k]) + rho * sqrt(1 - weight) * z[k];
        }
        tw_operator_from_basis(p->a, c, x);
        for (int64_t k = 0; k < p->dims; k++) b->x[i * p->dims + k] = (float)(at->alpha * x[k]);
    }
}

static tw_status sweep(const gibbs_config *c, tw_posterior *p, tw_sampler *s, tw_batch *b,
                       double rho, int64_t number)
{
    tw_status st = TW_OK;
    const int64_t n = make_times(c, p, rho, number);
    sample_likelihood(p, b, &p->grid.point[0], number);
    b->scratch = s->predictor_scratch;
    b->number = s->predictor_number;
    if (s->predictor->begin) s->predictor->begin(s->config->predictor.config, b);
    for (int64_t k = 0; k < n; k++)
        TW_TRY(s->predictor->step(s->config->predictor.config, &p->grid, k, b));
done:
    return st;
}

static tw_status run(const void *config, tw_posterior *p, tw_sampler *s, tw_batch *b)
{
    tw_status st = TW_OK;
    const gibbs_config *c = config;
    const tw_point end = tw_point_at(p->o.process, p->o.process->end);
    const double first = fmin(c->rho_max, end.sigma / end.alpha), least = fmin(c->rho_min, first);
    for (int64_t k = 0; k < b->n * b->dims; k++) b->x[k] = 0; /* the first tie forgets it */
    for (int64_t k = 0; k < c->sweeps + c->stay; k++) {
        const double part = c->sweeps > 1 ? fmin((double)k / (double)(c->sweeps - 1), 1) : 1;
        TW_TRY(sweep(c, p, s, b, first * pow(least / first, part), k));
        TW_TRY(tw_sampler_step_done(s, b, (k + 1) * s->total_steps / (c->sweeps + c->stay)));
    }
done:
    return st;
}

const tw_posterior_method tw_posterior_gibbs = {
    .kind = {"gibbs", "likelihood and prior sampled in turns, tied ever closer (split Gibbs)",
             fields, sizeof fields / sizeof *fields, sizeof(gibbs_config)},
    .basis = true,
    .check = check,
    .points = points,
    .run = run,
};
