/* Reading JPEG. libjpeg leaves by longjmp where it fails (picture_png.c says what that asks for),
 * and goes on with grey where data are missing: that is a failure here. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "data/picture.h"
#include "tweedie/memory.h"

typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf leave;
    FILE *file;
    const char *path;
    picture image;
    tw_status status;
    bool incomplete;
    char message[JMSG_LENGTH_MAX];
} reader;

static void on_error(j_common_ptr jpeg)
{
    reader *r = jpeg->client_data;
    jpeg->err->format_message(jpeg, r->message);
    longjmp(r->leave, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    reader *r = jpeg->client_data;
    const int code = jpeg->err->msg_code;
    if (level >= 0 || r->incomplete) return;
    if (code != JWRN_JPEG_EOF && code != JWRN_HIT_MARKER && code != JWRN_HUFF_BAD_CODE)
        return; /* bytes too many do no harm */
    r->incomplete = true;
    jpeg->err->format_message(jpeg, r->message);
}

static bool decode(reader *r)
{
    if (setjmp(r->leave)) return false;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.client_data = r; /* jpeg_create_decompress keeps it, but says so nowhere */
    r->jpeg.mem->max_memory_to_use = 1L << 30;
    jpeg_stdio_src(&r->jpeg, r->file);
    (void)jpeg_read_header(&r->jpeg, TRUE);
    if (r->jpeg.jpeg_color_space == JCS_CMYK || r->jpeg.jpeg_color_space == JCS_YCCK) {
        r->status = tw_error_set(TW_EDATA, "%s: a CMYK image; convert it to RGB first", r->path);
        return true;
    }
    r->jpeg.out_color_space = r->jpeg.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_calc_output_dimensions(&r->jpeg);
    r->status = tw_picture_allocate(&r->image, r->jpeg.output_height, r->jpeg.output_width,
                                    r->jpeg.out_color_components, r->path);
    if (r->status != TW_OK) return true;
    (void)jpeg_start_decompress(&r->jpeg);
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        JSAMPROW row =
            r->image.pixels + (int64_t)r->jpeg.output_scanline * r->image.width * r->image.channels;
        (void)jpeg_read_scanlines(&r->jpeg, &row, 1);
    }
    (void)jpeg_finish_decompress(&r->jpeg);
    return true;
}

tw_status tw_picture_read_jpeg(picture *out, FILE *file, const char *path)
{
    tw_status st = TW_OK;
    reader *r = NULL;
    TW_TRY(tw_alloc(&r, 1, sizeof *r, "reading a JPEG image"));
    r->file = file;
    r->path = path;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->jpeg.client_data = r;
    TW_CHECK(decode(r), TW_EDATA, "%s: damaged JPEG image: %s", path, r->message);
    TW_TRY(r->status);
    TW_CHECK(!r->incomplete, TW_EDATA, "%s: damaged JPEG image: %s", path, r->message);
    *out = r->image;
    r->image.pixels = NULL;
done:
    if (r) {
        jpeg_destroy_decompress(&r->jpeg);
        tw_picture_free(&r->image);
    }
    tw_free(&r);
    return st;
}
