/* Measuring a training step against its convolutions. */
#ifndef TWEEDIE_STEP_BENCH_H
#define TWEEDIE_STEP_BENCH_H

#include "tweedie/setup.h"

enum { TW_STEP_BENCH_KINDS = 64, TW_STEP_BENCH_REFERENCES = 16 };

typedef struct tw_step_bench {
    double limit_ms, forward_ms, backward_data_ms,
        backward_weights_ms; /* the convolution limit, of its fastest repetition; or NaN, 0 … */
    double step_ms;          /* the fastest whole step */
    double ratio, ratio_median; /* of the fastest; of the medians; NaN without convolutions */
    double update_ms, copy_ms;  /* clipping, update, EMA and packing together, and a copy of as many
                                   bytes as they read and write, each the fastest of all */
    int64_t batch, parameters;
    double images_per_second;
    int64_t peak_rss_bytes;
    char precision[8];
    int kind_count; /* milliseconds of a step by kind of operation, largest first; "update, ema",
                       "clipping", "noise", "packing" among them */
    struct {
        char name[32];
        double ms;
    } kinds[TW_STEP_BENCH_KINDS];
    int reference_count; /* operations that run in an implementation named ref */
    char references[TW_STEP_BENCH_REFERENCES][128];
    int limit_count, own_layout_count; /* primitives of the limit; those that are faster in the
                                          layout that oneDNN chooses, and are in it */
    char (*limits)[160];               /* what each is */
} tw_step_bench;

/* Times a network's convolutions and the step of training (noise, forward, loss, backward,
 * reduction, clipping, update, EMA, packing) in turn, `repetitions` times, on one microbatch of
 * noise on each rank. The figures are this rank's. Collective on `comm`.
 * @param alone     the step alone, without its convolutions
 * @param[out] out  tw_step_bench_free
 * @return what planning and reducing return; TW_EDIVERGED where a step is not finite */
tw_status tw_step_bench_run(tw_step_bench *out, const tw_setup *setup, const tw_comm *comm,
                            int64_t repetitions, bool alone);
void tw_step_bench_free(tw_step_bench *r);

#endif
