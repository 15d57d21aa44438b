/* The parts of a sample set, adopted, checked and merged. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset_seeds.h"
#include "harness.h"
#include "job/sample_parts.h"
#include "tweedie/memory.h"

static void start(void)
{
    FUZZ_CLAIM(mkdir(fuzz_path("set.h5.parts"), 0777) == 0);
}

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    sample_parts p;
    char digest[TW_DATASET_DIGEST_MAX];
    bool there = false;
    float *x = NULL;
    (void)bytes;
    (void)path;
    (void)size;
    memset(&p, 0, sizeof p);
    FUZZ_OK(sample_parts_name(&p, fuzz_path("set.h5")));
    if (sample_parts_adopt(&p) == TW_OK && sample_parts_check(&there, &p, 0) == TW_OK && there) {
        FUZZ_OK(tw_alloc(&x, p.batch * tw_dataset_elements(&p.spec), sizeof *x, "samples"));
        (void)sample_parts_read(&p, 0, p.batch, x);
        (void)sample_parts_merge(&p, TW_OUTPUT_REPLACE, 0, p.batch, digest);
        (void)unlink(p.out);
    }
    sample_parts_close(&p);
    tw_free(&x);
}

const fuzz_target fuzz_here = {.file = "set.h5.parts/part-000000000000.h5",
                               .hdf5 = true,
                               .seeds = part_seeds,
                               .start = start,
                               .run = run};
