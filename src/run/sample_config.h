/* [sample]: how samples are drawn, the same table for `tweedie sample` and for the grids of
 * training; and [compute]. */
#ifndef RUN_SAMPLE_CONFIG_H
#define RUN_SAMPLE_CONFIG_H

#include "tweedie/data.h"
#include "tweedie/model.h"
#include "tweedie/sample.h"

typedef enum tw_sample_clip {
    TW_SAMPLE_CLIP_AUTO,
    TW_SAMPLE_CLIP_YES,
    TW_SAMPLE_CLIP_NO
} tw_sample_clip;

/* [sample] */
typedef struct tw_sample_config {
    const char *kind;    /* "auto": ancestral, or onestep for the objective of that name */
    int64_t steps;       /* 0: all of the schedule */
    const char *spacing; /* wins over steps; "" for none */
    const char *variance;
    int clip; /* tw_sample_clip; auto: images that were bytes are clipped */
    double clip_min, clip_max;
    double eta;
    int64_t batch; /* samples that the network is run on at once: part of what a sample is, to
                      rounding */
    int64_t seed;
} tw_sample_config;

tw_status tw_sample_config_bind(tw_sample_config *out, tw_config *config);

/* What tw_sampler_create takes, for this model and these samples; strings are borrowed from the
 * configuration. */
void tw_sample_config_settings(tw_sampler_settings *out, const tw_sample_config *config,
                               const tw_model *m, const tw_dataset_spec *spec);

/* Everything that a sample depends on beside weights and index, as one line of text: what parts of
 * a sample set are compared by.
 * @param steps  score evaluations per sample (tw_sampler_evaluations) */
tw_status tw_sample_config_describe(char *out, size_t size, const tw_sampler_settings *settings,
                                    int64_t steps, int64_t batch, tw_precision precision);

#endif
