/* The same numbers in another type. */
#ifndef TW_OPS_CONVERT_H
#define TW_OPS_CONVERT_H

#include "ops/op.h"

/* to[i] = from[i], n elements, f32 or bf16 each, rounding to nearest even. */
void tw_convert(void *to, tw_dtype to_type, const void *from, tw_dtype from_type, int64_t n);

/* to[i] = the bf16 number nearest to from[i], in f32; `to` may be `from`. */
void tw_round_to_bf16(float *to, const float *from, int64_t n);

#endif
