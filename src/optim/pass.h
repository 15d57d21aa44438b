/* One pass over the arrays of an update: what optimisers are written with. */
#ifndef OPTIM_PASS_H
#define OPTIM_PASS_H

#include "tweedie/optim.h"

/* Updates elements [at, at + count) of all arrays of `u`, on one thread, elementwise.
 * @param constants  what is worked out once for the update */
typedef void optim_block(const void *constants, const tw_update *u, int64_t at, int64_t count);

/* Threads take blocks, which are small enough that the EMA reads the new parameters from the
 * first-level cache. */
void optim_pass(const tw_update *u, optim_block *block, const void *constants);

#endif
