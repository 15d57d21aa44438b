/* tweedie evaluate --posterior: what `tweedie restore` made, held against the truth. */
#ifndef CLI_EVALUATE_POSTERIOR_H
#define CLI_EVALUATE_POSTERIOR_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/status.h"

struct tw_comm;

typedef struct posterior_evaluation {
    const char *restored; /* X.h5 */
    const char *truth;    /* a dataset such as the network was trained with */
    const char *split;    /* of the truth; "": all */
    int64_t first;        /* row of the truth that belongs to measurement 0 */
    bool json;
} posterior_evaluation;

/* Rank zero reads and prints, in memory that does not grow with the rows. Collective. */
tw_status evaluate_posterior(const struct tw_comm *comm, const posterior_evaluation *o);

#endif
