/* What pictures of a run start from: a model of points in the plane, its score, and, where it is
 * asked for, the exact density of its data. This process alone. */
#ifndef CLI_FIGURE_RUN_H
#define CLI_FIGURE_RUN_H

#include "cli/plot.h"
#include "run/run_config.h"
#include "tweedie/density.h"
#include "tweedie/restore.h"

typedef struct figure_run {
    tw_restored *restored;
    tw_config *config;
    tw_run_config run;
    tw_model_score *score;
    tw_density *density; /* NULL where none is asked for */
    const tw_process *process;
} figure_run;

/* @param more, count  assignments over the user's
 * @param[out] out     figure_run_close, in any case
 * @return TW_EUSAGE where samples are not points in the plane */
tw_status figure_run_open(figure_run *out, const tw_plot_options *o, int count,
                          const char *const *more);
void figure_run_close(figure_run *r);

/* The time that the options ask for. */
tw_status figure_run_time(double *out, const figure_run *r, double asked);

/* The learned score at n points of one time, x, s [n][2]; energy [n] where not NULL. */
tw_status figure_run_score(const figure_run *r, double t, int64_t n, const float *x, float *s,
                           double *energy);

/* The exact density and score of n points. */
void figure_run_exact(const figure_run *r, double t, int64_t n, const float *x, double *density,
                      float *s);

/* A regular grid over −range … range: x [side²][2], row 0 at the top. */
void figure_grid(float *x, int64_t side, double range);

#endif
