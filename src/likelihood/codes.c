/* Codes by the flow, or by DDIM and its inversion. */
#include "tweedie/likelihood_codes.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

struct tw_codes {
    const tw_likelihood_config *config;
    const tw_process *process;
    const tw_score *score;
    tw_likelihood *flow; /* NULL where the process is discrete */
    int64_t dims, batch, steps;
    int64_t *kept;   /* [steps]: times, ascending */
    float *next, *s; /* [batch][dims] */
    double *t;       /* [batch] */
    int64_t *index;  /* [batch] */
};

static tw_status keep_steps(tw_codes *c)
{
    tw_status st = TW_OK;
    const tw_process *p = c->process;
    const char *which = c->config->which;
    TW_CHECK(p->steps >= 2, TW_ECONFIG,
             "process.kind: %s has one noise level and no codes; continuous processes (vp, subvp, "
             "ve, edm, flow) and ddpm have",
             p->kind->kind.name);
    TW_TRY(tw_alloc(&c->kept, p->steps, sizeof *c->kept, "times of DDIM"));
    c->steps = p->steps;
    for (int64_t k = 0; k < c->steps; k++) c->kept[k] = k;
    if (which && *which) {
        st = tw_spacing_of_steps(c->kept, &c->steps, p->steps, which);
        if (st != TW_OK) tw_error_prefix("likelihood.timesteps: ");
    }
done:
    return st;
}

static tw_status allocate(tw_codes *c)
{
    tw_status st = TW_OK;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, c->batch, c->dims, "a batch of points"));
    TW_TRY(tw_alloc(&c->next, numbers, sizeof *c->next, "a batch of points"));
    TW_TRY(tw_alloc(&c->s, numbers, sizeof *c->s, "a batch of scores"));
    TW_TRY(tw_alloc(&c->t, c->batch, sizeof *c->t, "times"));
    TW_TRY(tw_alloc(&c->index, c->batch, sizeof *c->index, "indices"));
done:
    return st;
}

tw_status tw_codes_create(tw_codes **out, const tw_likelihood_config *config,
                          const tw_process *process, const tw_score *score)
{
    tw_status st = TW_OK;
    tw_codes *c = NULL;
    TW_TRY(tw_alloc(&c, 1, sizeof *c, "codes"));
    c->config = config;
    c->process = process;
    c->score = score;
    c->dims = score->dims;
    c->batch = config->batch;
    if (tw_process_is_discrete(process)) {
        TW_TRY(keep_steps(c));
        TW_TRY(allocate(c));
    } else
        TW_TRY(tw_likelihood_create(&c->flow, config, process, score));
    *out = c;
    c = NULL;
done:
    tw_codes_destroy(&c);
    return st;
}

void tw_codes_destroy(tw_codes **codes)
{
    tw_codes *c = *codes;
    if (!c) return;
    tw_likelihood_destroy(&c->flow);
    tw_free(&c->kept);
    tw_free(&c->next);
    tw_free(&c->s);
    tw_free(&c->t);
    tw_free(&c->index);
    tw_free(codes);
}

/* ---- DDIM ---- */

/* α and σ of entry k of the kept times; −1: the data. */
typedef struct moments {
    double alpha, sigma;
} moments;

static moments moments_at(const tw_codes *c, int64_t k)
{
    const double t = k < 0 ? 0 : (double)c->kept[k];
    return k < 0 ? (moments){.alpha = 1}
                 : (moments){.alpha = tw_process_alpha(c->process, t),
                             .sigma = tw_process_sigma(c->process, t)};
}

static tw_status score_at(tw_codes *c, int64_t n, const float *x, int64_t k)
{
    for (int64_t i = 0; i < n; i++) c->t[i] = (double)c->kept[k];
    return c->score->eval(c->score->self, n, x, c->t, c->index, c->s);
}

/* out = (α' / α) x + (σ' − σ α' / α) ε̂,  ε̂ = −σ_k s of the score that was evaluated at entry k. */
static void move(const tw_codes *c, int64_t n, float *out, const float *x, moments from, moments to,
                 double sigma_k)
{
    const double ratio = to.alpha / from.alpha, of_noise = to.sigma - from.sigma * ratio;
    for (int64_t j = 0; j < n * c->dims; j++)
        out[j] = (float)(ratio * (double)x[j] - of_noise * sigma_k * (double)c->s[j]);
}

/* From entry k − 1 to k. The score of the data is asked for at the first time. */
static tw_status forth(tw_codes *c, int64_t n, float *x, int64_t k)
{
    tw_status st = TW_OK;
    const moments from = moments_at(c, k - 1), to = moments_at(c, k);
    const int64_t asked = k > 0 ? k - 1 : 0;
    TW_TRY(score_at(c, n, x, asked));
    move(c, n, c->next, x, from, to, moments_at(c, asked).sigma);
    for (int64_t i = 0; i < c->config->inversions; i++) {
        TW_TRY(score_at(c, n, c->next, k));
        move(c, n, c->next, x, from, to, to.sigma);
    }
    memcpy(x, c->next, (size_t)(n * c->dims) * sizeof *x);
done:
    return st;
}

static tw_status back(tw_codes *c, int64_t n, float *x, int64_t k)
{
    tw_status st = TW_OK;
    const moments from = moments_at(c, k);
    TW_TRY(score_at(c, n, x, k));
    move(c, n, x, x, from, moments_at(c, k - 1), from.sigma);
done:
    return st;
}

static tw_status ddim(tw_codes *c, int64_t first, int64_t n, float *x, int64_t *evaluations,
                      bool encode)
{
    tw_status st = TW_OK;
    const int64_t each = c->steps * (encode ? 1 + c->config->inversions : 1);
    for (int64_t at = 0; at < n; at += c->batch) {
        const int64_t count = n - at < c->batch ? n - at : c->batch;
        float *rows = x + at * c->dims;
        for (int64_t i = 0; i < count; i++) {
            c->index[i] = first + at + i;
            evaluations[at + i] = each;
        }
        for (int64_t k = 0; k < c->steps; k++)
            TW_TRY(encode ? forth(c, count, rows, k) : back(c, count, rows, c->steps - 1 - k));
    }
done:
    return st;
}

/* ---- either ---- */

tw_status tw_codes_encode(tw_codes *c, int64_t first, int64_t n, float *x, int64_t *evaluations)
{
    return c->flow ? tw_likelihood_encode(c->flow, first, n, x, evaluations)
                   : ddim(c, first, n, x, evaluations, true);
}

tw_status tw_codes_decode(tw_codes *c, int64_t first, int64_t n, float *x, int64_t *evaluations)
{
    return c->flow ? tw_likelihood_decode(c->flow, first, n, x, evaluations)
                   : ddim(c, first, n, x, evaluations, false);
}

tw_status tw_codes_encode_with_logp(tw_codes *c, int64_t first, int64_t n, float *x,
                                    tw_likelihood_result *results)
{
    if (!c->flow)
        return tw_error_set(TW_ECONFIG,
                            "process.kind: %s has no exact log p beside its codes; `tweedie "
                            "likelihood` gives the variational bound of discrete processes",
                            c->process->kind->kind.name);
    return tw_likelihood_run(c->flow, first, n, 0, x, results, x);
}

void tw_codes_interpolate(float *out, const float *a, const float *b, int64_t dims, double u)
{
    double aa = 0, bb = 0, ab = 0;
    for (int64_t k = 0; k < dims; k++) {
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
        ab += (double)a[k] * (double)b[k];
    }
    const double norms = sqrt(aa * bb), angle = norms > 0 ? acos(fmin(fmax(ab / norms, -1), 1)) : 0;
    /* nearly parallel, or opposite, where no great circle is the one: along the chord */
    const bool chord = sin(angle) < 1e-6;
    const double of_a = chord ? 1 - u : sin((1 - u) * angle) / sin(angle),
                 of_b = chord ? u : sin(u * angle) / sin(angle);
    for (int64_t k = 0; k < dims; k++) out[k] = (float)(of_a * (double)a[k] + of_b * (double)b[k]);
}

tw_status tw_codes_describe(tw_text *out, const tw_codes *c)
{
    const char *which = c->config->which;
    if (c->flow) return tw_likelihood_describe(out, c->flow);
    return tw_text_add(out, "codes=ddim timesteps=%s inversions=%lld batch=%lld",
                       which && *which ? which : "all", (long long)c->config->inversions,
                       (long long)c->batch);
}
