/* Reading TIFF, where the build found libtiff. Grey and RGB of 8 and 16 bits and floats are read
 * block by block as they are; palettes, inks, YCbCr and fewer bits go through libtiff's own
 * conversion to RGBA. A file of several pages is refused: it is not one image. */
#include "data/picture.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

static bool begins(const unsigned char head[PICTURE_HEAD])
{
    return memcmp(head, "II*\0", 4) == 0 || memcmp(head, "MM\0*", 4) == 0 ||
           memcmp(head, "II+\0", 4) == 0 || memcmp(head, "MM\0+", 4) == 0;
}

#ifdef TWEEDIE_TIFF
#include <tiffio.h>

enum { BLOCK_MAX = 1 << 27, PAGES_MAX = 64 };

typedef struct reader {
    TIFF *tiff;
    FILE *file;
    const char *path;
    picture image;
    uint32_t width, height;
    uint16_t bits, samples, photometric, planar, format, alpha;
    tw_status status;  /* a failure of ours */
    char message[256]; /* libtiff's first words */
} reader;

static void on_error(thandle_t handle, const char *where, const char *format, va_list arguments)
{
    reader *r = handle;
    (void)where;
    if (r && !r->message[0]) vsnprintf(r->message, sizeof r->message, format, arguments);
}

static bool is_late(reader *r)
{
    if (r->status == TW_OK && tw_picture_is_late()) r->status = tw_picture_too_slow(r->path);
    return r->status != TW_OK;
}

/* libtiff reads through these, so that a file of a million tiny pieces meets the clock. */
static tmsize_t on_read(thandle_t handle, void *out, tmsize_t size)
{
    reader *r = handle;
    return !is_late(r) ? (tmsize_t)fread(out, 1, (size_t)size, r->file) : -1;
}

static tmsize_t on_write(thandle_t handle, void *data, tmsize_t size)
{
    (void)handle;
    (void)data;
    (void)size;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t at, int whence)
{
    reader *r = handle;
    return fseeko(r->file, (off_t)at, whence) == 0 ? (toff_t)ftello(r->file) : (toff_t)-1;
}

static int on_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle)
{
    reader *r = handle;
    const off_t at = ftello(r->file);
    off_t size = fseeko(r->file, 0, SEEK_END) == 0 ? ftello(r->file) : 0;
    (void)fseeko(r->file, at, SEEK_SET);
    return (toff_t)size;
}

static void open_tiff(reader *r)
{
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
    TIFFSetErrorHandlerExt(on_error);
#if TIFFLIB_VERSION >= 20221213
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options) TIFFOpenOptionsSetMaxSingleMemAlloc(options, BLOCK_MAX);
    r->tiff = TIFFClientOpenExt(r->path, "rm", r, on_read, on_write, on_seek, on_close, on_size,
                                NULL, NULL, options);
    TIFFOpenOptionsFree(options);
#else
    r->tiff =
        TIFFClientOpen(r->path, "rm", r, on_read, on_write, on_seek, on_close, on_size, NULL, NULL);
#endif
}

static tw_status damaged(reader *r)
{
    if (r->status != TW_OK) return r->status;
    char *nowhere = strstr(r->message, " at scanline 4294967295"); /* libtiff's "none yet" */
    if (nowhere) memmove(nowhere, nowhere + 23, strlen(nowhere + 23) + 1);
    return tw_error_set(TW_EDATA, "%s: damaged TIFF image: %s", r->path,
                        r->message[0] ? r->message : "it cannot be decoded");
}

/* Refuses several pages, previews and masks not counted, and goes to the one there is. */
static tw_status choose_page(reader *r)
{
    tw_status st = TW_OK;
    int pages = 0, chosen = 0;
    for (int i = 0; i < PAGES_MAX; i++) {
        uint32_t kind = 0;
        (void)TIFFGetField(r->tiff, TIFFTAG_SUBFILETYPE, &kind);
        if (!(kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK))) {
            if (pages++ == 0) chosen = i;
        }
        if (!TIFFReadDirectory(r->tiff)) break;
    }
    TW_CHECK(pages <= 1, TW_EDATA,
             "%s: a TIFF file of several pages; one image was expected (tiffsplit takes it apart)",
             r->path);
    if (!TIFFSetDirectory(r->tiff, (tdir_t)chosen)) st = damaged(r);
done:
    return st;
}

static tw_status describe(reader *r)
{
    tw_status st = TW_OK;
    uint16_t extras = 0, *kinds = NULL;
    TW_CHECK(TIFFGetField(r->tiff, TIFFTAG_IMAGEWIDTH, &r->width) &&
                 TIFFGetField(r->tiff, TIFFTAG_IMAGELENGTH, &r->height),
             TW_EDATA, "%s: damaged TIFF image: no size", r->path);
    (void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_BITSPERSAMPLE, &r->bits);
    (void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLESPERPIXEL, &r->samples);
    (void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_PLANARCONFIG, &r->planar);
    (void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLEFORMAT, &r->format);
    if (!TIFFGetField(r->tiff, TIFFTAG_PHOTOMETRIC, &r->photometric))
        r->photometric = r->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    if (TIFFGetField(r->tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds) && extras > 0)
        r->alpha =
            kinds[0] == EXTRASAMPLE_ASSOCALPHA || kinds[0] == EXTRASAMPLE_UNASSALPHA ? kinds[0] : 0;
done:
    return st;
}

/* Whether the samples are taken as they are. */
static bool is_plain(const reader *r)
{
    const bool grey =
        r->photometric == PHOTOMETRIC_MINISBLACK || r->photometric == PHOTOMETRIC_MINISWHITE;
    return (grey || r->photometric == PHOTOMETRIC_RGB) &&
           ((r->format == SAMPLEFORMAT_UINT && (r->bits == 8 || r->bits == 16)) ||
            (r->format == SAMPLEFORMAT_IEEEFP && r->bits == 32) ||
            (r->format == SAMPLEFORMAT_VOID && r->bits == 8));
}

/* Sample `s` of pixel `i` of a block, into the picture. */
static void put_samples(reader *r, const unsigned char *block, int64_t pixels, int64_t at,
                        int plane)
{
    picture *p = &r->image;
    const int in = r->planar == PLANARCONFIG_SEPARATE ? 1 : r->samples;
    const int first = in == 1 ? plane : 0, count = in == 1 ? 1 : p->channels;
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < count; c++) {
            const int64_t from = i * in + c, to = (at + i) * p->channels + first + c;
            uint16_t v;
            if (r->bits == 8)
                p->pixels[to] = block[from];
            else if (r->bits == 32)
                memcpy(&p->values[to], block + 4 * from, 4);
            else {
                memcpy(&v, block + 2 * from, 2);
                p->values[to] = v;
            }
        }
}

/* Tiles of a plane, of which those at the right and below reach beyond the image. */
static tw_status read_tiles(reader *r, unsigned char *block, int64_t size, int plane)
{
    tw_status st = TW_OK;
    const int in = r->planar == PLANARCONFIG_SEPARATE ? 1 : r->samples;
    uint32_t w = 0, h = 0;
    (void)TIFFGetField(r->tiff, TIFFTAG_TILEWIDTH, &w);
    (void)TIFFGetField(r->tiff, TIFFTAG_TILELENGTH, &h);
    const int64_t line = (int64_t)w * in * (r->bits / 8);
    TW_CHECK(w > 0 && h > 0 && line * h <= size, TW_EDATA, "%s: damaged TIFF image: its tiles",
             r->path);
    for (int64_t y = 0; y < r->height; y += h)
        for (int64_t x = 0; x < r->width; x += w) {
            const int64_t rows = r->height - y < h ? r->height - y : h,
                          columns = r->width - x < w ? r->width - x : w;
            if (TIFFReadTile(r->tiff, block, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane) < 0 ||
                is_late(r)) {
                st = damaged(r);
                goto done;
            }
            for (int64_t k = 0; k < rows; k++)
                put_samples(r, block + k * line, columns, (y + k) * r->width + x, plane);
        }
done:
    return st;
}

/* Row by row: a strip may be the whole image. */
static tw_status read_rows(reader *r, unsigned char *block, int plane)
{
    tw_status st = TW_OK;
    for (int64_t y = 0; y < r->height; y++) {
        if (TIFFReadScanline(r->tiff, block, (uint32_t)y, (uint16_t)plane) < 0 || is_late(r)) {
            st = damaged(r);
            goto done;
        }
        put_samples(r, block, r->width, y * r->width, plane);
    }
done:
    return st;
}

/* Black is 0, alpha is not premultiplied, and 12 bits in 16 are known where the file tells. */
static void interpret(reader *r)
{
    picture *p = &r->image;
    const bool invert = r->photometric == PHOTOMETRIC_MINISWHITE && r->bits != 32;
    const float white = r->bits == 8 ? 255 : 65535;
    const int colours = p->channels - (p->channels % 2 == 0);
    uint16_t most = 0;
    for (int64_t i = 0; i < p->height * p->width * p->channels; i++) {
        const int c = (int)(i % p->channels);
        if (c >= colours) continue;
        float v = p->values ? p->values[i] : p->pixels[i];
        if (r->alpha == EXTRASAMPLE_ASSOCALPHA && colours < p->channels) {
            const int64_t k = i - c + colours;
            const float a = p->values ? p->values[k] : p->pixels[k];
            v = a > 0 ? fminf(nearbyintf(v * white / a), white) : 0;
        }
        if (invert) v = white - v;
        if (p->values)
            p->values[i] = v;
        else
            p->pixels[i] = (uint8_t)v;
    }
    if (r->bits != 16 || invert || !TIFFGetField(r->tiff, TIFFTAG_MAXSAMPLEVALUE, &most)) return;
    for (int bits = 9; bits < 16; bits++)
        if (most == (1 << bits) - 1 && colours == p->channels && tw_picture_most(p) <= most)
            p->bits = bits;
}

static tw_status read_plain(reader *r)
{
    tw_status st = TW_OK;
    unsigned char *block = NULL;
    const bool rgb = r->photometric == PHOTOMETRIC_RGB;
    const int colours = rgb ? 3 : 1, channels = colours + (r->alpha && r->samples > colours);
    TW_CHECK(r->samples >= colours && r->samples <= colours + 1, TW_EDATA,
             "%s: a TIFF image of %d channels; grey or RGB, with or without alpha, was expected",
             r->path, r->samples);
    TW_CHECK(r->bits != 32 || channels == colours, TW_EDATA,
             "%s: a TIFF image of floats with alpha; without alpha was expected", r->path);
    if (r->bits == 8)
        TW_TRY(tw_picture_allocate(&r->image, r->height, r->width, channels, r->path));
    else
        TW_TRY(
            tw_picture_allocate_values(&r->image, r->height, r->width, channels, r->bits, r->path));
    const bool tiled = TIFFIsTiled(r->tiff);
    const int64_t size = (int64_t)(tiled ? TIFFTileSize64(r->tiff) : TIFFScanlineSize64(r->tiff));
    const int64_t least =
        (int64_t)r->width * (r->planar == PLANARCONFIG_SEPARATE ? 1 : r->samples) * (r->bits / 8);
    TW_CHECK(size > 0 && size <= BLOCK_MAX && (tiled || size >= least), TW_EDATA,
             "%s: a TIFF image in blocks of %lld bytes; at most %d were expected", r->path,
             (long long)size, BLOCK_MAX);
    TW_TRY(tw_alloc(&block, size, 1, "a block of an image"));
    const int planes = r->planar == PLANARCONFIG_SEPARATE ? channels : 1;
    for (int i = 0; i < planes; i++)
        TW_TRY(tiled ? read_tiles(r, block, size, i) : read_rows(r, block, i));
    interpret(r);
done:
    tw_free(&block);
    return st;
}

static bool is_grey(const uint32_t *raster, int64_t pixels)
{
    for (int64_t i = 0; i < pixels; i++)
        if (TIFFGetR(raster[i]) != TIFFGetG(raster[i]) ||
            TIFFGetR(raster[i]) != TIFFGetB(raster[i]))
            return false;
    return true;
}

static tw_status read_converted(reader *r)
{
    tw_status st = TW_OK;
    uint32_t *raster = NULL;
    char words[1024] = "";
    TW_CHECK(r->bits <= 8 && TIFFRGBAImageOK(r->tiff, words), TW_EDATA,
             "%s: a TIFF image of %d bits, sample format %d, photometric %d, which is not read%s%s",
             r->path, r->bits, r->format, r->photometric, words[0] ? ": " : "", words);
    const int64_t pixels = (int64_t)r->height * r->width;
    TW_CHECK(pixels > 0 && pixels <= PICTURE_PIXELS_MAX, TW_EDATA,
             "%s: an image of %u x %u pixels; at most %d pixels were expected", r->path, r->height,
             r->width, PICTURE_PIXELS_MAX);
    TW_TRY(tw_alloc(&raster, pixels, sizeof *raster, "an image"));
    /* the picture as it is stored; the orientation is applied later */
    (void)TIFFSetField(r->tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    if (!TIFFReadRGBAImageOriented(r->tiff, r->width, r->height, raster, ORIENTATION_TOPLEFT, 1) ||
        r->status != TW_OK) {
        st = damaged(r);
        goto done;
    }
    const bool grey = r->photometric <= PHOTOMETRIC_MINISBLACK && is_grey(raster, pixels);
    TW_TRY(tw_picture_allocate(&r->image, r->height, r->width, grey ? 1 : 3, r->path));
    for (int64_t i = 0; i < pixels; i++) {
        uint8_t *v = r->image.pixels + i * r->image.channels;
        v[0] = (uint8_t)TIFFGetR(raster[i]);
        if (grey) continue;
        v[1] = (uint8_t)TIFFGetG(raster[i]);
        v[2] = (uint8_t)TIFFGetB(raster[i]);
    }
done:
    tw_free(&raster);
    return st;
}

static tw_status read_tiff(picture *out, FILE *file, const char *path)
{
    tw_status st = TW_OK;
    reader r = {.file = file, .path = path};
    uint16_t orientation = 1;
    open_tiff(&r);
    if (!r.tiff) {
        st = damaged(&r);
        goto done;
    }
    TW_TRY(choose_page(&r));
    TW_TRY(describe(&r));
    (void)TIFFGetField(r.tiff, TIFFTAG_ORIENTATION, &orientation);
    TW_TRY(is_plain(&r) ? read_plain(&r) : read_converted(&r));
    TW_TRY(tw_picture_orient(&r.image, orientation));
    *out = r.image;
    r.image = (picture){0};
done:
    if (r.tiff) TIFFClose(r.tiff);
    tw_picture_free(&r.image);
    return st;
}
#define MISSING NULL
#else
#define read_tiff NULL
#define MISSING "libtiff"
#endif

extern const tw_picture_format tw_picture_tiff;
const tw_picture_format tw_picture_tiff = {.name = "TIFF",
                                           .suffixes = "tif tiff",
                                           .missing = MISSING,
                                           .begins = begins,
                                           .read = read_tiff};
