/* Reading PNG. libpng leaves by longjmp where it fails: everything that lives across a call of it
 * stands in one struct, and the function that calls setjmp has no other variables. */
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#include "data/picture.h"
#include "tweedie/memory.h"

typedef struct reader {
    png_structp png;
    png_infop info;
    FILE *file;
    const char *path;
    picture image;
    png_bytep *rows;
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

static tw_status allocate(reader *r)
{
    tw_status st = TW_OK;
    TW_TRY(tw_picture_allocate(&r->image, png_get_image_height(r->png, r->info),
                               png_get_image_width(r->png, r->info),
                               png_get_channels(r->png, r->info), r->path));
    TW_TRY(tw_alloc(&r->rows, r->image.height, sizeof *r->rows, "rows of an image"));
    for (int64_t y = 0; y < r->image.height; y++)
        r->rows[y] = r->image.pixels + y * r->image.width * r->image.channels;
done:
    return st;
}

/* Whether libpng was content. */
static bool decode(reader *r)
{
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_init_io(r->png, r->file);
    png_set_user_limits(r->png, PICTURE_SIDE_MAX, PICTURE_SIDE_MAX);
    png_set_chunk_malloc_max(r->png, 16 << 20);
    png_read_info(r->png, r->info);
    png_set_expand(r->png); /* palettes, 1 to 4 bits, transparent colours */
    png_set_scale_16(r->png);
    (void)png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->status = allocate(r);
    if (r->status != TW_OK) return true;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return true;
}

tw_status tw_picture_read_png(picture *out, FILE *file, const char *path)
{
    tw_status st = TW_OK;
    reader r = {.file = file, .path = path};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    TW_CHECK(r.png, TW_ENOMEM, "out of memory for reading a PNG image");
    r.info = png_create_info_struct(r.png);
    TW_CHECK(r.info, TW_ENOMEM, "out of memory for reading a PNG image");
    TW_CHECK(decode(&r), TW_EDATA, "%s: damaged PNG image: %s", path, r.message);
    TW_TRY(r.status);
    *out = r.image;
    r.image.pixels = NULL;
done:
    tw_free(&r.rows);
    tw_picture_free(&r.image);
    if (r.png) png_destroy_read_struct(&r.png, &r.info, NULL);
    return st;
}
