/* The processor that this process runs on: the one place that asks it.
 *
 * Not collective; any thread may call. What the operating system does not grant counts as absent:
 * AVX and AVX-512 by XCR0, AMX by XCR0 and by the permission that a process
 * asks Linux for (arch_prctl), which this does. */
#ifndef TWEEDIE_PROCESSOR_H
#define TWEEDIE_PROCESSOR_H

#include <stdbool.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The instruction sets that kernels are compiled for, each with all before it. */
typedef enum tw_isa { TW_ISA_BASELINE, TW_ISA_AVX2, TW_ISA_AVX512 } tw_isa;

typedef struct tw_processor {
    tw_isa isa;       /* the best that it has */
    bool avx512_bf16; /* dot products and rounding in bf16 */
    bool avx512_vnni; /* dot products of whole numbers of 16 bits */
    bool amx_bf16;    /* matrix products of bf16 tiles, granted to this process */
    bool amd;
} tw_processor;

/* What there is; and what $TWEEDIE_ISA leaves of it. */
tw_processor tw_processor_get(void);
tw_processor tw_processor_allowed(void);

/* tw_processor_allowed().isa: which kernels run. Decided once in each thread. */
tw_isa tw_isa_get(void);

/* One of three tables NAME_baseline, NAME_avx2 and NAME_avx512. */
#define TW_ISA_SELECT(name)                                                                        \
    (tw_isa_get() == TW_ISA_AVX512 ? &name##_avx512                                                \
     : tw_isa_get() == TW_ISA_AVX2 ? &name##_avx2                                                  \
                                   : &name##_baseline)

/* "baseline", "avx2", "avx512_core", "avx512_core_bf16" or "avx512_core_amx". */
const char *tw_processor_name(const tw_processor *p);

/* What its maker calls it ("AMD EPYC 7763 64-Core Processor"); "" where it does not say. Static. */
const char *tw_processor_model(void);

/* @return TW_EUSAGE where $TWEEDIE_ISA is none of baseline, avx2 and avx512 */
tw_status tw_processor_check(void);

#ifdef __cplusplus
}
#endif

#endif
