/* The flow with its log-density beside it. A state is x and one accumulated divergence for each
 * estimate: one where the trace is exact, one a probe where it is Hutchinson's, so that their
 * spread gives a standard error at no further cost. */
#include "tweedie/likelihood.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/rng.h"

struct tw_likelihood {
    const tw_likelihood_config *config;
    const tw_process *process;
    const tw_score *score;
    bool exact;
    int64_t dims, batch, estimates; /* accumulated numbers of a state */
    double epsilon;
    tw_solver *with_trace, *flow; /* states of dims + estimates numbers, and of dims */
    float *x, *s, *v, *jv;        /* [batch][dims] */
    float *probes;                /* [batch][estimates][dims], of the samples in the slots */
    int64_t *held;                /* [batch]: the index whose probes a slot holds; -1: none */
};

/* One call of run, encode or decode. */
typedef struct walk {
    tw_likelihood *l;
    int64_t first, n, repeat, taken, numbers;
    double from, to;
    const float *x;
    float *code;
    tw_likelihood_result *results;
    int64_t *evaluations;
} walk;

static tw_status check(const tw_likelihood *l)
{
    tw_status st = TW_OK;
    const tw_process *p = l->process;
    TW_CHECK(!tw_process_is_discrete(p), TW_ECONFIG,
             "likelihood.kind: %s has no probability-flow ODE; continuous processes have one (vp, "
             "subvp, ve, edm, flow), and discrete ones a variational bound: likelihood.kind = "
             "bound",
             p->kind->kind.name);
    TW_CHECK(l->score->vjp, TW_ECONFIG,
             "a likelihood needs vector-Jacobian products of the score, and this one has none");
    TW_CHECK(l->epsilon < p->end && tw_process_has_time(p, l->epsilon), TW_ECONFIG,
             "likelihood.epsilon: %g is not a time of the process before its end, %g", l->epsilon,
             p->end);
done:
    return st;
}

static tw_status allocate(tw_likelihood *l)
{
    tw_status st = TW_OK;
    const int64_t kept = l->exact ? 1 : l->estimates;
    int64_t numbers, all;
    const tw_solver_kind *kind = (const tw_solver_kind *)l->config->solver.kind;
    TW_TRY(tw_multiply(&numbers, l->batch, l->dims, "a batch of points"));
    TW_TRY(tw_multiply(&all, numbers, kept, "probe vectors"));
    TW_TRY(tw_alloc(&l->x, numbers, sizeof *l->x, "a batch of points"));
    TW_TRY(tw_alloc(&l->s, numbers, sizeof *l->s, "a batch of scores"));
    TW_TRY(tw_alloc(&l->v, numbers, sizeof *l->v, "probe vectors"));
    TW_TRY(tw_alloc(&l->jv, numbers, sizeof *l->jv, "vector-Jacobian products"));
    TW_TRY(tw_alloc(&l->probes, all, sizeof *l->probes, "probe vectors"));
    TW_TRY(tw_alloc(&l->held, l->batch, sizeof *l->held, "probe vectors"));
    TW_TRY(tw_solver_create(&l->with_trace, kind, l->config->solver.config, l->dims + l->estimates,
                            l->batch));
    TW_TRY(tw_solver_create(&l->flow, kind, l->config->solver.config, l->dims, l->batch));
done:
    return st;
}

tw_status tw_likelihood_create(tw_likelihood **out, const tw_likelihood_config *config,
                               const tw_process *process, const tw_score *score)
{
    tw_status st = TW_OK;
    tw_likelihood *l = NULL;
    TW_TRY(tw_alloc(&l, 1, sizeof *l, "a likelihood"));
    l->config = config;
    l->process = process;
    l->score = score;
    l->dims = score->dims;
    l->batch = config->batch;
    l->exact = config->trace == TW_TRACE_EXACT ||
               (config->trace == TW_TRACE_AUTO && l->dims <= TW_TRACE_EXACT_MOST);
    l->estimates = l->exact ? 1 : config->probes;
    l->epsilon = config->epsilon > 0 ? config->epsilon : process->start;
    TW_TRY(check(l));
    TW_TRY(allocate(l));
    *out = l;
    l = NULL;
done:
    tw_likelihood_destroy(&l);
    return st;
}

void tw_likelihood_destroy(tw_likelihood **likelihood)
{
    tw_likelihood *l = *likelihood;
    if (!l) return;
    tw_solver_destroy(&l->with_trace);
    tw_solver_destroy(&l->flow);
    tw_free(&l->x);
    tw_free(&l->s);
    tw_free(&l->v);
    tw_free(&l->jv);
    tw_free(&l->probes);
    tw_free(&l->held);
    tw_free(likelihood);
}

/* ---- the right-hand side ---- */

/* The probes of the samples in the slots, made when a slot gets another sample. */
static void hold_probes(const walk *w, const int64_t *index)
{
    tw_likelihood *l = w->l;
    if (l->exact) return;
    for (int64_t i = 0; i < l->batch; i++) {
        if (l->held[i] == index[i]) continue;
        l->held[i] = index[i];
        for (int64_t k = 0; k < l->estimates; k++) {
            const tw_rng_stream s = {.seed = (uint64_t)l->config->seed,
                                     .purpose = TW_RNG_PROBE,
                                     .position = index[i],
                                     .step = w->repeat * TW_LIKELIHOOD_PROBES + k};
            float *v = l->probes + (i * l->estimates + k) * l->dims;
            if (l->config->probe == TW_PROBE_OF_NORMALS)
                tw_rng_normal(v, &s, 0, l->dims);
            else
                tw_rng_rademacher(v, &s, 0, l->dims);
        }
    }
}

static void fill_probe(const tw_likelihood *l, int64_t k)
{
    if (l->exact) memset(l->v, 0, (size_t)(l->batch * l->dims) * sizeof *l->v);
    for (int64_t i = 0; i < l->batch; i++) {
        if (l->exact)
            l->v[i * l->dims + k] = 1;
        else
            memcpy(l->v + i * l->dims, l->probes + (i * l->estimates + k) * l->dims,
                   (size_t)l->dims * sizeof *l->v);
    }
}

static double product(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += (double)a[k] * (double)b[k];
    return sum;
}

/* The states' first dims numbers as floats. */
static void take_points(const walk *w, int64_t slots, const double *y)
{
    for (int64_t i = 0; i < slots; i++)
        for (int64_t k = 0; k < w->l->dims; k++)
            w->l->x[i * w->l->dims + k] = (float)y[i * w->numbers + k];
}

static void drift(const walk *w, int64_t slots, const double *y, const double *t, double *dy)
{
    const tw_likelihood *l = w->l;
    for (int64_t i = 0; i < slots; i++) {
        const double f = l->process->kind->drift(l->process, t[i]),
                     g = l->process->kind->diffusion(l->process, t[i]);
        for (int64_t k = 0; k < l->dims; k++)
            dy[i * w->numbers + k] =
                f * y[i * w->numbers + k] - 0.5 * g * g * (double)l->s[i * l->dims + k];
    }
}

static tw_status slope_of_flow(void *self, int64_t slots, const double *y, const double *t,
                               const int64_t *index, double *dy)
{
    tw_status st = TW_OK;
    const walk *w = self;
    const tw_likelihood *l = w->l;
    take_points(w, slots, y);
    TW_TRY(l->score->eval(l->score->self, slots, l->x, t, index, l->s));
    drift(w, slots, y, t, dy);
done:
    return st;
}

/* The accumulated divergences: f D − ½ g² vᵀ J v, of the exact trace summed over the unit vectors.
 */
static tw_status slope_with_trace(void *self, int64_t slots, const double *y, const double *t,
                                  const int64_t *index, double *dy)
{
    tw_status st = TW_OK;
    const walk *w = self;
    const tw_likelihood *l = w->l;
    const int64_t products = l->exact ? l->dims : l->estimates;
    take_points(w, slots, y);
    hold_probes(w, index);
    for (int64_t i = 0; i < slots; i++)
        for (int64_t k = 0; k < l->estimates; k++)
            dy[i * w->numbers + l->dims + k] =
                l->process->kind->drift(l->process, t[i]) * (double)l->dims;
    for (int64_t k = 0; k < products; k++) {
        fill_probe(l, k);
        TW_TRY(l->score->vjp(l->score->self, slots, l->x, t, index, l->v, k == 0 ? l->s : NULL,
                             l->jv));
        for (int64_t i = 0; i < slots; i++) {
            const double g = l->process->kind->diffusion(l->process, t[i]);
            dy[i * w->numbers + l->dims + (l->exact ? 0 : k)] -=
                0.5 * g * g * product(l->v + i * l->dims, l->jv + i * l->dims, l->dims);
        }
    }
    drift(w, slots, y, t, dy);
done:
    return st;
}

/* ---- samples in and out ---- */

static bool next(void *self, double *y, int64_t *index, double *from, double *to)
{
    walk *w = self;
    const int64_t dims = w->l->dims;
    if (w->taken == w->n) return false;
    for (int64_t k = 0; k < w->numbers; k++)
        y[k] = k < dims ? (double)w->x[w->taken * dims + k] : 0;
    *index = w->first + w->taken++;
    *from = w->from;
    *to = w->to;
    return true;
}

/* log N(x; 0, std² I). */
static double log_prior(const tw_process *p, const double *x, int64_t dims)
{
    double squares = 0;
    for (int64_t k = 0; k < dims; k++) squares += x[k] * x[k];
    return -0.5 * squares / (p->prior_std * p->prior_std) -
           (double)dims * (log(p->prior_std) + 0.5 * log(2 * M_PI));
}

/* Mean and standard error of the estimates' divergences. */
static void estimate(const double *value, int64_t n, double *mean, double *error)
{
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < n; k++) sum += value[k];
    for (int64_t k = 0; k < n; k++) squares += pow(value[k] - sum / (double)n, 2);
    *mean = sum / (double)n;
    *error = n > 1 ? sqrt(squares / (double)(n * (n - 1))) : NAN;
}

static tw_status done_one(void *self, int64_t index, const double *y, int64_t evaluations)
{
    walk *w = self;
    const tw_likelihood *l = w->l;
    const int64_t i = index - w->first;
    for (int64_t k = 0; w->code && k < l->dims; k++) w->code[i * l->dims + k] = (float)y[k];
    if (w->evaluations) w->evaluations[i] = evaluations;
    if (!w->results) return TW_OK;
    tw_likelihood_result *r = &w->results[i];
    double divergence;
    estimate(y + l->dims, l->estimates, &divergence, &r->error);
    if (l->exact) r->error = 0;
    r->prior = log_prior(l->process, y, l->dims);
    r->logp = r->prior + divergence;
    r->evaluations = evaluations;
    return TW_OK;
}

static tw_status go(walk *w, tw_solver *solver, bool with_trace)
{
    const tw_ode ode = {.self = w,
                        .numbers = w->numbers,
                        .slope = with_trace ? slope_with_trace : slope_of_flow,
                        .next = next,
                        .done = done_one};
    for (int64_t i = 0; i < w->l->batch; i++) w->l->held[i] = -1;
    return tw_solver_run(solver, &ode);
}

tw_status tw_likelihood_run(tw_likelihood *l, int64_t first, int64_t n, int64_t repeat,
                            const float *x, tw_likelihood_result *results, float *code)
{
    walk w = {.l = l,
              .first = first,
              .n = n,
              .repeat = repeat,
              .numbers = l->dims + l->estimates,
              .from = l->epsilon,
              .to = l->process->end,
              .x = x,
              .code = code,
              .results = results};
    return go(&w, l->with_trace, true);
}

static tw_status carry(tw_likelihood *l, int64_t first, int64_t n, double from, double to, float *x,
                       int64_t *evaluations)
{
    walk w = {.l = l,
              .first = first,
              .n = n,
              .numbers = l->dims,
              .from = from,
              .to = to,
              .x = x,
              .code = x,
              .evaluations = evaluations};
    return go(&w, l->flow, false);
}

tw_status tw_likelihood_encode(tw_likelihood *l, int64_t first, int64_t n, float *x,
                               int64_t *evaluations)
{
    return carry(l, first, n, l->epsilon, l->process->end, x, evaluations);
}

tw_status tw_likelihood_decode(tw_likelihood *l, int64_t first, int64_t n, float *x,
                               int64_t *evaluations)
{
    return carry(l, first, n, l->process->end, l->epsilon, x, evaluations);
}

/* ---- bytes ---- */

void tw_dequantise(uint64_t seed, int64_t repeat, int64_t first, int64_t n, int64_t dims, float *x)
{
    enum { PIECE = 1024 };
    float u[PIECE];
    for (int64_t i = 0; i < n; i++) {
        const tw_rng_stream s = {
            .seed = seed, .purpose = TW_RNG_DEQUANTISE, .position = first + i, .step = repeat};
        for (int64_t k = 0; k < dims; k += PIECE) {
            const int64_t count = dims - k < PIECE ? dims - k : PIECE;
            tw_rng_uniform(u, &s, k, count);
            for (int64_t j = 0; j < count; j++) {
                float *v = &x[i * dims + k + j];
                *v = (float)(((double)*v + 1) * 127.5 / 128 + (double)u[j] / 128 - 1);
            }
        }
    }
}

double tw_bits_per_dimension(double logp, int64_t dims)
{
    return -logp / ((double)dims * M_LN2) + 7;
}

tw_status tw_likelihood_describe(tw_text *out, const tw_likelihood *l)
{
    tw_status st = TW_OK;
    char epsilon[TW_TEXT_DOUBLE_MAX];
    const tw_likelihood_config *c = l->config;
    tw_text_from_double(epsilon, l->epsilon);
    TW_TRY(tw_text_add(out, "solver="));
    TW_TRY(tw_choice_describe(out, &c->solver));
    if (l->exact)
        TW_TRY(tw_text_add(out, " trace=exact"));
    else
        TW_TRY(tw_text_add(out, " trace=hutchinson probe=%s probes=%lld",
                           c->probe == TW_PROBE_OF_NORMALS ? "gaussian" : "rademacher",
                           (long long)c->probes));
    TW_TRY(tw_text_add(out, " repeats=%lld epsilon=%s seed=%llu batch=%lld", (long long)c->repeats,
                       epsilon, (unsigned long long)c->seed, (long long)l->batch));
done:
    return st;
}
