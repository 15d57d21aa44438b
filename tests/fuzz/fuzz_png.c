/* PNG. */
#include <png.h>
#include <string.h>

#include "picture_run.h"
#include "tweedie/png.h"

typedef struct recipe {
    const char *name;
    int type, bits;
    bool interlaced;
} recipe;

static void write_one(const recipe *r)
{
    static png_color palette[4] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {9, 8, 7}};
    static const png_byte alpha[4] = {0, 80, 160, 255};
    static png_byte rows[5][64];
    png_bytep pointers[5];
    FILE *file = fopen(fuzz_seed_path(r->name), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    FUZZ_CLAIM(file && png && info && setjmp(png_jmpbuf(png)) == 0);
    for (int y = 0; y < 5; y++) {
        pointers[y] = rows[y];
        for (int x = 0; x < 64; x++) rows[y][x] = (png_byte)(17 * x + 31 * y);
    }
    png_init_io(png, file);
    png_set_IHDR(png, info, 6, 5, r->bits, r->type,
                 r->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (r->type == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, palette, 4);
        png_set_tRNS(png, info, alpha, 4, NULL);
        memset(rows, 0x1b, sizeof rows); /* each of the four, two bits each */
    }
    png_write_info(png, info);
    png_write_image(png, pointers);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    FUZZ_CLAIM(fclose(file) == 0);
}

static void seeds(void)
{
    static const recipe recipes[] = {
        {"grey", PNG_COLOR_TYPE_GRAY, 8, false},     {"bits", PNG_COLOR_TYPE_GRAY, 1, true},
        {"grey16", PNG_COLOR_TYPE_GRAY, 16, true},   {"rgb", PNG_COLOR_TYPE_RGB, 8, true},
        {"rgb16", PNG_COLOR_TYPE_RGB, 16, false},    {"rgba", PNG_COLOR_TYPE_RGB_ALPHA, 8, false},
        {"ga", PNG_COLOR_TYPE_GRAY_ALPHA, 8, false}, {"palette", PNG_COLOR_TYPE_PALETTE, 2, false},
    };
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) write_one(&recipes[i]);
}

const fuzz_target fuzz_here = {
    .file = "pictures/a.png", .seeds = seeds, .start = picture_start, .run = picture_run};
