/* What the graphs of several objectives share. */
#ifndef OBJECTIVE_SAMPLE_SUM_H
#define OBJECTIVE_SAMPLE_SUM_H

#include "tweedie/model.h"

/* The sum over each sample: [n, …] → [n]. NULL-safe, as all builders. */
tw_value *tw_sample_sum(tw_graph *g, tw_value *x);

/* [n] as [n, 1, …] of the rank of `like`, so that it multiplies each number of a sample. */
tw_value *tw_sample_factor(tw_graph *g, tw_value *x, const tw_value *like);

/* What exact and sliced score matching ask of a model: a prediction that is given x_t as it is, and
 * one noise level where `clean`. @return TW_ECONFIG naming the key */
tw_status tw_score_matching_check(const char *objective, bool clean, const tw_model *m);

#endif
