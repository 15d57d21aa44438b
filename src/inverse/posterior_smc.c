/* A twisted particle filter (Wu, Trippe, Naesseth, Blei and Cunningham 2023; sequential Monte Carlo
 * of Del Moral, Doucet and Jasra 2006). Of each sample `particles` are on their way together, at
 * each time weighted by a guess of what the measurement will say of them and resampled where few of
 * them count; one of them is the sample. With σ_t, α_t, x̂_0 and, as if x_0 | x_t were N(x̂_0, r² I),
 * r² = v σ² / (σ² + α² v) of data with the variance v,
 *
 *   guess      p̃(y | x_t) = N(y; A x̂_0, r² AAᵀ + σ_y² I)
 *   prior      p(x_s | x_t) = N(c_1 x̂_0 + c_2 x_t, τ² + c_1² r²): the posterior of x_s given x_0,
 *              x_0 spread by r²
 *   proposal   q(x_s | x_t) = the same with x_0 | x_t, y: mean and variance of each singular vector
 *              are those of a Gaussian with that measurement
 *   weight     p(x_s | x_t) p̃(y | x_s) / (q(x_s | x_t) p̃(y | x_t)),   at the data p(y | x̂_0)
 *
 * Weights undo whatever the guess and the proposal have wrong: as particles become many, the sample
 * is one of the posterior under the prior's own steps, and as steps become many, of the model's. Of
 * white data with the variance v all weights are the same. No gradients. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "inverse/posterior.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

extern const tw_posterior_method tw_posterior_smc;

typedef struct smc_config {
    int64_t particles;
    double variance, threshold;
} smc_config;

static const tw_config_field fields[] = {
    {NULL, "particles", TW_CONFIG_INT64, offsetof(smc_config, particles), "16", 1, 1 << 20,
     .help = "of each sample: the error goes to zero with them, the time grows with them"},
    {NULL, "variance", TW_CONFIG_DOUBLE, offsetof(smc_config, variance), "1", TW_CONFIG_ABOVE_ZERO,
     1e6, .help = "of the data, in model units"},
    {NULL, "threshold", TW_CONFIG_DOUBLE, offsetof(smc_config, threshold), "0.5", 0, 1,
     .help = "particles are resampled where the effective number of them falls below this part"},
};

/* The particles of a batch of samples, those of one sample one after the other. */
typedef struct filter {
    const smc_config *config;
    tw_posterior *p;
    int64_t per;
    float *x, *score;                  /* [n per][dims] */
    double *c, *c0;                    /* [n per][dims]: x and x̂_0 in the basis */
    double *t, *guess, *weight, *next; /* [n per]: log p̃, log weights */
    int64_t *index, *parent;           /* [n per] */
} filter;

static tw_status check(const void *config, const tw_posterior *p)
{
    tw_status st = TW_OK;
    (void)config;
    TW_CHECK(p->noise > 0, TW_ECONFIG,
             "task.noise: restore.method = smc weighs by the likelihood of a measurement with "
             "noise; above 0 was expected");
done:
    return st;
}

static void destroy(filter *f)
{
    tw_free(&f->x);
    tw_free(&f->score);
    tw_free(&f->c);
    tw_free(&f->c0);
    tw_free(&f->t);
    tw_free(&f->guess);
    tw_free(&f->weight);
    tw_free(&f->next);
    tw_free(&f->index);
    tw_free(&f->parent);
}

static tw_status create(filter *f, int64_t samples)
{
    static const char what[] = "particles";
    tw_status st = TW_OK;
    int64_t n, all;
    TW_TRY(tw_multiply(&n, samples, f->per, what));
    TW_TRY(tw_multiply(&all, n, f->p->dims, what));
    TW_TRY(tw_alloc(&f->x, all, sizeof *f->x, what));
    TW_TRY(tw_alloc(&f->score, all, sizeof *f->score, what));
    TW_TRY(tw_alloc(&f->c, all, sizeof *f->c, what));
    TW_TRY(tw_alloc(&f->c0, all, sizeof *f->c0, what));
    TW_TRY(tw_alloc(&f->t, n, sizeof *f->t, what));
    TW_TRY(tw_alloc(&f->guess, n, sizeof *f->guess, what));
    TW_TRY(tw_alloc(&f->weight, n, sizeof *f->weight, what));
    TW_TRY(tw_alloc(&f->next, n, sizeof *f->next, what));
    TW_TRY(tw_alloc(&f->index, n, sizeof *f->index, what));
    TW_TRY(tw_alloc(&f->parent, n, sizeof *f->parent, what));
done:
    return st;
}

/* Names of the normal numbers of particle j of a sample in step k, the prior's being −1. */
static int64_t name_of(const filter *f, int64_t k, int64_t j)
{
    return (k + 1) * f->per + j;
}

static double uniform(const filter *f, int64_t index, int64_t k)
{
    double u;
    const tw_rng_stream stream = {.seed = (uint64_t)f->p->o.sampler->seed,
                                  .purpose = TW_RNG_RESTORE,
                                  .position = index,
                                  .step = ((int64_t)1 << 43) + k};
    tw_rng_uniform_double(&u, &stream, 0, 1);
    return u;
}

/* r² of the data's variance v at a point. */
static double spread(const filter *f, const tw_point *at)
{
    const double v = f->config->variance, sigma2 = at->sigma * at->sigma;
    return at->data ? 0 : v * sigma2 / (sigma2 + at->alpha * at->alpha * v);
}

static void begin(filter *f, const tw_batch *b, const tw_point *at)
{
    const int64_t dims = f->p->dims;
    const double std = sqrt(at->sigma * at->sigma + at->alpha * at->alpha * f->config->variance);
    double *z = f->p->work[0];
    for (int64_t i = 0; i < b->n; i++)
        for (int64_t j = 0; j < f->per; j++) {
            const int64_t a = i * f->per + j;
            f->index[a] = b->index[i];
            f->weight[a] = 0;
            posterior_noise(f->p, b->index[i], name_of(f, -1, j), z);
            for (int64_t k = 0; k < dims; k++) f->x[a * dims + k] = (float)(std * z[k]);
        }
}

/* log N(y; A x_0, r² AAᵀ + σ_y² I) but for what all particles share. */
static double log_guess(const filter *f, int64_t index, const double *c0, double r2)
{
    const tw_posterior *p = f->p;
    const double *s = p->a->singular, *ybar = posterior_ybar(p, index);
    double sum = 0;
    for (int64_t k = 0; k < p->dims; k++) {
        const double v = s[k] * s[k], off = ybar[k] - c0[k];
        if (v > 0) sum -= 0.5 * v * off * off / (v * r2 + p->noise * p->noise);
    }
    return sum;
}

/* c, x̂_0 (clipped) and the guess of all particles; weights take it. */
static tw_status look(filter *f, const tw_batch *b, const tw_point *at)
{
    tw_status st = TW_OK;
    tw_posterior *p = f->p;
    const int64_t n = b->n * f->per, dims = p->dims;
    double *x = p->work[0];
    for (int64_t a = 0; a < n; a++) f->t[a] = at->t;
    TW_TRY(p->prior->eval(p->prior->self, n, f->x, f->t, f->index, f->score));
    *b->evaluations += n;
    for (int64_t a = 0; a < n; a++) {
        for (int64_t k = 0; k < dims; k++) x[k] = (double)f->x[a * dims + k];
        tw_operator_to_basis(p->a, x, f->c + a * dims);
        posterior_denoised(p, at->t, f->x + a * dims, f->score + a * dims, x);
        for (int64_t k = 0; k < dims; k++) { /* a NaN passes */
            if (x[k] < (double)b->clip.low) x[k] = (double)b->clip.low;
            if (x[k] > (double)b->clip.high) x[k] = (double)b->clip.high;
        }
        tw_operator_to_basis(p->a, x, f->c0 + a * dims);
        f->guess[a] = log_guess(f, f->index[a], f->c0 + a * dims, spread(f, at));
        f->weight[a] += f->guess[a];
    }
done:
    return st;
}

/* Log weights become weights whose sum is 1. @return the effective number of them */
static double normalise(double *w, int64_t n)
{
    double most = w[0], sum = 0, squares = 0;
    for (int64_t j = 1; j < n; j++) most = fmax(most, w[j]);
    for (int64_t j = 0; j < n; j++) sum += w[j] = exp(w[j] - most);
    for (int64_t j = 0; j < n; j++) {
        w[j] /= sum;
        squares += w[j] * w[j];
    }
    return 1 / squares;
}

/* Which particles of sample i go on, and their log weights: where few count, as many copies of each
 * as its weight says, by one uniform number (systematic resampling). */
static void resample(filter *f, int64_t i, int64_t k)
{
    const int64_t n = f->per, at = i * n;
    double *w = f->weight + at, sum;
    int64_t *parent = f->parent + at, from = 0;
    const bool few = normalise(w, n) < f->config->threshold * (double)n;
    const double u = uniform(f, f->index[at], k);
    sum = w[0];
    for (int64_t j = 0; j < n; j++) {
        while (few && from < n - 1 && sum < ((double)j + u) / (double)n) sum += w[++from];
        parent[j] = at + (few ? from : j);
    }
    for (int64_t j = 0; j < n; j++) f->next[at + j] = few ? 0 : log(fmax(w[j], 1e-300));
    memcpy(w, f->next + at, (size_t)n * sizeof *w);
}

/* A particle of `parent` at the next point, in the basis. @return log p − log q of the step */
static double propose(const filter *f, int64_t parent, const tw_point *from, const tw_point *to,
                      const double *z, double *c)
{
    const tw_posterior *p = f->p;
    const tw_bridge q = tw_bridge_between(to->alpha, to->sigma, from->alpha, from->sigma);
    const double *s = p->a->singular, *ybar = posterior_ybar(p, f->index[parent]),
                 *ct = f->c + parent * p->dims, *c0 = f->c0 + parent * p->dims,
                 r2 = spread(f, from), noise = p->noise * p->noise,
                 prior = q.std * q.std + q.x0 * q.x0 * r2;
    double gain = 0;
    for (int64_t k = 0; k < p->dims; k++) {
        const double v = s[k] * s[k], weight = v > 0 ? r2 * v / (r2 * v + noise) : 0,
                     shift = q.x0 * weight * (ybar[k] - c0[k]),
                     own = q.std * q.std + q.x0 * q.x0 * r2 * (1 - weight);
        const double off = shift + sqrt(own) * z[k];
        c[k] = q.x0 * c0[k] + q.xt * ct[k] + off;
        if (weight > 0) gain += 0.5 * (z[k] * z[k] - off * off / prior + log(own / prior));
    }
    return gain;
}

static void advance(filter *f, int64_t i, const tw_point *from, const tw_point *to, int64_t k)
{
    tw_posterior *p = f->p;
    double *z = p->work[0], *c = p->work[1], *x = p->work[2];
    for (int64_t j = 0; j < f->per; j++) {
        const int64_t a = i * f->per + j, parent = f->parent[a];
        posterior_noise(p, f->index[a], name_of(f, k, j), z);
        f->weight[a] += propose(f, parent, from, to, z, c) - f->guess[parent];
        tw_operator_from_basis(p->a, c, x);
        for (int64_t d = 0; d < p->dims; d++) f->x[a * p->dims + d] = (float)x[d];
    }
}

/* The data: x̂_0 itself, of which the measurement says how likely it is; one of them. */
static void finish(filter *f, tw_batch *b, int64_t i, int64_t k)
{
    tw_posterior *p = f->p;
    const int64_t n = f->per, at = i * n;
    double *w = f->weight + at, sum, *x = p->work[0];
    int64_t j = 0;
    for (int64_t a = at; a < at + n; a++)
        f->weight[a] += log_guess(f, f->index[a], f->c0 + a * p->dims, 0) - f->guess[a];
    normalise(w, n);
    const double u = uniform(f, f->index[at], k);
    for (sum = w[0]; j < n - 1 && sum < u; j++) sum += w[j + 1];
    tw_operator_from_basis(p->a, f->c0 + (at + j) * p->dims, x);
    for (int64_t d = 0; d < p->dims; d++) b->x[i * p->dims + d] = (float)x[d];
}

static tw_status run(const void *config, tw_posterior *p, tw_sampler *s, tw_batch *b)
{
    tw_status st = TW_OK;
    filter f = {.config = config, .p = p, .per = ((const smc_config *)config)->particles};
    const int64_t last = s->grid.steps - 1;
    TW_TRY(create(&f, b->n));
    begin(&f, b, &s->grid.point[0]);
    for (int64_t k = 0; k <= last; k++) {
        const tw_point *from = &s->grid.point[k];
        TW_TRY(look(&f, b, from));
        for (int64_t i = 0; i < b->n; i++) {
            if (k == last) {
                finish(&f, b, i, k);
                continue;
            }
            resample(&f, i, k);
            advance(&f, i, from, from + 1, k);
        }
        TW_TRY(tw_sampler_step_done(s, b, k + 1));
    }
done:
    destroy(&f);
    return st;
}

const tw_posterior_method tw_posterior_smc = {
    .kind = {"smc", "weighted and resampled particles (twisted particle filter)", fields,
             sizeof fields / sizeof *fields, sizeof(smc_config)},
    .basis = true,
    .check = check,
    .run = run,
};
