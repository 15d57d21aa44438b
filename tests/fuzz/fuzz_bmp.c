/* BMP: headers of every length that is read, whole bytes and parts of them, masks, run lengths. */
#include <string.h>

#include "picture_run.h"

static void put(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* 5 x 3 pixels behind a palette of as many colours as `bits` has. */
static void write_one(const char *name, uint32_t header, uint32_t bits, uint32_t compression)
{
    uint8_t file[4096] = "BM";
    const uint32_t colours = bits <= 8 ? 1u << bits : compression == 3 ? 3 : 0;
    const uint32_t begin = 14 + header + (header == 40 || bits <= 8 ? 4 * colours : 0),
                   size = begin + 3 * ((5 * bits + 31) / 32 * 4);
    put(file + 2, size, 4);
    put(file + 10, begin, 4);
    put(file + 14, header, 4);
    put(file + 18, 5, 4);
    put(file + 22, 3, 4);
    put(file + 26, 1, 2);
    put(file + 28, bits, 2);
    put(file + 30, compression, 4);
    if (bits <= 8) put(file + 46, colours, 4);
    if (compression == 3) { /* 5-6-5 */
        put(file + 54, 0xf800, 4);
        put(file + 58, 0x07e0, 4);
        put(file + 62, 0x001f, 4);
    }
    for (uint32_t i = 0; bits <= 8 && i < 4 * colours; i++)
        file[14 + header + i] = (uint8_t)(i * 7);
    for (uint32_t i = begin; i < size; i++) file[i] = (uint8_t)(i * 37);
    if (compression == 1) memcpy(file + begin, "\5\1\0\0\0\5\1\1\1\1\1\0\0\0\5\0\0\1", 18);
    fuzz_seed(name, file, size);
}

static void seeds(void)
{
    write_one("bits1", 40, 1, 0);
    write_one("bits4", 40, 4, 0);
    write_one("bits8", 40, 8, 0);
    write_one("runs", 40, 8, 1);
    write_one("rgb", 40, 24, 0);
    write_one("masks", 40, 16, 3);
    write_one("rgba", 108, 32, 0);
    write_one("new", 124, 24, 0);
}

const fuzz_target fuzz_here = {
    .file = "pictures/a.bmp", .seeds = seeds, .start = picture_start, .run = picture_run};
