/* Conversion in chunks over the threads. */
#include "ops/convert.h"

#include <string.h>

#include "ops/kern_columns.h"
#include "ops/kernel.h"

enum { CHUNK = 1 << 14 };

void tw_convert(void *to, tw_dtype to_type, const void *from, tw_dtype from_type, int64_t n)
{
    const tw_kern_columns *k = TW_KERNEL_SELECT(tw_kern_columns);
#pragma omp parallel for schedule(static) if (n > 4 * CHUNK)
    for (int64_t first = 0; first < n; first += CHUNK) {
        const int64_t count = n - first < CHUNK ? n - first : CHUNK;
        char *t = (char *)to + (size_t)first * tw_dtype_size(to_type);
        const char *f = (const char *)from + (size_t)first * tw_dtype_size(from_type);
        if (to_type == from_type)
            memcpy(t, f, (size_t)count * tw_dtype_size(to_type));
        else if (to_type == TW_DTYPE_BF16)
            k->to_bf16((tw_bf16 *)(void *)t, (const float *)(const void *)f, count);
        else
            k->to_f32((float *)(void *)t, (const tw_bf16 *)(const void *)f, count);
    }
}

void tw_round_to_bf16(float *to, const float *from, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > 4 * CHUNK)
    for (int64_t i = 0; i < n; i++) to[i] = tw_from_bf16(tw_to_bf16(from[i]));
}
