/* TIFF: strips and tiles, planes, palettes, 8 to 32 bits, and the codecs that are read. (Where the
 * build has no libtiff the reader refuses every input.) */
#include "picture_run.h"

#ifdef TWEEDIE_TIFF
#include <tiffio.h>

typedef struct recipe {
    const char *name;
    uint16_t bits, samples, photometric, planar, codec, format, orientation;
    uint32_t tile;
} recipe;

static void set_fields(TIFF *t, const recipe *r)
{
    TIFFSetField(t, TIFFTAG_IMAGEWIDTH, 20u);
    TIFFSetField(t, TIFFTAG_IMAGELENGTH, 17u);
    TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, r->samples);
    TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, r->bits);
    TIFFSetField(t, TIFFTAG_PHOTOMETRIC, r->photometric);
    TIFFSetField(t, TIFFTAG_PLANARCONFIG, r->planar);
    TIFFSetField(t, TIFFTAG_COMPRESSION, r->codec);
    TIFFSetField(t, TIFFTAG_SAMPLEFORMAT, r->format);
    TIFFSetField(t, TIFFTAG_ORIENTATION, r->orientation);
    if (r->tile) {
        TIFFSetField(t, TIFFTAG_TILEWIDTH, r->tile);
        TIFFSetField(t, TIFFTAG_TILELENGTH, r->tile);
    } else {
        TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, 5u);
    }
}

static void write_one(const recipe *r)
{
    static uint8_t bytes[1 << 16];
    uint16_t palette[3][256];
    TIFF *t = TIFFOpen(fuzz_seed_path(r->name), "w");
    FUZZ_CLAIM(t != NULL);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 13 + i / 60);
    set_fields(t, r);
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++) palette[c][i] = (uint16_t)(i * 200 + c);
    if (r->photometric == PHOTOMETRIC_PALETTE)
        TIFFSetField(t, TIFFTAG_COLORMAP, palette[0], palette[1], palette[2]);
    const uint32_t parts = r->tile ? TIFFNumberOfTiles(t) : TIFFNumberOfStrips(t);
    for (uint32_t i = 0; i < parts; i++)
        FUZZ_CLAIM((r->tile ? TIFFWriteEncodedTile(t, i, bytes, TIFFTileSize(t))
                            : TIFFWriteEncodedStrip(t, i, bytes, TIFFStripSize(t))) >= 0);
    TIFFClose(t);
}
#endif

static void seeds(void)
{
    fuzz_seed("empty", "II*\0\10\0\0\0\0\0\0\0\0\0", 14);
#ifdef TWEEDIE_TIFF
    static const recipe recipes[] = {
        {"grey", 8, 1, PHOTOMETRIC_MINISBLACK, 1, COMPRESSION_NONE, SAMPLEFORMAT_UINT, 1, 0},
        {"white", 1, 1, PHOTOMETRIC_MINISWHITE, 1, COMPRESSION_PACKBITS, SAMPLEFORMAT_UINT, 3, 0},
        {"grey16", 16, 1, PHOTOMETRIC_MINISBLACK, 1, COMPRESSION_LZW, SAMPLEFORMAT_UINT, 6, 0},
        {"floats", 32, 1, PHOTOMETRIC_MINISBLACK, 1, COMPRESSION_NONE, SAMPLEFORMAT_IEEEFP, 1, 0},
        {"rgb", 8, 3, PHOTOMETRIC_RGB, 1, COMPRESSION_ADOBE_DEFLATE, SAMPLEFORMAT_UINT, 8, 0},
        {"planes", 8, 3, PHOTOMETRIC_RGB, 2, COMPRESSION_NONE, SAMPLEFORMAT_UINT, 1, 0},
        {"tiles", 8, 3, PHOTOMETRIC_RGB, 1, COMPRESSION_LZW, SAMPLEFORMAT_UINT, 1, 16},
        {"cmyk", 8, 4, PHOTOMETRIC_SEPARATED, 1, COMPRESSION_NONE, SAMPLEFORMAT_UINT, 1, 0},
        {"palette", 8, 1, PHOTOMETRIC_PALETTE, 1, COMPRESSION_NONE, SAMPLEFORMAT_UINT, 1, 0},
    };
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) write_one(&recipes[i]);
#endif
}

const fuzz_target fuzz_here = {
    .file = "pictures/a.tif", .seeds = seeds, .start = picture_start, .run = picture_run};
