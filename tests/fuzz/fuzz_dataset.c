/* Dataset files, opened with their digest verified, and every sample and condition read. */
#include <string.h>

#include "dataset_seeds.h"
#include "harness.h"
#include "tweedie/data.h"
#include "tweedie/memory.h"

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    /* with the digest held against the samples every second time: a mutant seldom has it right */
    const tw_dataset_options options = {.path = path, .split = "all", .verify = size % 2};
    tw_dataset *d = NULL;
    char text[TW_DATASET_TEXT_MAX];
    float *x = NULL, *y = NULL;
    int32_t *labels = NULL;
    (void)bytes;
    const tw_status st = tw_dataset_open(&d, NULL, &options);
    fuzz_judge(st);
    if (st != TW_OK) return;
    const tw_dataset_spec *spec = tw_dataset_get_spec(d);
    const int64_t count = tw_dataset_count(d), elements = tw_dataset_elements(spec);
    FUZZ_CLAIM(count > 0 && elements > 0);
    FUZZ_CLAIM((int64_t)tw_dataset_sample_bytes(spec) * count < INT64_C(1) << 30);
    FUZZ_OK(tw_alloc(&x, count * elements, sizeof *x, "samples"));
    FUZZ_OK(tw_alloc(&labels, count, sizeof *labels, "labels"));
    (void)tw_dataset_get_text(d, "sampling", text, sizeof text);
    const tw_status read = tw_dataset_read(d, 0, count, x, labels);
    fuzz_judge(read);
    if (read == TW_OK)
        for (int64_t i = 0; i < count; i++)
            FUZZ_CLAIM(labels[i] >= -1 && (labels[i] < spec->num_classes || labels[i] == -1));
    if (spec->condition) {
        const int64_t numbers = tw_dataset_elements(spec->condition);
        FUZZ_CLAIM(numbers > 0);
        FUZZ_OK(tw_alloc(&y, count * numbers, sizeof *y, "conditions"));
        fuzz_judge(tw_dataset_read_condition(d, NULL, 0, count, y));
    }
    tw_free(&x);
    tw_free(&y);
    tw_free(&labels);
    tw_dataset_destroy(&d);
}

const fuzz_target fuzz_here = {.file = "in.h5", .hdf5 = true, .seeds = dataset_seeds, .run = run};
