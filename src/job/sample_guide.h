/* Guidance of a sample set: the second network, and the guided score. */
#ifndef JOB_SAMPLE_GUIDE_H
#define JOB_SAMPLE_GUIDE_H

#include "run/run_config.h"
#include "tweedie/guidance.h"
#include "tweedie/restore.h"

typedef struct sample_guide {
    tw_restored *network; /* the second, or NULL */
    tw_model_factor *factor;
    tw_guided *guided; /* NULL where nothing is guided */
} sample_guide;

/* Reads the second network. Collective on `comm` (NULL: this process). */
tw_status sample_guide_restore(sample_guide *g, const tw_comm *comm, const char *path);

/* The classes of the samples that are guided: the first network's, else a classifier's.
 * @return TW_ECONFIG where both have some and these differ */
tw_status sample_guide_classes(int64_t *out, const sample_guide *g, const tw_model *m);

/* Plans the guided score where run->guidance asks for one. @param score  of `samples`' model */
tw_status sample_guide_plan(sample_guide *g, const tw_run_config *run, const tw_restored *samples,
                            const tw_score *score, const tw_labels *labels, tw_precision precision);

/* The guided score, or `score` itself. */
const tw_score *sample_guide_view(const sample_guide *g, const tw_score *score);
void sample_guide_free(sample_guide *g);

#endif
