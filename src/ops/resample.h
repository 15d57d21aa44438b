/* The geometry of resampling by a whole factor in each spatial dimension, written for three of
 * them: missing ones have size and factor 1.
 */
#ifndef TW_OPS_RESAMPLE_H
#define TW_OPS_RESAMPLE_H

#include "ops/op.h"

typedef struct tw_resample {
    int64_t n, d, h, w, c; /* of the small tensor */
    int64_t fd, fh, fw;    /* how often each is repeated in the big one */
} tw_resample;

static inline tw_resample tw_resample_of(tw_shape small, int64_t factor)
{
    const int s = small.rank - 2; /* spatial dimensions */
    return (tw_resample){.n = small.dims[0],
                         .d = s > 2 ? small.dims[1] : 1,
                         .h = s > 1 ? small.dims[s - 1] : 1,
                         .w = small.dims[s],
                         .c = small.dims[s + 1],
                         .fd = s > 2 ? factor : 1,
                         .fh = s > 1 ? factor : 1,
                         .fw = factor};
}

/* The first of the big tensor's rows of pixels that belong to row r of the small one's n · d · h.
 */
static inline int64_t tw_resample_big_row(const tw_resample *m, int64_t r)
{
    return (r / m->h) * m->fd * m->h * m->fh + r % m->h * m->fh;
}

#endif
