/* Measuring a training step against its convolutions. */
#ifndef TWEEDIE_STEP_BENCH_H
#define TWEEDIE_STEP_BENCH_H

#include "tweedie/setup.h"

enum { TW_STEP_BENCH_KINDS = 64, TW_STEP_BENCH_REFERENCES = 16 };

typedef struct tw_step_bench {
    double limit_ms, forward_ms, backward_data_ms,
        backward_weights_ms;    /* the convolution limit, of its fastest repetition */
    double step_ms;             /* the fastest whole step */
    double ratio, ratio_median; /* of the fastest; of the medians; NaN without convolutions */
    int64_t batch;
    double images_per_second;
    int64_t peak_rss_bytes;
    char precision[8];
    int kind_count; /* milliseconds of a step by kind of operation, largest first; "adam, ema",
                       "clipping", "noise", "packing" among them */
    struct {
        char name[32];
        double ms;
    } kinds[TW_STEP_BENCH_KINDS];
    int reference_count; /* operations that run in an implementation named ref */
    char references[TW_STEP_BENCH_REFERENCES][128];
} tw_step_bench;

/* Measures a network's step on this process: `repetitions` times the convolutions and the whole
 * step (noise, forward, loss, backward, clipping, Adam, EMA, packing), in turn. Not collective.
 * @return as tw_loss_create */
tw_status tw_step_bench_run(tw_step_bench *out, const tw_setup *setup, int64_t repetitions);

#endif
