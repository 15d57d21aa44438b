/* The variational bound, term by term. In double but for the score; x̂_0 = (x_t + σ² s) / α as the
 * samplers compute it, clipped where asked.
 *
 * Cumulative distribution of the last step: the published code (Ho et al. 2020, OpenAI) takes
 * ½ (1 + tanh(√(2/π) (x + 0.044715 x³))), and no probability below 1e-12. The default here is exact
 * and without a floor: the floor hides what a bad model does to a pixel, and the approximation errs
 * by up to 2e-4 in the probability. likelihood.cdf = published is for comparing with them. */
#include "tweedie/likelihood_bound.h"

#include <math.h>
#include <string.h>

#include "likelihood/method.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

struct tw_bound {
    const tw_likelihood_config *config;
    const tw_process *process;
    const tw_score *score;
    bool bytes, clip;
    int variance; /* tw_bound_variance, resolved */
    int64_t dims, batch, steps;
    int64_t *kept;         /* [steps]: times, ascending */
    float *xt, *s, *v, *z; /* [batch][dims] */
    double *t;             /* [batch] */
    int64_t *index;        /* [batch] */
};

/* ---- planning ---- */

static tw_status keep_steps(tw_bound *b)
{
    tw_status st = TW_OK;
    const int64_t all = b->process->steps;
    const char *which = b->config->which;
    TW_TRY(tw_alloc(&b->kept, all, sizeof *b->kept, "times of the bound"));
    b->steps = all;
    for (int64_t k = 0; k < all; k++) b->kept[k] = k;
    if (which && *which) {
        st = tw_spacing_of_steps(b->kept, &b->steps, all, which);
        if (st != TW_OK) tw_error_prefix("likelihood.timesteps: ");
        TW_TRY(st);
    }
    TW_CHECK(b->steps >= 2, TW_ECONFIG,
             "likelihood.timesteps: '%s' keeps one step; the bound needs two or more", which);
done:
    return st;
}

static tw_status choose(tw_bound *b)
{
    tw_status st = TW_OK;
    const tw_likelihood_config *c = b->config;
    b->clip = c->clip == TW_BOUND_CLIP_YES || (c->clip == TW_BOUND_CLIP_AUTO && b->bytes);
    b->variance = c->variance;
    if (b->variance == TW_BOUND_AUTO)
        b->variance = b->score->eval_variance ? TW_BOUND_LEARNED : TW_BOUND_FIXED_LARGE;
    TW_CHECK(b->variance != TW_BOUND_LEARNED || b->score->eval_variance, TW_ECONFIG,
             "likelihood.variance: this network has no learned variance; fixedlarge and fixedsmall "
             "need none");
done:
    return st;
}

static tw_status allocate(tw_bound *b)
{
    tw_status st = TW_OK;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, b->batch, b->dims, "a batch of points"));
    TW_TRY(tw_alloc(&b->xt, numbers, sizeof *b->xt, "a batch of points"));
    TW_TRY(tw_alloc(&b->s, numbers, sizeof *b->s, "a batch of scores"));
    TW_TRY(tw_alloc(&b->v, numbers, sizeof *b->v, "a batch of variances"));
    TW_TRY(tw_alloc(&b->z, numbers, sizeof *b->z, "noise"));
    TW_TRY(tw_alloc(&b->t, b->batch, sizeof *b->t, "times"));
    TW_TRY(tw_alloc(&b->index, b->batch, sizeof *b->index, "indices"));
done:
    return st;
}

tw_status tw_bound_create(tw_bound **out, const tw_likelihood_config *config,
                          const tw_process *process, const tw_score *score, bool bytes)
{
    tw_status st = TW_OK;
    tw_bound *b = NULL;
    TW_TRY(tw_likelihood_check_bound(process));
    TW_TRY(tw_alloc(&b, 1, sizeof *b, "a variational bound"));
    b->config = config;
    b->process = process;
    b->score = score;
    b->bytes = bytes;
    b->dims = score->dims;
    b->batch = config->batch;
    TW_TRY(choose(b));
    TW_TRY(keep_steps(b));
    TW_TRY(allocate(b));
    *out = b;
    b = NULL;
done:
    tw_bound_destroy(&b);
    return st;
}

void tw_bound_destroy(tw_bound **bound)
{
    tw_bound *b = *bound;
    if (!b) return;
    tw_free(&b->kept);
    tw_free(&b->xt);
    tw_free(&b->s);
    tw_free(&b->v);
    tw_free(&b->z);
    tw_free(&b->t);
    tw_free(&b->index);
    tw_free(bound);
}

int64_t tw_bound_terms(const tw_bound *b)
{
    return b->steps + 1;
}

double tw_bound_time(const tw_bound *b, int64_t term)
{
    return term < b->steps ? (double)b->kept[term] : NAN;
}

/* ---- the last step: probability of a bin ---- */

/* log Q(x), Q(x) = P(z > x). Beyond 25 by the asymptotic series (Abramowitz and Stegun 7.1.23),
 * whose first term left out is 105 / x⁸ < 7e-10. */
static double log_upper(double x)
{
    if (x < 25) return log(0.5 * erfc(x * M_SQRT1_2));
    const double r = 1 / (x * x);
    return -0.5 * x * x - log(x) - 0.5 * log(2 * M_PI) + log1p(r * (-1 + r * (3 - 15 * r)));
}

double tw_bound_bin(double lower, double upper, double mean, double std)
{
    double a = (lower - mean) / std, b = (upper - mean) / std;
    if (a + b < 0) { /* the same by symmetry, where the tail's numbers keep their digits */
        const double mirrored = -b;
        b = -a;
        a = mirrored;
    }
    if (a == -INFINITY) return b == INFINITY ? 0 : -log1p(-exp(log_upper(b)));
    if (b == INFINITY) return -log_upper(a);
    if (a < 0) return -log(0.5 * (erf(b * M_SQRT1_2) - erf(a * M_SQRT1_2)));
    return -log_upper(a) - log1p(-exp(log_upper(b) - log_upper(a)));
}

/* As published, with its floor. */
static double published_cdf(double x)
{
    return 0.5 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double published_bin(double x0, double mean, double std)
{
    const double up = published_cdf((x0 + 1.0 / 255 - mean) / std),
                 down = published_cdf((x0 - 1.0 / 255 - mean) / std);
    const double p = x0 < -0.999 ? up : x0 > 0.999 ? 1 - down : up - down;
    return -log(fmax(p, 1e-12));
}

/* L_0 of one number. */
static double last_step(const tw_bound *b, double x0, double mean, double variance)
{
    const double std = sqrt(variance);
    if (!b->bytes) return 0.5 * ((x0 - mean) * (x0 - mean) / variance + log(2 * M_PI * variance));
    if (b->config->cdf == TW_BOUND_PUBLISHED) return published_bin(x0, mean, std);
    return tw_bound_bin(x0 < -0.999 ? -INFINITY : x0 - 1.0 / 255,
                        x0 > 0.999 ? INFINITY : x0 + 1.0 / 255, mean, std);
}

/* ---- the terms ---- */

/* What all numbers of a step share. */
typedef struct step {
    double alpha, sigma;        /* of x_t */
    tw_bridge q;                /* from s to t */
    double log_beta, log_tilde; /* β = σ_ts² and β̃, of which the first step's is the second's */
} step;

static step step_at(const tw_bound *b, int64_t k)
{
    const tw_process *p = b->process;
    const double t = (double)b->kept[k], s = k > 0 ? (double)b->kept[k - 1] : 0;
    step e = {.alpha = tw_process_alpha(p, t), .sigma = tw_process_sigma(p, t)};
    e.q = tw_bridge_between(k > 0 ? tw_process_alpha(p, s) : 1, k > 0 ? tw_process_sigma(p, s) : 0,
                            e.alpha, e.sigma);
    e.log_beta = 2 * log(e.q.sigma);
    e.log_tilde = k > 0 ? 2 * log(e.q.std) : step_at(b, 1).log_tilde;
    return e;
}

/* log variance of p(x_s | x_t): OpenAI's tables. */
static double log_variance(const tw_bound *b, const step *e, int64_t k, double v)
{
    switch (b->variance) {
    case TW_BOUND_LEARNED:
        return 0.5 * ((v + 1) * e->log_beta + (1 - v) * e->log_tilde);
    case TW_BOUND_FIXED_LARGE:
        return k > 0 ? e->log_beta : e->log_tilde;
    default:
        return e->log_tilde;
    }
}

static double term(const tw_bound *b, const step *e, int64_t k, const float *x0, const float *xt,
                   const float *s, const float *v)
{
    double sum = 0;
    for (int64_t d = 0; d < b->dims; d++) {
        double guess = ((double)xt[d] + e->sigma * e->sigma * (double)s[d]) / e->alpha;
        if (b->clip) guess = fmin(fmax(guess, -1), 1);
        const double log_v = log_variance(b, e, k, v ? (double)v[d] : 0),
                     off = e->q.x0 * ((double)x0[d] - guess);
        if (k == 0)
            sum += last_step(b, (double)x0[d], guess, exp(log_v));
        else
            sum += 0.5 *
                   (log_v - e->log_tilde + exp(e->log_tilde - log_v) - 1 + off * off * exp(-log_v));
    }
    return sum;
}

/* L_T of one sample. */
static double prior_term(const tw_bound *b, const float *x0)
{
    const tw_process *p = b->process;
    const double t = (double)b->kept[b->steps - 1], alpha = tw_process_alpha(p, t),
                 r = tw_process_sigma(p, t) / p->prior_std;
    double sum = 0;
    for (int64_t d = 0; d < b->dims; d++) {
        const double mean = alpha * (double)x0[d] / p->prior_std;
        sum += 0.5 * (r * r - 1 + mean * mean) - log(r);
    }
    return sum;
}

/* x_t of the batch, by the stream of each sample. */
static void perturb(tw_bound *b, const step *e, int64_t k, int64_t n, int64_t repeat,
                    const float *x0)
{
    for (int64_t i = 0; i < n; i++) {
        const tw_rng_stream stream = {.seed = (uint64_t)b->config->seed,
                                      .purpose = TW_RNG_BOUND,
                                      .position = b->index[i],
                                      .step = repeat * b->process->steps + b->kept[k]};
        tw_rng_normal(b->z + i * b->dims, &stream, 0, b->dims);
        b->t[i] = (double)b->kept[k];
    }
    for (int64_t j = 0; j < n * b->dims; j++)
        b->xt[j] = (float)(e->alpha * (double)x0[j] + e->sigma * (double)b->z[j]);
}

static tw_status run_step(tw_bound *b, int64_t k, int64_t n, int64_t repeat, const float *x0,
                          double *terms)
{
    tw_status st = TW_OK;
    const step e = step_at(b, k);
    const bool learned = b->variance == TW_BOUND_LEARNED;
    perturb(b, &e, k, n, repeat, x0);
    if (learned)
        TW_TRY(b->score->eval_variance(b->score->self, n, b->xt, b->t, b->index, b->s, b->v));
    else
        TW_TRY(b->score->eval(b->score->self, n, b->xt, b->t, b->index, b->s));
    for (int64_t i = 0; i < n; i++)
        terms[i * (b->steps + 1) + k] =
            term(b, &e, k, x0 + i * b->dims, b->xt + i * b->dims, b->s + i * b->dims,
                 learned ? b->v + i * b->dims : NULL);
done:
    return st;
}

tw_status tw_bound_run(tw_bound *b, int64_t first, int64_t n, int64_t repeat, const float *x,
                       double *terms)
{
    tw_status st = TW_OK;
    for (int64_t at = 0; at < n; at += b->batch) {
        const int64_t count = n - at < b->batch ? n - at : b->batch;
        double *out = terms + at * (b->steps + 1);
        for (int64_t i = 0; i < count; i++) {
            b->index[i] = first + at + i;
            out[i * (b->steps + 1) + b->steps] = prior_term(b, x + (at + i) * b->dims);
        }
        for (int64_t k = 0; k < b->steps; k++)
            TW_TRY(run_step(b, k, count, repeat, x + at * b->dims, out));
    }
done:
    return st;
}

tw_status tw_bound_describe(tw_text *out, const tw_bound *b)
{
    static const char *const variances[] = {"auto", "fixedlarge", "fixedsmall", "learned"};
    const tw_likelihood_config *c = b->config;
    return tw_text_add(
        out, "kind=bound variance=%s cdf=%s clip=%s timesteps=%s repeats=%lld seed=%lld batch=%lld",
        variances[b->variance],
        !b->bytes                      ? "density"
        : c->cdf == TW_BOUND_PUBLISHED ? "published"
                                       : "exact",
        b->clip ? "yes" : "no", c->which && *c->which ? c->which : "all", (long long)c->repeats,
        (long long)c->seed, (long long)b->batch);
}
