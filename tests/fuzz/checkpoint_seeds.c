/* Small checkpoints. */
#include "checkpoint_seeds.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "checkpoint/container.h"
#include "harness.h"

enum { ARRAYS = 4, FLOATS = 32 };

static float data[ARRAYS][FLOATS];

static void fill(tw_checkpoint_array *arrays, tw_checkpoint_meta *meta, bool whole)
{
    static const int64_t dims[2][2] = {{4, 8}, {5, 1}};
    static const char *const groups[] = {"params", "ema/0.99"};
    static const float offset[] = {273, 0, -4}, scale[] = {12, 1, 0.5f};
    static const double losses[2][2] = {{10, 1.5}, {20, 0.75}};
    for (int i = 0; i < ARRAYS; i++) {
        arrays[i] = (tw_checkpoint_array){groups[i / 2], i % 2 ? "bias" : "weight", i % 2 ? 1 : 2,
                                          dims[i % 2], data[i]};
        for (int k = 0; k < FLOATS; k++) data[i][k] = sinf((float)(k + 7 * i));
    }
    *meta = (tw_checkpoint_meta){.step = 5, .samples = 50, .seed = 3, .ranks = 1, .threads = 2};
    strcpy(meta->precision, "f32");
    strcpy(meta->dataset_digest, "0123456789abcdef0123456789abcdef");
    strcpy(meta->versions, "a seed");
    strcpy(meta->weights, "ema:0.99");
    strcpy(meta->sample_kind, "float32");
    meta->height = meta->width = 4;
    meta->channels = 3;
    meta->config = "[network]\nkind = mlp\n\n[ema]\nrates = 0.99\n";
    if (!whole) return;
    meta->num_classes = 2;
    meta->offset = offset;
    meta->scale = scale;
    meta->losses = &losses[0][0];
    meta->loss_count = 2;
}

void checkpoint_seeds(void)
{
    tw_checkpoint_array arrays[ARRAYS];
    tw_checkpoint_meta meta;
    FUZZ_CLAIM(mkdir(fuzz_path("checkpoints"), 0777) == 0);
    fill(arrays, &meta, true);
    FUZZ_OK(tw_checkpoint_write(fuzz_directory(), arrays, ARRAYS, &meta));
    fuzz_seed_copy("whole", fuzz_path("checkpoints/step-000000005.h5"));
    fill(arrays, &meta, false);
    FUZZ_OK(tw_checkpoint_write(fuzz_directory(), arrays, 2, &meta));
    fuzz_seed_copy("small", fuzz_path("checkpoints/step-000000005.h5"));
}

void weights_seeds(void)
{
    tw_checkpoint_array arrays[ARRAYS];
    tw_checkpoint_meta meta;
    for (int whole = 0; whole < 2; whole++) {
        fill(arrays, &meta, whole);
        strcpy(meta.source, "checkpoints/step-000000005.h5");
        FUZZ_OK(tw_weights_write(fuzz_seed_path(whole ? "weights-whole" : "weights"), arrays, 2,
                                 &meta));
    }
    checkpoint_seeds();
}

void checkpoint_repair(uint8_t *bytes, size_t size)
{
    XXH128_canonical_t hash;
    if (size <= CONTAINER_BLOCK) return;
    const uint64_t length = size - CONTAINER_BLOCK;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(bytes + CONTAINER_BLOCK, length));
    for (int i = 0; i < 8; i++) bytes[16 + i] = (uint8_t)(length >> 8 * i);
    memcpy(bytes + 24, hash.digest, CONTAINER_HASH_BYTES);
}
