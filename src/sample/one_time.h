/* What loops at one time of the process share: from the prior, sample.steps steps of the corrector
 * at sample.time, which is the smallest noise where nothing is said. There is no annealing: modes
 * that are far apart keep the weights that the prior gave them. */
#ifndef SAMPLE_ONE_TIME_H
#define SAMPLE_ONE_TIME_H

#include <stddef.h>

#include "sample/sampler.h"

typedef struct one_time_config {
    double time;
} one_time_config;

static const tw_config_field one_time_fields[] = {
    {NULL, "time", TW_CONFIG_DOUBLE, offsetof(one_time_config, time), "-1", -1, 1e9,
     .help = "time of the process whose distribution is sampled; -1: the smallest noise"},
};

static inline double one_time_of(const void *config, const tw_process *p)
{
    const double t = ((const one_time_config *)config)->time;
    return t != -1 ? t : tw_process_is_discrete(p) ? 0 : p->epsilon;
}

static inline tw_status one_time_check(const void *config, const tw_part_use *use)
{
    tw_status st = TW_OK;
    const tw_process *p = use->process;
    const double t = one_time_of(config, p);
    TW_CHECK(tw_process_has_time(p, t), TW_ECONFIG,
             "sample.time: %g is no time of the process %s, which has %s to %g", t,
             p->kind->kind.name, tw_process_is_discrete(p) ? "the integers 0" : "those above 0",
             p->end);
done:
    return st;
}

static inline int64_t one_time_steps(const void *config, const tw_sampler *s)
{
    (void)config;
    return s->asked_steps ? s->asked_steps : 1000;
}

static inline tw_status one_time_run(const void *config, tw_sampler *s, tw_batch *b)
{
    tw_status st = TW_OK;
    tw_point at = tw_point_at(s->process, one_time_of(config, s->process));
    at.name = 0;
    for (int64_t j = 0; j < s->total_steps; j++) {
        TW_TRY(tw_sampler_correct_once(s, b, &at, j, s->total_steps));
        TW_TRY(tw_sampler_step_done(s, b, j + 1));
    }
done:
    return st;
}

#define ONE_TIME_LOOP(name_, summary_, corrector_)                                                 \
    {                                                                                              \
        .kind = {name_, summary_, one_time_fields, 1, sizeof(one_time_config)}, .corrector = true, \
        .rule = true, .usual_rule = "fixed", .only_corrector = corrector_,                         \
        .check = one_time_check, .steps = one_time_steps, .run = one_time_run                      \
    }

#endif
