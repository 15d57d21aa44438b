/* A configuration file made ready for what needs a network but no run: inspecting, timing. */
#ifndef TWEEDIE_SETUP_H
#define TWEEDIE_SETUP_H

#include "tweedie/comm.h"
#include "tweedie/model.h"
#include "tweedie/objective.h"
#include "tweedie/sample.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_setup {
    tw_config *config; /* that texts are borrowed from */
    tw_model *model;   /* created, with initial parameters */
    tw_precision precision;
    tw_convolution convolution;
    int threads;
    int64_t batch;        /* what one rank computes at once: train.microbatch, or train.batch */
    int64_t global_batch; /* train.batch */
    int64_t most_ranks;   /* that the batch, or the tree of train.rank_independent, has work for */
    bool rank_independent;
    tw_recompute recompute;
    const tw_objective_config *objective;
    const tw_sampler_config *sample;
    const char *data_path, *split;
    struct tw_run_config *run; /* all of the above, and what it owns */
} tw_setup;

/* Reads, binds and checks a configuration, and builds its network for samples of data.shape, or of
 * the dataset where that is empty. Collective on `comm`; NULL: this process alone.
 * @param[out] out  tw_setup_close, in any case
 * @return TW_ECONFIG with all errors of the configuration; what opening the dataset returns */
tw_status tw_setup_open(tw_setup *out, const tw_comm *comm, const char *path, int assignment_count,
                        char *const *assignments);
void tw_setup_close(tw_setup *setup);

/* The configuration alone, read, bound and checked: no data are looked at, nothing is computed, and
 * the model is not created. Not collective.
 * @param[out] out  tw_setup_close, in any case
 * @return TW_ECONFIG with all errors of the configuration, TW_ENOINPUT where it is missing */
tw_status tw_setup_read(tw_setup *out, const char *path, int assignment_count,
                        char *const *assignments);

/* The largest number of ranks, at most `most`, that can share a step: a divisor of the batch, and
 * with train.rank_independent a power of two. At least 1. */
int64_t tw_setup_ranks(const tw_setup *setup, int64_t most);

#ifdef __cplusplus
}
#endif

#endif
