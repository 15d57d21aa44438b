/* Checkpoints whose seal is right whatever is in them: opened, and everything read and judged. */
#include <math.h>
#include <string.h>

#include "checkpoint_seeds.h"
#include "harness.h"
#include "tweedie/checkpoint.h"
#include "tweedie/memory.h"

/* What a caller relies on. */
static void claim_meta(const tw_checkpoint_meta *m)
{
    FUZZ_CLAIM(m->config && m->loss_count >= 0);
    for (int64_t i = 0; i < 2 * m->loss_count; i++) (void)*(const volatile double *)&m->losses[i];
    for (int64_t i = 0; m->offset && i < m->channels; i++)
        FUZZ_CLAIM(isfinite(m->offset[i]) && isfinite(m->scale[i]));
    (void)strlen(m->config);
}

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    tw_checkpoint *c = NULL;
    (void)bytes;
    const tw_status st = tw_checkpoint_open(&c, path);
    fuzz_judge(st);
    if (st != TW_OK) return;
    claim_meta(tw_checkpoint_meta_view(c));
    for (int64_t i = 0; i < tw_checkpoint_count(c); i++) {
        const tw_checkpoint_array *a = tw_checkpoint_array_view(c, i);
        int64_t n = 1;
        for (int k = 0; k < a->rank; k++) n *= a->dims[k];
        FUZZ_CLAIM(n > 0 && tw_checkpoint_find(c, a->group, a->name) >= 0);
        FUZZ_CLAIM(n * (int64_t)sizeof(float) <= (int64_t)size);
    }
    fuzz_judge(tw_checkpoint_verify(c));
    tw_checkpoint_close(&c);
}

const fuzz_target fuzz_here = {.file = "step-000000005.h5",
                               .hdf5 = true,
                               .seeds = checkpoint_seeds,
                               .repair = checkpoint_repair,
                               .run = run};
