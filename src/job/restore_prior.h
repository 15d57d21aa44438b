/* The prior of a restoration: the network's score, of classes where it knows some, and what guides
 * it. */
#ifndef JOB_RESTORE_PRIOR_H
#define JOB_RESTORE_PRIOR_H

#include "job/row_job.h"
#include "job/sample_guide.h"
#include "tweedie/inverse.h"
#include "tweedie/job_restore.h"

typedef struct restore_prior {
    sample_guide guide;
    tw_labels labels; /* of measurements: all samples of one are of its class */
    int32_t *list;    /* that they may borrow */
    char kind[64], network[TW_PATH_MAX], class[32], method[64];
    char **assignments; /* of [guidance], [sample] and [restore] */
    int count;
} restore_prior;

/* Reads the network that guides, where the options name one. Collective. */
tw_status restore_prior_read(restore_prior *p, const row_job *j, const tw_restore_job_options *o);

/* Settings that the options stand for, and of a network that knows classes "none" where no class is
 * named, of a model of latents a method for them; then the user's own, which win. p->assignments,
 * borrowed until restore_prior_free.
 * @return TW_ECONFIG where a class must be named */
tw_status restore_prior_settings(restore_prior *p, const row_job *j,
                                 const tw_restore_job_options *o);

/* @param per  samples of each measurement */
tw_status restore_prior_plan(restore_prior *p, row_job *j, int64_t per);

/* The score to restore with: j->score, or guided. */
const tw_score *restore_prior_view(const restore_prior *p, const row_job *j);

/* What identifies it beside the network's weights, with a blank before it; nothing where that is
 * all. @param[out] out  is added to */
tw_status restore_prior_describe(tw_text *out, const restore_prior *p, const row_job *j);
void restore_prior_free(restore_prior *p);

#endif
