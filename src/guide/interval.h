/* Guidance within an interval of times alone (Kynkäänniemi et al. 2024): what guidances have in
 * common. At high noise levels it pushes all samples to a few modes, at low ones it changes nothing
 * that is seen. */
#ifndef GUIDE_INTERVAL_H
#define GUIDE_INTERVAL_H

#include "tweedie/guidance.h"

typedef struct guide_interval {
    double first, last; /* on the process's clock, both included */
} guide_interval;

/* Two fields of a struct with a guide_interval of this name. */
#define GUIDE_INTERVAL_FIELDS(type, member)                                                        \
    {NULL,                                                                                         \
     "time_min",                                                                                   \
     TW_CONFIG_DOUBLE,                                                                             \
     offsetof(type, member.first),                                                                 \
     "0",                                                                                          \
     0,                                                                                            \
     1e9,                                                                                          \
     .help = "guidance acts from this time of the process on: t, or the index of a step"},         \
    {                                                                                              \
        NULL, "time_max", TW_CONFIG_DOUBLE, offsetof(type, member.last), "1e9", 0, 1e9,            \
            .help = "and up to this time"                                                          \
    }

static inline bool guide_acts_at(const guide_interval *i, double t)
{
    return t >= i->first && t <= i->last;
}

/* Whether it holds every time that a process may have: it is as nobody has set it. */
static inline bool guide_interval_is_all(const guide_interval *i)
{
    return i->first <= 0 && i->last >= 1e9;
}

static inline tw_status guide_interval_check(const guide_interval *i)
{
    return i->first <= i->last
               ? TW_OK
               : tw_error_set(TW_ECONFIG,
                              "guidance.time_min: %g must be at most guidance.time_max, %g",
                              i->first, i->last);
}

#endif
