/* What improved-diffusion's and guided-diffusion's files have in common: a bare state dictionary.
 */
#ifndef WEIGHTS_ADM_SHAPES_H
#define WEIGHTS_ADM_SHAPES_H

#include "weights/system.h"

/* How the file looks. */
typedef struct adm_looks {
    bool network;       /* it is one of them */
    bool blocks_resize; /* residual blocks change the resolution: guided-diffusion's alone */
    bool averaged;      /* its name says that it is an EMA: "ema_0.9999_…" */
    char rate[32];
} adm_looks;
adm_looks adm_look(const tw_source *s);

/* Reads it. @param attention  keys that no shape tells: "heads = 4\n" @param timesteps, schedule
 * what the published scripts have */
tw_status adm_read(tw_found *out, const tw_source *s, bool ema, const char *attention,
                   const char *schedule);

#endif
