/* idx files of images and, behind a separator, of labels; plain and gzip. */
#include <string.h>
#include <zlib.h>

#include "harness.h"

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    const uint8_t *part;
    size_t n;
    const char *labels = fuzz_path("t10k-labels.idx");
    fuzz_part(bytes, size, 0, &part, &n);
    fuzz_write(path, part, n);
    fuzz_part(bytes, size, 1, &part, &n);
    fuzz_write(labels, part, n);
    fuzz_import("idx", path, n > 0 ? labels : NULL, (unsigned)size & 1);
}

static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t labels_of_them[] = {0, 0, 8, 1, 0, 0, 0, 2, 4, 9};
/* QMNIST: eight columns of 32 bits */
static const uint8_t wide_labels[16 + 2 * 8 * 4 - 4] = {0, 0, 12, 2, 0, 0, 0, 2, 0, 0, 0, 8};

static void both(const char *name, const void *a, size_t na, const void *b, size_t nb)
{
    uint8_t whole[512];
    const size_t ns = sizeof FUZZ_SEPARATOR - 1;
    memcpy(whole, a, na);
    memcpy(whole + na, FUZZ_SEPARATOR, ns);
    memcpy(whole + na + ns, b, nb);
    fuzz_seed(name, whole, na + ns + nb);
}

static size_t pack(uint8_t *out, size_t room, const void *bytes, size_t size)
{
    z_stream z;
    memset(&z, 0, sizeof z);
    FUZZ_CLAIM(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    FUZZ_CLAIM(deflate(&z, Z_FINISH) == Z_STREAM_END);
    const size_t n = room - z.avail_out;
    deflateEnd(&z);
    return n;
}

static void seeds(void)
{
    uint8_t packed[2][128];
    const size_t a = pack(packed[0], 128, images, sizeof images),
                 b = pack(packed[1], 128, labels_of_them, sizeof labels_of_them);
    fuzz_seed("images", images, sizeof images);
    fuzz_seed("gzip", packed[0], a);
    both("labels", images, sizeof images, labels_of_them, sizeof labels_of_them);
    both("labels-gzip", packed[0], a, packed[1], b);
    both("wide-labels", images, sizeof images, wide_labels, sizeof wide_labels);
}

const fuzz_target fuzz_here = {.file = "t10k-images.idx", .seeds = seeds, .run = run};
