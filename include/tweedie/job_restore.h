/* Jobs over measurements: posterior samples of linear inverse problems (tweedie/inverse.h), and
 * measurements simulated from data.
 *
 * Row i is measurement i of the input, and what it is restored to depends on weights, task,
 * measurement, settings, K and i alone; blocks, parts, ranks and resuming are those of job_rows.h.
 *
 * A measurement is y = A x + σ n of a sample x in its own units, the values of its file (bytes: 0 …
 * 255): what the operator's definition gives for x as it is stored. Where the model's samples are
 * latents, x is what sample.decode makes of them, and so are results. */
#ifndef TWEEDIE_JOB_RESTORE_H
#define TWEEDIE_JOB_RESTORE_H

#include "tweedie/job_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_restore_job_options {
    tw_row_job_options rows; /* data: the measurements; assignments to [task], [restore], [sample],
                                [guidance] and [compute] */
    const char *guide;       /* a classifier or an energy model that guides; NULL or "": none */
    bool latents;      /* of a model of latents: these were measured, not what they decode to */
    int64_t per;       /* K, posterior samples of each measurement */
    bool keep;         /* OUT holds the K samples themselves too */
    const char *files; /* a folder for K datasets sample-KKK.h5, one sample of each
                          measurement in each; NULL or "": none */
    const char *grid;  /* a PNG: a row for each of the first measurements; NULL or "": none */
    int64_t grid_rows;
    const char *truth, *truth_split; /* what was measured, row by row, for the picture; NULL or "":
                                        none, all */
} tw_restore_job_options;

/* Makes OUT: a dataset whose samples are the posterior means, float32 in the units of the data,
 * with the arrays /standard_deviation [N]…, /quantiles [N][levels]… (attribute-like text
 * "quantile_levels") and where kept /samples [N][K]…. Collective: all ranks get the same status.
 * @param comm      NULL: this process alone
 * @param[out] out  may be NULL
 * @return TW_EUSAGE where OUT or parts are there of other weights, task, measurements or settings;
 * TW_ECONFIG for a combination that cannot be, before anything runs; TW_EDATA for measurements of
 * another shape; TW_ESTOPPED; TW_EDIVERGED where a sample is not finite */
tw_status tw_restore_job(const tw_comm *comm, const tw_restore_job_options *options,
                         tw_row_job_result *out);

typedef struct tw_simulate_options {
    const char *data, *split; /* clean samples */
    int64_t first, count;     /* rows; count 0: all that follow */
    const char *out;          /* the measurements, a dataset */
    bool replace;
    int assignment_count; /* to [task] */
    char *const *assignments;
} tw_simulate_options;

/* Measures samples, with noise of the stream (task.seed, TW_RNG_MEASUREMENT, row). Not collective.
 * @param[out] count  may be NULL */
tw_status tw_simulate_job(const tw_simulate_options *options, int64_t *count);

#ifdef __cplusplus
}
#endif

#endif
