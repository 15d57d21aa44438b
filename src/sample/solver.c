/* Runge–Kutta over slots. Each slot is a small machine that asks for one evaluation at a time: the
 * slope at its start, a probe for its first step, the stages of a step. A round evaluates what all
 * slots ask for at once, then each goes on by itself; so slots need not be in step, and none waits.
 *
 * Step control of an adaptive method is that of scipy's RK45 (Hairer, Nørsett, Wanner 1993, II.4)
 * by sample: the error's root mean square over the state, factor 0.9 error^(−1/order) in [0.2, 10],
 * no growth after a rejection; the first step by their algorithm with one probe. */
#include "tweedie/solver.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

typedef enum phase { IDLE, START, PROBE, STAGE, LAST } phase;

typedef struct slot {
    phase phase;
    int stage; /* that was asked for */
    int64_t index, evaluations, steps_left;
    double t, to, h; /* h has the sign of the direction */
    bool rejected;
    double d0, d1, h0; /* of the first step */
} slot;

struct tw_solver {
    const tw_tableau *tableau;
    double rtol, atol;
    int64_t steps, numbers, slots;
    slot *slot;
    double *y, *trial, *asked, *answer,
        *k; /* [slots][numbers]; k [slots][TW_ODE_STAGES + 1][numbers] */
    double *at;
    int64_t *index;
    int64_t evaluations, useful;
};

tw_status tw_solver_create(tw_solver **out, const tw_solver_kind *kind, const void *config,
                           int64_t numbers, int64_t slots)
{
    tw_status st = TW_OK;
    tw_solver *s = NULL;
    int64_t all, stages;
    TW_TRY(tw_multiply(&all, numbers, slots, "an ODE's states"));
    TW_TRY(tw_multiply(&stages, all, TW_ODE_STAGES + 1, "an ODE's stages"));
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a solver"));
    s->tableau = kind->tableau;
    s->numbers = numbers;
    s->slots = slots;
    kind->settings(config, &s->rtol, &s->atol, &s->steps);
    TW_TRY(tw_alloc(&s->slot, slots, sizeof *s->slot, "a solver"));
    TW_TRY(tw_alloc(&s->y, all, sizeof *s->y, "an ODE's states"));
    TW_TRY(tw_alloc(&s->trial, all, sizeof *s->trial, "an ODE's states"));
    TW_TRY(tw_alloc(&s->asked, all, sizeof *s->asked, "an ODE's states"));
    TW_TRY(tw_alloc(&s->answer, all, sizeof *s->answer, "an ODE's slopes"));
    TW_TRY(tw_alloc(&s->k, stages, sizeof *s->k, "an ODE's stages"));
    TW_TRY(tw_alloc(&s->at, slots, sizeof *s->at, "an ODE's times"));
    TW_TRY(tw_alloc(&s->index, slots, sizeof *s->index, "an ODE's indices"));
    *out = s;
    s = NULL;
done:
    tw_solver_destroy(&s);
    return st;
}

void tw_solver_destroy(tw_solver **solver)
{
    tw_solver *s = *solver;
    if (!s) return;
    tw_free(&s->slot);
    tw_free(&s->y);
    tw_free(&s->trial);
    tw_free(&s->asked);
    tw_free(&s->answer);
    tw_free(&s->k);
    tw_free(&s->at);
    tw_free(&s->index);
    tw_free(solver);
}

void tw_solver_counts(const tw_solver *s, int64_t *evaluations, double *busy)
{
    *evaluations = s->useful;
    *busy = s->evaluations ? (double)s->useful / (double)s->evaluations : 1;
}

/* ---- what a slot asks for ---- */

static double *stage_of(const tw_solver *s, int64_t i, int stage)
{
    return s->k + (i * (TW_ODE_STAGES + 1) + stage) * s->numbers;
}

static void ask(tw_solver *s, int64_t i, double t, const double *y)
{
    memcpy(s->asked + i * s->numbers, y, (size_t)s->numbers * sizeof *y);
    s->at[i] = t;
}

/* y + h Σ weight_j k_j over the first n stages. */
static void combine(const tw_solver *s, int64_t i, const double *weight, int n, double *out)
{
    const double *y = s->y + i * s->numbers, h = s->slot[i].h;
    memcpy(out, y, (size_t)s->numbers * sizeof *y);
    for (int j = 0; j < n; j++) {
        const double *k = stage_of(s, i, j), w = h * weight[j];
        if (w != 0)
            for (int64_t d = 0; d < s->numbers; d++) out[d] += w * k[d];
    }
}

static void ask_stage(tw_solver *s, int64_t i, int stage)
{
    slot *q = &s->slot[i];
    q->phase = STAGE;
    q->stage = stage;
    combine(s, i, s->tableau->a[stage], stage, s->asked + i * s->numbers);
    s->at[i] = q->t + s->tableau->c[stage] * q->h;
}

/* The step's stages after the first, which is known. */
static tw_status begin_step(tw_solver *s, const tw_ode *ode, int64_t i);
static tw_status finish(tw_solver *s, const tw_ode *ode, int64_t i);

/* ---- the first step ---- */

/* Root mean square of x / (atol + rtol |y|). */
static double scaled(const tw_solver *s, const double *x, const double *y)
{
    double sum = 0;
    for (int64_t d = 0; d < s->numbers; d++) {
        const double r = x[d] / (s->atol + s->rtol * fabs(y[d]));
        sum += r * r;
    }
    return sqrt(sum / (double)s->numbers);
}

/* The first step of Hairer, Nørsett, Wanner (II.4, "starting step size"): with d0 = |y|, d1 = |f|
 * scaled by the tolerances, h0 = 0.01 d0 / d1 keeps an Euler step to a hundredth of the state; its
 * end is probed for the second derivative. A fixed number of steps needs none of it. */
static tw_status started(tw_solver *s, const tw_ode *ode, int64_t i)
{
    slot *q = &s->slot[i];
    const double *y = s->y + i * s->numbers, *f = stage_of(s, i, 0);
    const double length = fabs(q->to - q->t), sign = q->to > q->t ? 1 : -1;
    if (!s->tableau->adaptive) {
        q->h = sign * length / (double)s->steps;
        return begin_step(s, ode, i);
    }
    q->d0 = scaled(s, y, y);
    q->d1 = scaled(s, f, y);
    q->h0 = q->d0 < 1e-5 || q->d1 < 1e-5 ? 1e-6 : 0.01 * q->d0 / q->d1;
    q->h0 = fmin(q->h0, length);
    q->h = sign * q->h0;
    const double one = 1;
    combine(s, i, &one, 1, s->asked + i * s->numbers);
    s->at[i] = q->t + q->h;
    q->phase = PROBE;
    return TW_OK;
}

/* d2 = |f1 − f0| / h0 stands for the second derivative, and h1 solves h1^q max(d1, d2) = 0.01 with
 * q the order of the method; no more than a hundred times what has been looked at. */
static tw_status probed(tw_solver *s, const tw_ode *ode, int64_t i)
{
    slot *q = &s->slot[i];
    const double *y = s->y + i * s->numbers, *f0 = stage_of(s, i, 0),
                 *f1 = s->answer + i * s->numbers;
    double *difference = s->trial + i * s->numbers;
    for (int64_t d = 0; d < s->numbers; d++) difference[d] = f1[d] - f0[d];
    const double d2 = scaled(s, difference, y) / q->h0, most = fmax(q->d1, d2);
    const double h1 =
        most <= 1e-15 ? fmax(1e-6, 1e-3 * q->h0) : pow(0.01 / most, 1.0 / (s->tableau->order));
    const double length = fabs(q->to - q->t);
    q->h = copysign(fmin(fmin(100 * q->h0, h1), length), q->h);
    return begin_step(s, ode, i);
}

/* ---- a step ---- */

/* All stages are there: y', and the slope there, which is the error's last term and the next step's
 * first stage; after the last of equal steps nobody asks for it. */
static tw_status end_of_stages(tw_solver *s, const tw_ode *ode, int64_t i)
{
    slot *q = &s->slot[i];
    double *trial = s->trial + i * s->numbers;
    q->phase = LAST;
    combine(s, i, s->tableau->b, s->tableau->stages, trial);
    if (!s->tableau->adaptive && q->h == q->to - q->t) {
        memcpy(s->y + i * s->numbers, trial, (size_t)s->numbers * sizeof *trial);
        return finish(s, ode, i);
    }
    ask(s, i, q->t + q->h, trial);
    return TW_OK;
}

static tw_status begin_step(tw_solver *s, const tw_ode *ode, int64_t i)
{
    slot *q = &s->slot[i];
    if (fabs(q->h) >= fabs(q->to - q->t)) q->h = q->to - q->t;
    if (!s->tableau->adaptive && q->steps_left == 1) q->h = q->to - q->t;
    if (s->tableau->stages == 1) return end_of_stages(s, ode, i);
    ask_stage(s, i, 1);
    return TW_OK;
}

/* h Σ e_j k_j, e = b − b̂ of the embedded method, the last of them the slope at the new point. In
 * units of the tolerance, the larger of both ends counting, so 1 is what is allowed. */
static double error_of(const tw_solver *s, int64_t i)
{
    const double *y = s->y + i * s->numbers, *trial = s->trial + i * s->numbers;
    const double h = s->slot[i].h;
    double sum = 0;
    for (int64_t d = 0; d < s->numbers; d++) {
        double e = s->tableau->e[s->tableau->stages] * stage_of(s, i, s->tableau->stages)[d];
        for (int j = 0; j < s->tableau->stages; j++) e += s->tableau->e[j] * stage_of(s, i, j)[d];
        const double r = h * e / (s->atol + s->rtol * fmax(fabs(y[d]), fabs(trial[d])));
        sum += r * r;
    }
    return sqrt(sum / (double)s->numbers);
}

/* First same as last: the slope at the new point is the next step's first stage, so an accepted
 * step of DOPRI5 costs six evaluations. */
static tw_status accept(tw_solver *s, const tw_ode *ode, int64_t i, double factor)
{
    slot *q = &s->slot[i];
    const bool last = q->h == q->to - q->t;
    memcpy(s->y + i * s->numbers, s->trial + i * s->numbers, (size_t)s->numbers * sizeof *s->y);
    memcpy(stage_of(s, i, 0), stage_of(s, i, s->tableau->stages),
           (size_t)s->numbers * sizeof *s->k);
    q->t = last ? q->to : q->t + q->h;
    q->steps_left--;
    q->h *= factor;
    q->rejected = false;
    if (last || q->t == q->to) return finish(s, ode, i);
    return begin_step(s, ode, i);
}

static tw_status judge(tw_solver *s, const tw_ode *ode, int64_t i)
{
    tw_status st = TW_OK;
    slot *q = &s->slot[i];
    const tw_tableau *tableau = s->tableau;
    if (!tableau->adaptive) return accept(s, ode, i, 1);
    const double error = error_of(s, i);
    if (error < 1) {
        const double most = q->rejected ? 1 : 10;
        const double factor =
            error == 0 ? most : fmin(most, 0.9 * pow(error, -1.0 / tableau->order));
        return accept(s, ode, i, fmax(factor, 0.2));
    }
    /* a NaN is no error below 1 either */
    q->h *= isfinite(error) ? fmax(0.2, 0.9 * pow(error, -1.0 / tableau->order)) : 0.2;
    q->rejected = true;
    TW_CHECK(fabs(q->h) > 10 * (nextafter(fabs(q->t), INFINITY) - fabs(q->t)), TW_EDIVERGED,
             "sample %lld: the solver's step became too small at time %g: the score is not finite "
             "there, or changes too fast; a larger sample.epsilon or sample.rtol may help",
             (long long)q->index, q->t);
    return begin_step(s, ode, i);
done:
    return st;
}

/* ---- slots ---- */

static void load(tw_solver *s, const tw_ode *ode, int64_t i)
{
    slot *q = &s->slot[i];
    *q = (slot){.phase = IDLE};
    if (!ode->next(ode->self, s->y + i * s->numbers, &q->index, &q->t, &q->to)) return;
    q->phase = START;
    q->steps_left = s->steps;
    s->index[i] = q->index;
    ask(s, i, q->t, s->y + i * s->numbers);
}

static tw_status finish(tw_solver *s, const tw_ode *ode, int64_t i)
{
    slot *q = &s->slot[i];
    const tw_status st = ode->done(ode->self, q->index, s->y + i * s->numbers, q->evaluations);
    load(s, ode, i);
    return st;
}

/* A slot without a sample asks for what another does: the plan runs a fixed batch, and
 * what is left of a finished sample need not be a state that the score is defined at. @return how
 * many have one */
static int64_t fill_idle(tw_solver *s)
{
    int64_t busy = 0, some = -1;
    for (int64_t i = 0; i < s->slots; i++)
        if (s->slot[i].phase != IDLE) {
            busy++;
            some = i;
        }
    for (int64_t i = 0; i < s->slots && some >= 0; i++) {
        if (s->slot[i].phase != IDLE) continue;
        ask(s, i, s->at[some], s->asked + some * s->numbers);
        s->index[i] = s->index[some];
    }
    return busy;
}

static tw_status advance(tw_solver *s, const tw_ode *ode, int64_t i)
{
    slot *q = &s->slot[i];
    const double *answer = s->answer + i * s->numbers;
    const size_t bytes = (size_t)s->numbers * sizeof *answer;
    q->evaluations++;
    switch (q->phase) {
    case IDLE:
        break;
    case START:
        memcpy(stage_of(s, i, 0), answer, bytes);
        if (q->t == q->to) return finish(s, ode, i);
        return started(s, ode, i);
    case PROBE:
        return probed(s, ode, i);
    case STAGE:
        memcpy(stage_of(s, i, q->stage), answer, bytes);
        if (q->stage + 1 < s->tableau->stages)
            ask_stage(s, i, q->stage + 1);
        else
            return end_of_stages(s, ode, i);
        break;
    case LAST:
        memcpy(stage_of(s, i, s->tableau->stages), answer, bytes);
        return judge(s, ode, i);
    }
    return TW_OK;
}

/* A slot's arithmetic involves its own numbers alone and the score is per sample, so which samples
 * share a round does not change any of them. */
tw_status tw_solver_run(tw_solver *s, const tw_ode *ode)
{
    tw_status st = TW_OK;
    int64_t busy;
    TW_CHECK(ode->numbers == s->numbers, TW_ESHAPE,
             "the solver is made for states of %lld numbers, and these have %lld",
             (long long)s->numbers, (long long)ode->numbers);
    for (int64_t i = 0; i < s->slots; i++) load(s, ode, i);
    while ((busy = fill_idle(s)) > 0) {
        TW_TRY(ode->slope(ode->self, s->slots, s->asked, s->at, s->index, s->answer));
        s->evaluations += s->slots;
        s->useful += busy;
        for (int64_t i = 0; i < s->slots; i++)
            if (s->slot[i].phase != IDLE) TW_TRY(advance(s, ode, i));
    }
done:
    return st;
}
