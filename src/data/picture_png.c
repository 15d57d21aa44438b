/* Reading PNG. libpng leaves by longjmp where it fails: everything that lives across a call of it
 * stands in one struct, and the function that calls setjmp has no other variables.
 *
 * Chunks that say nothing of the pixels are passed over without being unpacked: a thousand text
 * chunks may each inflate to megabytes. So no chunk but the image data costs more than its bytes.
 */
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "data/picture.h"
#include "tweedie/memory.h"

enum { SIGNATURE = 8, EXIF_MAX = 1 << 20 };

typedef struct reader {
    png_structp png;
    png_infop info;
    FILE *file;
    const char *path;
    picture image;
    png_bytep *rows;
    int pass, passes;
    int64_t row, reads;
    bool has_end;
    int orientation;
    tw_status status;  /* a failure of ours */
    char message[160]; /* libpng's words */
} reader;

static void on_error(png_structp png, png_const_charp words)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", words);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words; /* of colour profiles and the like: the pixels are whole */
}

static void on_read(png_structp png, png_bytep out, size_t size)
{
    reader *r = png_get_io_ptr(png);
    if (++r->reads % 1024 == 0 && tw_picture_is_late()) {
        r->status = tw_picture_too_slow(r->path);
        png_error(png, "too slow");
    }
    if (fread(out, 1, size, r->file) != size) png_error(png, "the file is truncated");
}

static uint32_t number(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The orientation of an eXIf chunk whose header was just read; 1 where it is damaged. */
static tw_status read_exif(reader *r, uint32_t length)
{
    tw_status st = TW_OK;
    unsigned char *data = NULL;
    if (length > EXIF_MAX) goto done;
    TW_TRY(tw_alloc(&data, (int64_t)length + 8, 1, "EXIF data"));
    memcpy(data, "eXIf", 4);
    if (fread(data + 4, 1, length + 4, r->file) == length + 4 &&
        crc32(0, data, length + 4) == number(data + 4 + length))
        r->orientation = tw_exif_orientation(data + 4, length);
done:
    tw_free(&data);
    return st;
}

/* Walks over the chunks: is there an end, and an orientation (which may follow the pixels)? A file
 * that ends before IEND, but after whole image data, has all of its pixels. */
static tw_status survey(reader *r)
{
    tw_status st = TW_OK;
    unsigned char head[8];
    r->orientation = 1;
    for (int64_t i = 0, at = SIGNATURE; fseeko(r->file, at, SEEK_SET) == 0; i++) {
        if (fread(head, 1, sizeof head, r->file) != sizeof head) break;
        const uint32_t length = number(head);
        if (memcmp(head + 4, "IEND", 4) == 0) {
            r->has_end = fread(head, 1, 4, r->file) == 4;
            break;
        }
        TW_CHECK(memcmp(head + 4, "acTL", 4) != 0, TW_EDATA,
                 "%s: an animated PNG image; one picture was expected", r->path);
        if (memcmp(head + 4, "eXIf", 4) == 0) TW_TRY(read_exif(r, length));
        if (i % 1024 == 1023 && tw_picture_is_late()) {
            st = tw_picture_too_slow(r->path);
            goto done;
        }
        at += (int64_t)length + 12;
    }
    rewind(r->file);
done:
    return st;
}

/* Rows of 16 bits lie in the second half of the rows of floats that they become. */
static tw_status allocate(reader *r)
{
    tw_status st = TW_OK;
    const int64_t height = png_get_image_height(r->png, r->info),
                  width = png_get_image_width(r->png, r->info);
    const int channels = png_get_channels(r->png, r->info);
    const bool deep = png_get_bit_depth(r->png, r->info) == 16;
    if (deep)
        TW_TRY(tw_picture_allocate_values(&r->image, height, width, channels, 16, r->path));
    else
        TW_TRY(tw_picture_allocate(&r->image, height, width, channels, r->path));
    TW_TRY(tw_alloc(&r->rows, height, sizeof *r->rows, "rows of an image"));
    for (int64_t y = 0; y < height; y++)
        r->rows[y] = deep ? (png_bytep)(r->image.values + y * width * channels) +
                                width * channels * (int64_t)sizeof(uint16_t)
                          : r->image.pixels + y * width * channels;
done:
    return st;
}

static void pass_over_chunks(png_structp png)
{
#ifdef PNG_HANDLE_AS_UNKNOWN_SUPPORTED
    static const png_byte names[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0"
                                    "sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, (int)(sizeof names / 5));
    png_set_chunk_malloc_max(png, 0); /* of the others none has a size of its own */
#else
    png_set_chunk_malloc_max(png, 1 << 20);
    png_set_chunk_cache_max(png, 16);
#endif
}

/* Whether libpng was content. */
static bool decode(reader *r)
{
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, PICTURE_SIDE_MAX, PICTURE_SIDE_MAX);
    pass_over_chunks(r->png);
    png_read_info(r->png, r->info);
    png_set_expand(r->png); /* palettes, 1 to 4 bits, transparent colours */
    if (png_get_bit_depth(r->png, r->info) == 16) png_set_swap(r->png);
    r->passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->status = allocate(r);
    if (r->status != TW_OK) return true;
    for (r->pass = 0; r->pass < r->passes; r->pass++)
        for (r->row = 0; r->row < r->image.height; r->row++) {
            png_read_row(r->png, r->rows[r->row], NULL);
            if (!tw_picture_is_late()) continue;
            r->status = tw_picture_too_slow(r->path);
            return true;
        }
    if (r->has_end) png_read_end(r->png, NULL);
    return true;
}

/* Values of 16 bits that hold `bits` significant ones as the sBIT chunk says. PNG wants them scaled
 * to 16 bits, by repeating the high bits or by zeros; there are also writers that leave them as
 * they are. Where they are neither, the chunk is not believed. */
static void take_significant(picture *p, int bits)
{
    const int shift = 16 - bits, colours = p->channels - (p->channels % 2 == 0);
    const int64_t n = p->height * p->width * p->channels;
    bool scaled = true, plain = true;
    for (int64_t i = 0; i < n; i++) {
        const unsigned v = (unsigned)p->values[i], high = v >> shift, low = v & ((1u << shift) - 1);
        if (i % p->channels >= colours) continue;
        scaled = scaled && (low == 0 || low == high >> (bits - shift));
        plain = plain && high >> (bits - shift) == 0;
    }
    if (!scaled && !plain) return;
    for (int64_t i = 0; i < n; i++)
        if (scaled || i % p->channels >= colours)
            p->values[i] = (float)((unsigned)p->values[i] >> shift);
    p->bits = bits;
}

static void widen(reader *r)
{
    const int64_t n = r->image.width * r->image.channels;
    for (int64_t y = 0; y < r->image.height; y++)
        for (int64_t i = 0; i < n; i++) {
            uint16_t v;
            memcpy(&v, r->rows[y] + i * (int64_t)sizeof v, sizeof v);
            r->image.values[y * n + i] = v;
        }
    png_color_8p significant = NULL;
    if (!(png_get_sBIT(r->png, r->info, &significant) & PNG_INFO_sBIT) || !significant) return;
    int bits = significant->gray;
    if (r->image.channels >= 3) {
        bits = significant->red > significant->green ? significant->red : significant->green;
        if (significant->blue > bits) bits = significant->blue;
    }
    if (bits > 8 && bits < 16) take_significant(&r->image, bits);
}

static bool begins(const unsigned char head[PICTURE_HEAD])
{
    return memcmp(head, "\x89PNG\r\n\x1a\n", SIGNATURE) == 0;
}

static tw_status read_png(picture *out, FILE *file, const char *path)
{
    tw_status st = TW_OK;
    reader r = {.file = file, .path = path};
    TW_TRY(survey(&r));
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    TW_CHECK(r.png, TW_ENOMEM, "out of memory for reading a PNG image");
    r.info = png_create_info_struct(r.png);
    TW_CHECK(r.info, TW_ENOMEM, "out of memory for reading a PNG image");
    const bool content = decode(&r);
    TW_TRY(r.status);
    TW_CHECK(content, TW_EDATA, "%s: damaged PNG image: %s", path, r.message);
    if (r.image.values) widen(&r);
    TW_TRY(tw_picture_orient(&r.image, r.orientation));
    if (!r.has_end) r.image.flaw = "without its end chunk (IEND): cut short after the pixels?";
    *out = r.image;
    r.image = (picture){0};
done:
    tw_free(&r.rows);
    tw_picture_free(&r.image);
    if (r.png) png_destroy_read_struct(&r.png, &r.info, NULL);
    return st;
}

extern const tw_picture_format tw_picture_png;
const tw_picture_format tw_picture_png = {
    .name = "PNG", .suffixes = "png", .begins = begins, .read = read_png};
