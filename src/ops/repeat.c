/* Broadcasting as rows. */
#include "ops/repeat.h"

void tw_repeat_make(tw_repeat *out, tw_shape big, tw_shape small)
{
    int64_t size[TW_RANK_MAX] = {1}, step[TW_RANK_MAX] = {1}, next = 1;
    int kinds = 0;
    for (int d = big.rank - 1; d >= 0; d--) {
        const int s = d - (big.rank - small.rank);
        if (big.dims[d] == 1) continue;
        const bool repeated = s < 0 || small.dims[s] == 1;
        if (kinds && repeated == (step[kinds - 1] == 0)) {
            size[kinds - 1] *= big.dims[d];
        } else {
            size[kinds] = big.dims[d];
            step[kinds++] = repeated ? 0 : next;
        }
        if (!repeated) next *= big.dims[d];
    }
    *out = (tw_repeat){
        .rows = 1, .n = size[0], .constant = step[0] == 0, .levels = kinds ? kinds - 1 : 0};
    for (int l = 0; l < out->levels; l++) {
        out->size[l] = size[l + 1];
        out->step[l] = step[l + 1];
        out->rows *= size[l + 1];
    }
}

int64_t tw_repeat_offset(const tw_repeat *m, int64_t r, int64_t *same)
{
    int64_t offset = 0;
    *same = m->levels ? m->size[0] - r % m->size[0] : 1;
    for (int l = 0; l < m->levels; l++) {
        offset += r % m->size[l] * m->step[l];
        r /= m->size[l];
    }
    return offset;
}
