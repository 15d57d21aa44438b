/* Small datasets. */
#include "dataset_seeds.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "tweedie/data.h"

enum { SAMPLES = 3, SIDE = 4, CHANNELS = 3, ELEMENTS = SIDE * SIDE * CHANNELS };

typedef struct recipe {
    const char *name;
    tw_dataset_kind kind;
    int gzip;
    bool labels, part, condition;
} recipe;

static void write_one(const recipe *r)
{
    static const char *const names[] = {"cat", "dog"};
    static const float offset[CHANNELS] = {273, 0, -4}, scale[CHANNELS] = {12, 1, 0.5f};
    const bool points = r->kind == TW_DATASET_POINTS, bytes = r->kind == TW_DATASET_UINT8;
    tw_dataset_writer *w = NULL;
    uint8_t pixels[SAMPLES * ELEMENTS];
    float values[SAMPLES * ELEMENTS];
    const int32_t labels[SAMPLES] = {0, 1, 0};
    tw_dataset_spec spec = {.kind = r->kind,
                            .count = SAMPLES,
                            .height = points ? 1 : SIDE,
                            .width = points ? 1 : SIDE,
                            .channels = CHANNELS,
                            .num_classes = r->labels ? 2 : 0,
                            .class_names = r->labels ? names : NULL,
                            .offset = bytes ? NULL : offset,
                            .scale = bytes ? NULL : scale,
                            .name = "seed",
                            .source = "a seed",
                            .license = "none"};
    tw_dataset_spec condition = tw_dataset_condition_spec(&spec, bytes, CHANNELS);
    condition.offset = spec.offset;
    condition.scale = spec.scale;
    if (r->condition) spec.condition = &condition;
    if (r->labels) {
        spec.split_count = 2;
        spec.splits[0] = (tw_dataset_split){"train", 0, 2};
        spec.splits[1] = (tw_dataset_split){"test", 2, SAMPLES};
    }
    for (int i = 0; i < SAMPLES * ELEMENTS; i++) {
        pixels[i] = (uint8_t)(7 * i);
        values[i] = (float)i;
    }
    const tw_dataset_writer_options options = {
        .path = fuzz_seed_path(r->name), .mode = TW_OUTPUT_REPLACE, .gzip = r->gzip};
    FUZZ_OK(tw_dataset_writer_create(&w, &spec, &options));
    if (r->part) FUZZ_OK(tw_dataset_writer_set_text(w, "sampling", "weights 0 of a seed"));
    if (r->part) FUZZ_OK(tw_dataset_writer_set_text(w, "first", "0"));
    FUZZ_OK(tw_dataset_writer_append(w, SAMPLES, bytes ? (const void *)pixels : values,
                                     r->labels ? labels : NULL));
    if (r->condition)
        FUZZ_OK(
            tw_dataset_writer_append_condition(w, SAMPLES, bytes ? (const void *)pixels : values));
    FUZZ_OK(tw_dataset_writer_finish(&w, NULL));
}

static void write_all(const recipe *recipes, size_t count)
{
    for (size_t i = 0; i < count; i++) write_one(&recipes[i]);
}

void dataset_seeds(void)
{
    static const recipe recipes[] = {
        {"uint8", TW_DATASET_UINT8, 0, false, false, false},
        {"labels", TW_DATASET_UINT8, 0, true, false, false},
        {"gzip", TW_DATASET_UINT8, 6, true, false, false},
        {"float32", TW_DATASET_FLOAT32, 0, false, false, false},
        {"float32-gzip", TW_DATASET_FLOAT32, 1, true, false, false},
        {"points", TW_DATASET_POINTS, 0, false, false, false},
        {"condition", TW_DATASET_FLOAT32, 0, false, false, true},
        {"condition-gzip", TW_DATASET_UINT8, 6, true, false, true},
    };
    write_all(recipes, sizeof recipes / sizeof *recipes);
}

void part_seeds(void)
{
    static const recipe recipes[] = {
        {"uint8", TW_DATASET_UINT8, 0, false, true, false},
        {"float32", TW_DATASET_FLOAT32, 0, false, true, false},
        {"points", TW_DATASET_POINTS, 0, false, true, false},
    };
    write_all(recipes, sizeof recipes / sizeof *recipes);
}
