/* Digests of datasets. */
#include "data/digest.h"

#include <stdio.h>
#include <xxhash.h>

#include "data/format.h"
#include "tweedie/memory.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "what is hashed in memory must be what is stored: little-endian");

struct tw_digest {
    XXH3_state_t *state;
};

tw_status tw_digest_create(tw_digest **out)
{
    tw_status st = TW_OK;
    tw_digest *digest = NULL;
    TW_TRY(tw_alloc(&digest, 1, sizeof *digest, "a digest"));
    digest->state = XXH3_createState();
    TW_CHECK(digest->state && XXH3_128bits_reset(digest->state) == XXH_OK, TW_ENOMEM,
             "out of memory for a digest");
    *out = digest;
    digest = NULL;
done:
    tw_digest_destroy(&digest);
    return st;
}

void tw_digest_destroy(tw_digest **digest)
{
    if (!*digest) return;
    XXH3_freeState((*digest)->state);
    tw_free(digest);
}

void tw_digest_add(tw_digest *digest, const void *bytes, size_t size)
{
    (void)XXH3_128bits_update(digest->state, bytes, size); /* fails for a null pointer alone */
}

/* Conditions, or log variances. */
static tw_status add_array(tw_digest *digest, tw_dataset *d, const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    const int64_t count = tw_dataset_count(d), block = tw_block_samples(spec);
    const size_t bytes = tw_dataset_sample_bytes(spec);
    void *stored = NULL;
    TW_TRY(tw_alloc_arena(&stored, (size_t)block * bytes, "a block of an array"));
    for (int64_t i = 0; i < count; i += block) {
        const int64_t n = count - i < block ? count - i : block;
        TW_TRY(spec->is_condition ? tw_dataset_read_condition_stored(d, i, n, stored)
                                  : tw_dataset_read_log_variance(d, i, n, stored));
        tw_digest_add(digest, stored, (size_t)n * bytes);
    }
done:
    tw_free(&stored);
    return st;
}

tw_status tw_digest_add_dataset(tw_digest *digest, tw_dataset *d)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_dataset_get_spec(d);
    const int64_t count = tw_dataset_count(d), block = tw_block_samples(spec),
                  label_block = TW_BLOCK_BYTES / sizeof(int32_t);
    const size_t bytes = tw_dataset_sample_bytes(spec);
    void *stored = NULL;
    size_t arena = (size_t)block * bytes;
    TW_TRY(tw_alloc_arena(&stored, arena > TW_BLOCK_BYTES ? arena : TW_BLOCK_BYTES,
                          "a block of samples"));
    for (int64_t i = 0; i < count; i += block) {
        int64_t n = count - i < block ? count - i : block;
        TW_TRY(tw_dataset_read_stored(d, i, n, stored, NULL));
        tw_digest_add(digest, stored, (size_t)n * bytes);
    }
    for (int64_t i = 0; i < count && spec->num_classes > 0; i += label_block) {
        int64_t n = count - i < label_block ? count - i : label_block;
        TW_TRY(tw_dataset_read_stored(d, i, n, NULL, stored));
        tw_digest_add(digest, stored, (size_t)n * sizeof(int32_t));
    }
    if (spec->condition) TW_TRY(add_array(digest, d, spec->condition));
    if (spec->log_variance) TW_TRY(add_array(digest, d, spec->log_variance));
done:
    tw_free(&stored);
    return st;
}

void tw_digest_text(const tw_digest *digest, char *out)
{
    XXH128_hash_t hash = XXH3_128bits_digest(digest->state);
    snprintf(out, TW_DATASET_DIGEST_MAX, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}
