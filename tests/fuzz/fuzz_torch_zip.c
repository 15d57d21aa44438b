/* torch's zip files: entries, pickles, views. */
#include <zlib.h>

#include "archive_run.h"
#include "weights/container.h"

enum { END = 22, CENTRAL = 46, LOCAL = 30 };

static void put32(uint8_t *p, uint32_t x)
{
    for (int k = 0; k < 4; k++) p[k] = (uint8_t)(x >> 8 * k);
}

/* Every entry gets the CRC-32 that it has. */
static void repair(uint8_t *bytes, size_t size)
{
    if (size < END) return;
    const uint8_t *end = bytes + size - END;
    uint64_t at = tw_bytes_u32(end + 16);
    for (int k = 0; k < tw_bytes_u16(end + 10); k++) {
        if (at > size || size - at < CENTRAL) return;
        uint8_t *entry = bytes + at;
        const uint64_t local = tw_bytes_u32(entry + 42), length = tw_bytes_u32(entry + 20);
        if (local > size || size - local < LOCAL) return;
        const uint64_t data = local + LOCAL + tw_bytes_u16(bytes + local + 26) +
                              (uint64_t)tw_bytes_u16(bytes + local + 28);
        if (data <= size && length <= size - data)
            put32(entry + 16, (uint32_t)crc32(0, bytes + data, (uInt)length));
        at += CENTRAL + tw_bytes_u16(entry + 28) + (uint64_t)tw_bytes_u16(entry + 30) +
              tw_bytes_u16(entry + 32);
    }
}

static void seeds(void)
{
    archive_seed("zoo", "zoo.pth");
    archive_seed("zoo", "zoo_old_zip.pth");
    archive_seed("zoo", "zoo_new_dtypes.pth");
    archive_seed("zoo", "big_endian.pth");
    archive_seed("hostile", "good_zip.pth");
    archive_seed("hostile", "pickle_cycle.pth");
    archive_seed("hostile", "zip_global_hidden.pth");
}

const fuzz_target fuzz_here = {
    .file = "checkpoint.pth", .seeds = seeds, .repair = repair, .run = archive_run};
