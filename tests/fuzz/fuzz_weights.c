/* Weights files, and checkpoints that weights are taken from: loaded, and exported again. */
#include <unistd.h>

#include "checkpoint_seeds.h"
#include "harness.h"
#include "tweedie/checkpoint.h"

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    static const char *const which[] = {NULL, "raw", "ema:0.99"};
    const char *out = fuzz_path("out.h5");
    tw_weights *weights = NULL;
    (void)bytes;
    const tw_status st = tw_weights_load(&weights, NULL, path, which[size % 3]);
    fuzz_judge(st);
    if (st == TW_OK) {
        FUZZ_CLAIM(weights->meta.config != NULL);
        for (int64_t i = 0; i < weights->count; i++) FUZZ_CLAIM(weights->arrays[i].data != NULL);
        tw_weights_destroy(&weights);
    }
    if (tw_weights_export(path, which[size % 3], out, true, NULL) == TW_OK) {
        FUZZ_OK(tw_weights_load(&weights, NULL, out, NULL)); /* what is written can be read */
        tw_weights_destroy(&weights);
    }
    (void)unlink(out);
}

const fuzz_target fuzz_here = {.file = "weights.h5",
                               .hdf5 = true,
                               .seeds = weights_seeds,
                               .repair = checkpoint_repair,
                               .run = run};
