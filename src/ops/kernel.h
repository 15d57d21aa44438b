/* Loops that are compiled once per instruction set, and the choice among them.
 *
 * A file kern_NAME.c defines static loops and one table of them, `const tw_kern_NAME
 * TW_KERNEL(tw_kern_NAME) = {…};`, of the type that kern_NAME.h declares together with
 * TW_KERNEL_DECLARE(tw_kern_NAME). The build compiles the file for each of baseline, avx2 and
 * avx512; TW_KERNEL_SELECT(tw_kern_NAME) is the table for this processor. Loops have no OpenMP in
 * them: op_*.c cut the work and call them. */
#ifndef TW_OPS_KERNEL_H
#define TW_OPS_KERNEL_H

#include <stdint.h>
#include <string.h>

#include "tweedie/processor.h"

#define TW_PASTE2(a, b) a##_##b
#define TW_PASTE(a, b) TW_PASTE2(a, b)
#ifdef TW_ISA
#define TW_KERNEL(name) TW_PASTE(name, TW_ISA)
#endif

#define TW_KERNEL_DECLARE(type) extern const type type##_baseline, type##_avx2, type##_avx512
#define TW_KERNEL_SELECT(type) TW_ISA_SELECT(type)

/* bf16 is the upper half of f32; rounding is to nearest even, NaN stays NaN. */
typedef uint16_t tw_bf16;

static inline float tw_from_bf16(tw_bf16 h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline tw_bf16 tw_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    uint32_t nan = (u >> 16) | 0x40u;
    return (tw_bf16)((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
