/* The probability-flow ODE (Song et al. 2021, equation 13), which has the marginals of the SDE and
 * no noise beyond the prior's:
 *
 *   dx/dt = f(t) x − ½ g(t)² s(x, t),   from the process's end to epsilon,
 *
 * then (sample.denoise) one step of Tweedie's formula to the data. The state is double, the score
 * float. Each sample has its own steps, and its slot takes the next sample when it is done. */
#include <string.h>

#include "sample/sampler.h"

typedef struct flow {
    tw_sampler *s;
    int64_t first, n, taken, finished;
    double end, epsilon;
    float *x; /* [n][dims]: results */
} flow;

static tw_status check(const void *config, const tw_part_use *use)
{
    (void)config;
    if (!tw_process_is_discrete(use->process)) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "sample.kind: the probability-flow ODE needs a process in continuous time "
                        "(vp, subvp, ve, edm, flow); process.kind is %s, for which there is ddim",
                        use->process->kind->kind.name);
}

static tw_status slope(void *self, int64_t slots, const double *y, const double *t,
                       const int64_t *index, double *dy)
{
    tw_status st = TW_OK;
    const flow *f = self;
    const tw_sampler *s = f->s;
    const int64_t dims = s->dims;
    float *x = s->loop_scratch[0];
    for (int64_t k = 0; k < slots * dims; k++) x[k] = (float)y[k];
    TW_TRY(s->score->eval(s->score->self, slots, x, t, index, s->b.s));
    for (int64_t i = 0; i < slots; i++) {
        const double drift = s->process->kind->drift(s->process, t[i]),
                     g = s->process->kind->diffusion(s->process, t[i]);
        for (int64_t k = i * dims; k < (i + 1) * dims; k++)
            dy[k] = drift * y[k] - 0.5 * g * g * (double)s->b.s[k];
    }
done:
    return st;
}

/* The prior of the next index. One row of the batch is enough for it. */
static bool next(void *self, double *y, int64_t *index, double *from, double *to)
{
    flow *f = self;
    tw_batch *b = &f->s->b;
    if (f->taken == f->n) return false;
    tw_batch one = *b;
    one.n = 1;
    *index = f->first + f->taken++;
    one.index[0] = *index;
    tw_sampler_prior(f->s, &one);
    for (int64_t k = 0; k < f->s->dims; k++) y[k] = (double)one.x[k];
    *from = f->end;
    *to = f->epsilon;
    return true;
}

static tw_status done_one(void *self, int64_t index, const double *y, int64_t evaluations)
{
    flow *f = self;
    tw_sampler *s = f->s;
    float *x = f->x + (index - f->first) * s->dims;
    for (int64_t k = 0; k < s->dims; k++) x[k] = (float)y[k];
    s->evaluations += evaluations;
    s->total_steps = f->n;
    return tw_sampler_step_done(s, &s->b, ++f->finished);
}

/* Tweedie's formula at epsilon, in full batches. */
static tw_status denoise(flow *f)
{
    tw_status st = TW_OK;
    tw_sampler *s = f->s;
    tw_batch *b = &s->b;
    const tw_point at = tw_point_at(s->process, f->epsilon);
    const tw_linear_step step = {.x0 = 1};
    const int64_t bytes = s->dims * (int64_t)sizeof *b->x;
    for (int64_t first = 0; first < f->n; first += b->n) {
        const int64_t n = f->n - first < b->n ? f->n - first : b->n;
        for (int64_t i = 0; i < b->n; i++) {
            const int64_t row = first + (i < n ? i : n - 1);
            memcpy(b->x + i * s->dims, f->x + row * s->dims, (size_t)bytes);
            b->index[i] = f->first + row;
        }
        TW_TRY(tw_batch_score(b, b->x, at.t));
        tw_batch_linear(b, &at, &step);
        memcpy(f->x + first * s->dims, b->x, (size_t)(n * bytes));
    }
done:
    return st;
}

static tw_status stream(const void *config, tw_sampler *s, int64_t first, int64_t n, float *x)
{
    tw_status st = TW_OK;
    const double given = s->config->epsilon;
    flow f = {.s = s,
              .first = first,
              .n = n,
              .end = s->process->end,
              .epsilon = given > 0 ? given : s->process->epsilon,
              .x = x};
    const tw_ode ode = {
        .self = &f, .numbers = s->dims, .slope = slope, .next = next, .done = done_one};
    (void)config;
    TW_TRY(tw_solver_run(s->solver, &ode));
    if (s->config->denoise) TW_TRY(denoise(&f));
done:
    return st;
}

const tw_loop tw_loop_ode = {
    .kind = {"ode", "the probability-flow ODE"},
    .solver = true,
    .usual_solver = "dopri5",
    .check = check,
    .scratch = 1,
    .stream = stream,
};
