/* A dataset of float32 images with labels and conditions, of which each number says what it is of.
 * Include after data/fixture.h. */
#ifndef TWEEDIE_TESTS_DATA_CONDITIONAL_H
#define TWEEDIE_TESTS_DATA_CONDITIONAL_H

#include "tweedie/data.h"

enum { N = 96, H = 4, W = 6, C = 2, C2 = 3 };
enum { SAMPLE = H * W * C, CONDITION = H * W * C2 };

/* Pixel p of sample i is 1000 i + p, and its condition the negative of it in units of its own. */
static inline float sample_of(int64_t i, int64_t p)
{
    return (float)(1000 * i + p);
}

static inline tw_status write_file(const char *name, int gzip, bool last_differs)
{
    static const float offset[C2] = {10, 20, 30}, scale[C2] = {2, 4, 8};
    tw_status st = TW_OK;
    tw_dataset_writer *w = NULL;
    float x[SAMPLE], y[CONDITION];
    tw_dataset_spec spec = {.kind = TW_DATASET_FLOAT32,
                            .count = N,
                            .height = H,
                            .width = W,
                            .channels = C,
                            .num_classes = N,
                            .name = "conditional"};
    tw_dataset_spec condition = tw_dataset_condition_spec(&spec, false, C2);
    const tw_dataset_writer_options how = {
        .path = in(name), .gzip = gzip, .mode = TW_OUTPUT_REPLACE};
    condition.offset = offset;
    condition.scale = scale;
    spec.condition = &condition;
    TW_TRY(tw_dataset_writer_create(&w, &spec, &how));
    for (int64_t i = 0; i < N; i++) {
        const int32_t label = (int32_t)i;
        for (int k = 0; k < SAMPLE; k++) x[k] = sample_of(i, k / C);
        TW_TRY(tw_dataset_writer_append(w, 1, x, &label));
    }
    for (int64_t i = 0; i < N; i++) { /* at a pace of their own */
        for (int k = 0; k < CONDITION; k++)
            y[k] = offset[k % C2] - scale[k % C2] * sample_of(i, k / C2);
        if (last_differs && i == N - 1) y[CONDITION - 1] += 1;
        TW_TRY(tw_dataset_writer_append_condition(w, 1, y));
    }
    TW_TRY(tw_dataset_writer_finish(&w, NULL));
done:
    tw_dataset_writer_abort(&w);
    return st;
}

#endif
