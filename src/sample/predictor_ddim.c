/* DDIM (Song, Meng, Ermon 2021, equations 12 and 16), with ε̂ derived again from the clipped x̂_0 as
 * OpenAI's code does. From t to s, with the posterior's standard deviation q.std (tw_bridge):
 *
 *   x_s = α_s x̂_0 + √(σ_s² − η² q.std²) ε̂ + η q.std z,   ε̂ = (x_t − α_t x̂_0) / σ_t
 *
 * η = 0 is deterministic, η = 1 is ancestral with fixedsmall. */
#include <math.h>
#include <stddef.h>

#include "sample/sampler.h"

typedef struct ddim_config {
    double eta;
} ddim_config;

static const tw_config_field fields[] = {
    {NULL, "eta", TW_CONFIG_DOUBLE, offsetof(ddim_config, eta), "0", 0, 1,
     .help = "0 is deterministic, 1 has the ancestral variance"},
};

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const tw_point *from = &grid->point[k], *to = &grid->point[k + 1];
    const tw_bridge q = tw_bridge_between(to->alpha, to->sigma, from->alpha, from->sigma);
    const double noise = ((const ddim_config *)config)->eta * q.std;
    const double of_epsilon = sqrt(fmax(to->sigma * to->sigma - noise * noise, 0)) / from->sigma;
    const tw_linear_step s = {
        .x0 = to->alpha - of_epsilon * from->alpha, .x = of_epsilon, .noise = to->data ? 0 : noise};
    TW_TRY(tw_batch_score(b, b->x, from->t));
    tw_batch_linear(b, from, &s);
done:
    return st;
}

const tw_predictor tw_predictor_ddim = {
    .kind = {"ddim", "DDIM", fields, sizeof fields / sizeof *fields, sizeof(ddim_config)},
    .step = step,
};
