/* Reading BMP: Windows bitmaps of 1 to 32 bits, run-length encoded ones, and those of OS/2 1.x. */
#include "data/picture.h"

#include <string.h>

#include "tweedie/memory.h"

enum { HEAD = 14, INFO_MAX = 124, RGB = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, ALPHAFIELDS = 6 };

/* A colour of 16 or 32 bits: where its bits are. */
typedef struct field {
    uint32_t mask;
    int shift;
} field;

typedef struct reader {
    FILE *file;
    const char *path;
    picture image;
    int64_t width, height;
    bool downward; /* the first row is the upper one */
    int bits;
    uint32_t compression, data_at;
    uint8_t palette[256][3];
    int colours;
    field fields[4]; /* red, green, blue, alpha */
} reader;

static uint32_t number(const unsigned char *at, int bytes)
{
    uint32_t v = 0;
    while (bytes-- > 0) v = v << 8 | at[bytes];
    return v;
}

static tw_status take(reader *r, void *out, size_t size)
{
    if (fread(out, 1, size, r->file) == size) return TW_OK;
    return tw_error_set(TW_EDATA, "%s: damaged BMP image: the file is truncated", r->path);
}

static void set_field(field *f, uint32_t mask)
{
    f->mask = mask;
    f->shift = 0;
    while (mask && !(mask >> f->shift & 1)) f->shift++;
}

static uint8_t get_field(const field *f, uint32_t v)
{
    const uint64_t most = f->mask >> f->shift;
    return most ? (uint8_t)(((uint64_t)((v & f->mask) >> f->shift) * 255 + most / 2) / most) : 0;
}

/* The header behind the size `n` of itself, which is 12 in OS/2 1.x. */
static tw_status read_info(reader *r, const unsigned char *info, uint32_t n)
{
    tw_status st = TW_OK;
    if (n == 12) {
        r->width = (int16_t)number(info + 4, 2);
        r->height = (int16_t)number(info + 6, 2);
        r->bits = (int)number(info + 10, 2);
    } else {
        r->width = (int32_t)number(info + 4, 4);
        r->height = (int32_t)number(info + 8, 4);
        r->bits = (int)number(info + 14, 2);
        r->compression = number(info + 16, 4);
        r->colours = (int)(number(info + 32, 4) & 0xffff);
    }
    r->downward = r->height < 0;
    if (r->downward) r->height = -r->height;
    const int b = r->bits;
    const bool packed = r->compression == BITFIELDS || r->compression == ALPHAFIELDS;
    TW_CHECK(b == 1 || b == 4 || b == 8 || b == 16 || b == 24 || b == 32, TW_EDATA,
             "%s: damaged BMP image: %d bits a pixel", r->path, b);
    TW_CHECK(r->compression == RGB || (r->compression == RLE8 && b == 8) ||
                 (r->compression == RLE4 && b == 4) || (packed && (b == 16 || b == 32)),
             TW_EDATA, "%s: a BMP image of compression %u, which is not read", r->path,
             r->compression);
    if (r->colours == 0 || r->colours > 256) r->colours = b <= 8 ? 1 << b : 0;
done:
    return st;
}

static tw_status read_masks(reader *r, const unsigned char *info, uint32_t n)
{
    tw_status st = TW_OK;
    unsigned char more[16] = {0};
    set_field(&r->fields[0], r->bits == 16 ? 0x7c00 : 0xff0000);
    set_field(&r->fields[1], r->bits == 16 ? 0x3e0 : 0xff00);
    set_field(&r->fields[2], r->bits == 16 ? 0x1f : 0xff);
    if (r->compression != BITFIELDS && r->compression != ALPHAFIELDS) goto done;
    const bool inside = n >= 52;
    const size_t size = r->compression == ALPHAFIELDS ? 16 : 12;
    if (inside)
        memcpy(more, info + 40, n >= 56 ? 16 : 12);
    else
        TW_TRY(take(r, more, size));
    for (int i = 0; i < 4; i++) set_field(&r->fields[i], number(more + (size_t)4 * (size_t)i, 4));
done:
    return st;
}

static tw_status read_header(reader *r)
{
    tw_status st = TW_OK;
    unsigned char head[HEAD], info[INFO_MAX] = {0}, colour[4];
    TW_TRY(take(r, head, sizeof head));
    TW_TRY(take(r, info, 4));
    const uint32_t n = number(info, 4);
    TW_CHECK(n == 12 || (n >= 40 && n <= INFO_MAX), TW_EDATA,
             "%s: a BMP image with a header of %u bytes, which is not read", r->path, n);
    TW_TRY(take(r, info + 4, n - 4));
    r->data_at = number(head + 10, 4);
    TW_TRY(read_info(r, info, n));
    TW_TRY(read_masks(r, info, n));
    const size_t entry = n == 12 ? 3 : 4;
    for (int i = 0; i < r->colours && r->bits <= 8; i++) {
        if (n == 12 && (uint32_t)ftell(r->file) + entry > r->data_at)
            break; /* it gives no number */
        TW_TRY(take(r, colour, entry));
        for (int c = 0; c < 3; c++) r->palette[i][c] = colour[2 - c];
    }
    TW_CHECK(fseek(r->file, r->data_at, SEEK_SET) == 0, TW_EDATA,
             "%s: damaged BMP image: its pixels cannot be found", r->path);
done:
    return st;
}

static uint8_t *pixel(const reader *r, int64_t x, int64_t y)
{
    const int64_t row = r->downward ? y : r->height - 1 - y;
    return r->image.pixels + (row * r->width + x) * r->image.channels;
}

static void unpack(const reader *r, const unsigned char *line, int64_t y)
{
    for (int64_t x = 0; x < r->width; x++) {
        uint8_t *v = pixel(r, x, y);
        const unsigned char *at = line + x * r->bits / 8;
        if (r->bits <= 8) {
            const int shift = 8 - r->bits - (int)(x * r->bits % 8);
            memcpy(v, r->palette[at[0] >> shift & ((1 << r->bits) - 1)], 3);
        } else if (r->bits == 24)
            for (int c = 0; c < 3; c++) v[c] = at[2 - c];
        else
            for (int c = 0; c < r->image.channels; c++)
                v[c] = get_field(&r->fields[c], number(at, r->bits / 8));
    }
}

static tw_status read_rows(reader *r)
{
    tw_status st = TW_OK;
    unsigned char *line = NULL;
    const int64_t bytes = (r->width * r->bits + 31) / 32 * 4;
    TW_TRY(tw_alloc(&line, bytes, 1, "a row of an image"));
    for (int64_t y = 0; y < r->height; y++) {
        TW_TRY(take(r, line, (size_t)bytes));
        unpack(r, line, y);
    }
done:
    tw_free(&line);
    return st;
}

/* `count` pixels of a run or of literals; those beyond the row are an error. */
static tw_status put_run(reader *r, int64_t *x, int64_t y, const unsigned char *bytes, int count,
                         bool literal)
{
    tw_status st = TW_OK;
    TW_CHECK(y < r->height && *x + count <= r->width, TW_EDATA,
             "%s: damaged BMP image: a run of pixels leaves its row", r->path);
    for (int i = 0; i < count; i++) {
        const int byte = r->bits == 8 ? (literal ? i : 0) : literal ? i / 2 : 0;
        const int index = r->bits == 8 ? bytes[byte]
                          : i % 2 == 0 ? bytes[byte] >> 4
                                       : bytes[byte] & 15;
        memcpy(pixel(r, (*x)++, y), r->palette[index], 3);
    }
done:
    return st;
}

static tw_status read_runs(reader *r)
{
    tw_status st = TW_OK;
    unsigned char pair[2], bytes[256];
    for (int64_t x = 0, y = 0, i = 0;; i++) {
        if (i % 4096 == 4095 && tw_picture_is_late()) {
            st = tw_picture_too_slow(r->path);
            goto done;
        }
        TW_TRY(take(r, pair, 2));
        if (pair[0] > 0) {
            TW_TRY(put_run(r, &x, y, pair + 1, pair[0], false));
        } else if (pair[1] == 0) { /* the next row */
            x = 0;
            y++;
        } else if (pair[1] == 1) /* the end */
            break;
        else if (pair[1] == 2) { /* further on */
            TW_TRY(take(r, bytes, 2));
            x += bytes[0];
            y += bytes[1];
        } else {
            const size_t n = r->bits == 8 ? pair[1] : (pair[1] + 1u) / 2;
            TW_TRY(take(r, bytes, n + n % 2));
            TW_TRY(put_run(r, &x, y, bytes, pair[1], true));
        }
    }
done:
    return st;
}

/* A palette of greys, or RGB whose values are alike, stays RGB unless the palette says grey. */
static bool has_grey_palette(const reader *r)
{
    for (int i = 0; i < 256; i++)
        if (r->palette[i][0] != r->palette[i][1] || r->palette[i][0] != r->palette[i][2])
            return false;
    return r->bits <= 8;
}

static void keep_first_channel(picture *p)
{
    for (int64_t i = 0; i < p->height * p->width; i++) p->pixels[i] = p->pixels[3 * i];
    p->channels = 1;
}

static bool begins(const unsigned char head[PICTURE_HEAD])
{
    const uint32_t n = number(head + 14, 2); /* the header's size, of which two bytes are here */
    return head[0] == 'B' && head[1] == 'M' && (n == 12 || (n >= 40 && n <= INFO_MAX));
}

static tw_status read_bmp(picture *out, FILE *file, const char *path)
{
    tw_status st = TW_OK;
    reader r = {.file = file, .path = path};
    TW_TRY(read_header(&r));
    const int channels = r.fields[3].mask && r.bits > 8 && r.bits != 24 ? 4 : 3;
    TW_TRY(tw_picture_allocate(&r.image, r.height, r.width, channels, path));
    if (r.compression == RLE8 || r.compression == RLE4)
        TW_TRY(read_runs(&r));
    else
        TW_TRY(read_rows(&r));
    if (has_grey_palette(&r)) keep_first_channel(&r.image);
    *out = r.image;
    r.image = (picture){0};
done:
    tw_picture_free(&r.image);
    return st;
}

extern const tw_picture_format tw_picture_bmp;
const tw_picture_format tw_picture_bmp = {
    .name = "BMP", .suffixes = "bmp dib", .begins = begins, .read = read_bmp};
