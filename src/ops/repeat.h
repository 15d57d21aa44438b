/* How the elements of a small tensor repeat under those of a big one: broadcasting as rows.
 *
 * The big tensor's dimensions are gone through from the last to the first; those of 1 vanish and
 * neighbours of one kind, repeated or not, become one. The innermost that is left is a row of n
 * elements, which meets n elements of the small tensor or one, and the others say where in the
 * small tensor a row finds them. [N, H, W, C] over [C] is N H W rows of C; over [N, 1, 1, 1] N rows
 * of H W C that meet one element each; over its own shape a single row. */
#ifndef TW_OPS_REPEAT_H
#define TW_OPS_REPEAT_H

#include <stdbool.h>

#include "tweedie/graph.h"

typedef struct tw_repeat {
    int64_t rows, n;
    bool constant; /* a row meets one element of the small tensor */
    int levels;    /* of the rows, innermost first */
    int64_t size[TW_RANK_MAX], step[TW_RANK_MAX];
} tw_repeat;

void tw_repeat_make(tw_repeat *out, tw_shape big, tw_shape small);

/* Where row r begins in the small tensor; *same: how many rows from r on are reached by adding
 * step[0] (0 where there are no levels). */
int64_t tw_repeat_offset(const tw_repeat *m, int64_t r, int64_t *same);

#endif
