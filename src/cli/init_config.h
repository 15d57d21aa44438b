/* What `tweedie init` decides from a dataset, and writes as a configuration. */
#ifndef TWEEDIE_CLI_INIT_CONFIG_H
#define TWEEDIE_CLI_INIT_CONFIG_H

#include "tweedie/data.h"
#include "tweedie/text.h"

/* A forward process with what goes well with it: sections of a configuration. */
typedef struct init_preset {
    const char *name, *summary, *sections;
    int64_t
        timesteps; /* whether `sample.steps` may be left to the process: 0 for continuous ones */
} init_preset;

/* The i-th, NULL behind the last. */
const init_preset *init_preset_get(int i);
/* @return TW_EUSAGE naming the nearest, or all */
tw_status init_preset_find(const init_preset **out, const char *name);

/* What a file says. */
typedef struct init_plan {
    const init_preset *preset;
    char path[4096]; /* absolute */
    tw_dataset_kind kind;
    int64_t height, width, channels, classes;
    bool conditional, reduced;      /* reduced: sides that are no multiples are padded */
    int64_t samples;                /* that are trained on */
    const char *split, *validation; /* NULL: none */
    int64_t base, levels, groups, attention, batch;
    int64_t steps;
    double step_seconds; /* measured; 0: not */
    int cores;
} init_plan;

/* Sizes that suit the samples: `path`, `preset` and steps are the caller's. */
void init_plan_fit(init_plan *p, const tw_dataset_spec *spec);
/* The whole configuration. @param[out] out  zero-initialised; tw_text_free */
tw_status init_plan_write(tw_text *out, const init_plan *p);

#endif
