/* DDRM (Kawar et al. 2022, equations 7 and 8), in the basis and in units of x_0: σ̄ = σ / α,
 * c̄ = c / α. From σ̄_t to σ̄_s:
 *
 *   s = 0            c̄ ~ N(c_0 + √(1 − η²) σ̄_s (c̄_t − c_0) / σ̄_t,  η² σ̄_s²)
 *   σ̄_s < σ_y / s    c̄ ~ N(c_0 + √(1 − η²) σ̄_s (ȳ − c_0) s / σ_y,  η² σ̄_s²)
 *   σ̄_s >= σ_y / s   c̄ ~ N((1 − η_b) c_0 + η_b ȳ,  σ̄_s² − η_b² σ_y² / s²) */
#include <math.h>
#include <stddef.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_ddrm;

typedef struct ddrm_config {
    double eta, eta_b;
} ddrm_config;

static const tw_config_field fields[] = {
    {NULL, "eta", TW_CONFIG_DOUBLE, offsetof(ddrm_config, eta), "0.85", 0, 1,
     .help = "fresh noise of a step, as of DDIM"},
    {NULL, "eta_b", TW_CONFIG_DOUBLE, offsetof(ddrm_config, eta_b), "1", 0, 1,
     .help = "weight of the measurement where its noise is below the level's"},
};

static void begin(const void *config, const tw_posterior *p, const double *ybar,
                  const tw_point *from, const tw_point *to, const double *ct, const double *c0,
                  const double *z, double *c)
{
    const double *s = p->a->singular, level = from->sigma / from->alpha;
    (void)config, (void)to, (void)ct, (void)c0;
    for (int64_t k = 0; k < p->dims; k++) {
        const double of_y = s[k] > 0 ? p->noise / s[k] : INFINITY;
        c[k] = of_y <= level ? ybar[k] + sqrt(level * level - of_y * of_y) * z[k] : level * z[k];
        c[k] *= from->alpha;
    }
}

static void step(const void *config, const tw_posterior *p, const double *ybar,
                 const tw_point *from, const tw_point *to, const double *ct, const double *c0,
                 const double *z, double *c)
{
    const ddrm_config *o = config;
    const double *s = p->a->singular, level_t = from->sigma / from->alpha,
                 level = to->sigma / to->alpha, keep = sqrt(1 - o->eta * o->eta);
    for (int64_t k = 0; k < p->dims; k++) {
        const double of_y = s[k] > 0 ? p->noise / s[k] : INFINITY;
        double mean, std = o->eta * level;
        if (isinf(of_y))
            mean = c0[k] + keep * level * (ct[k] / from->alpha - c0[k]) / level_t;
        else if (level < of_y)
            mean = c0[k] + keep * level * (ybar[k] - c0[k]) / of_y;
        else {
            mean = (1 - o->eta_b) * c0[k] + o->eta_b * ybar[k];
            std = sqrt(fmax(level * level - o->eta_b * o->eta_b * of_y * of_y, 0));
        }
        c[k] = to->alpha * (mean + std * z[k]);
    }
}

static tw_status run(const void *config, tw_posterior *p, tw_sampler *s, tw_batch *b)
{
    return posterior_spectral_loop(config, p, s, b, begin, step);
}

const tw_posterior_method tw_posterior_ddrm = {
    .kind = {"ddrm", "updates by singular value (DDRM)", fields, sizeof fields / sizeof *fields,
             sizeof(ddrm_config)},
    .basis = true,
    .scratch = 1,
    .run = run,
};
