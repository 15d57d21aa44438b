/* Ordinary differential equations of many samples, each with its own time, step and end, and the
 * batch full: a slot whose sample is done takes the next one at once.
 *
 * A solver is a Runge–Kutta method: solver_NAME.c gives a tableau and, where its step adapts, the
 * weights of its error. Every sample is a function of itself alone: step sizes are chosen by
 * sample, and the right-hand side is always asked for all slots, so a sample's result is bitwise
 * the same in any company. Not collective. */
#ifndef TWEEDIE_SOLVER_H
#define TWEEDIE_SOLVER_H

#include "tweedie/kind.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_ODE_STAGES = 8 };

/* A Runge–Kutta method: k_i = f(t + c_i h, y + h Σ_j a_ij k_j), y' = y + h Σ b_i k_i. */
typedef struct tw_tableau {
    int stages, order;
    double c[TW_ODE_STAGES], a[TW_ODE_STAGES][TW_ODE_STAGES], b[TW_ODE_STAGES];
    bool first_same_as_last; /* the last stage is evaluated at y', and is the next step's first */
    bool adaptive;
    double e[TW_ODE_STAGES + 1]; /* error = h Σ e_i k_i; the last of f(t + h, y'), where used */
} tw_tableau;

/* A solver: solver_NAME.c defines tw_solver_NAME. */
typedef struct tw_solver_kind {
    tw_kind kind;
    const tw_tableau *tableau;
    /* Tolerances of an adaptive method; else the number of equal steps of time. */
    void (*settings)(const void *config, double *rtol, double *atol, int64_t *steps);
} tw_solver_kind;
extern const tw_kinds tw_solver_kinds;

/* What is integrated. */
typedef struct tw_ode {
    void *self;
    int64_t numbers; /* of one sample's state */
    /* dy/dt of all slots: y, dy [slots][numbers], t [slots], index [slots] (what `next` gave; a
     * slot without a sample repeats another). @return ends the run where it is not TW_OK */
    tw_status (*slope)(void *self, int64_t slots, const double *y, const double *t,
                       const int64_t *index, double *dy);
    /* The next sample into y [numbers], to be integrated from *from to *to. @return whether there
     * is one */
    bool (*next)(void *self, double *y, int64_t *index, double *from, double *to);
    /* A sample is done. @param evaluations  of the right-hand side, of this sample */
    tw_status (*done)(void *self, int64_t index, const double *y, int64_t evaluations);
} tw_ode;

typedef struct tw_solver tw_solver;

/* @param kind, config  of a choice of tw_solver_kinds; config must outlive the solver */
tw_status tw_solver_create(tw_solver **out, const tw_solver_kind *kind, const void *config,
                           int64_t numbers, int64_t slots);
void tw_solver_destroy(tw_solver **solver);

/* Integrates until `next` gives no more and all are done. Allocates nothing.
 * @return what slope or done returned; TW_EDIVERGED where a step became too small */
tw_status tw_solver_run(tw_solver *solver, const tw_ode *ode);

/* Evaluations of the right-hand side in all runs, and what share of them was of a sample. */
void tw_solver_counts(const tw_solver *solver, int64_t *evaluations, double *busy);

#ifdef __cplusplus
}
#endif

#endif
