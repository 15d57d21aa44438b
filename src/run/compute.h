/* [compute]: how a rank computes. The same table for every command that does. */
#ifndef RUN_COMPUTE_H
#define RUN_COMPUTE_H

#include "tweedie/comm.h"
#include "tweedie/config.h"
#include "tweedie/plan.h"

/* [compute] */
typedef struct tw_compute_config {
    int precision;   /* tw_precision */
    int convolution; /* tw_convolution */
    int64_t threads; /* per rank; 0: as tw_comm_default_threads says */
} tw_compute_config;

tw_status tw_compute_config_bind(tw_compute_config *out, tw_config *config);

/* What a wish for a precision is here: `auto` is bf16 where every rank would take it, so that ranks
 * of other processors compute alike, which rank zero says where they differ. Collective. */
tw_status tw_compute_agree(tw_precision *out, tw_precision wish, const tw_comm *comm);

/* Sets this rank's OpenMP threads, resolves the precision (bf16 for `auto` where every rank has it,
 * so that all compute alike) and says where the ranks run. Collective. NULL for comm: this process
 * alone.
 * @param[out] precision  resolved
 * @param[out] threads    of this rank; may be NULL */
tw_status tw_compute_prepare(tw_precision *precision, int *threads, const tw_compute_config *config,
                             const tw_comm *comm);

#endif
