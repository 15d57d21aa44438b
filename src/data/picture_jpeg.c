/* Reading JPEG. libjpeg leaves by longjmp where it fails (picture_png.c says what that asks for),
 * and goes on with grey where data are missing: that is a failure here.
 *
 * A progressive file may go over the image any number of times, and a scan that changes nothing is
 * a few bytes long: 6000 of them took over a minute. Encoders make about ten, the most elaborate
 * ones below a hundred. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "data/picture.h"
#include "tweedie/memory.h"

enum { SCANS_MAX = 100, MEMORY_MAX = 1 << 30, SEGMENT_MAX = 65533 };

typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    FILE *file;
    const char *path;
    picture image;
    JSAMPARRAY inks; /* a row of CMYK */
    tw_status status;
    bool incomplete;
    char message[JMSG_LENGTH_MAX];
} reader;

static void on_error(j_common_ptr jpeg)
{
    reader *r = jpeg->client_data;
    jpeg->err->format_message(jpeg, r->message);
    if (jpeg->err->msg_code == JERR_NO_BACKING_STORE)
        r->status = tw_error_set(TW_EDATA,
                                 "%s: a progressive JPEG image that takes more than "
                                 "%d MiB of memory to decode",
                                 r->path, MEMORY_MAX >> 20);
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

/* Called by libjpeg for each row of blocks of each scan. */
static void on_progress(j_common_ptr jpeg)
{
    reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number > SCANS_MAX)
        r->status = tw_error_set(TW_EDATA, "%s: a progressive JPEG image of more than %d scans",
                                 r->path, SCANS_MAX);
    else if (tw_picture_is_late())
        r->status = tw_picture_too_slow(r->path);
    if (r->status != TW_OK) longjmp(r->leave, 1);
}

/* Inks as Photoshop stores them, 255 being none: what all of the field's readers take for granted,
 * with and without Adobe's marker. */
static void print_inks(uint8_t *rgb, const JSAMPLE *cmyk, int64_t width)
{
    for (int64_t x = 0; x < width; x++)
        for (int c = 0; c < 3; c++)
            rgb[3 * x + c] = (uint8_t)((cmyk[4 * x + c] * cmyk[4 * x + 3] + 127) / 255);
}

static void read_rows(reader *r)
{
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        JSAMPROW row =
            r->image.pixels + (int64_t)r->jpeg.output_scanline * r->image.width * r->image.channels;
        const bool done = jpeg_read_scanlines(&r->jpeg, r->inks ? r->inks : &row, 1) == 1;
        if (done && r->inks) print_inks(row, r->inks[0], r->image.width);
    }
}

static bool decode(reader *r)
{
    if (setjmp(r->leave)) return false;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.client_data = r; /* jpeg_create_decompress keeps it, but says so nowhere */
    r->progress.progress_monitor = on_progress;
    r->jpeg.progress = &r->progress;
    jpeg_stdio_src(&r->jpeg, r->file);
    (void)jpeg_read_header(&r->jpeg, TRUE);
    const J_COLOR_SPACE space = r->jpeg.jpeg_color_space;
    const bool inks = space == JCS_CMYK || space == JCS_YCCK;
    r->jpeg.out_color_space = inks ? JCS_CMYK : space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_calc_output_dimensions(&r->jpeg);
    r->status = tw_picture_allocate(&r->image, r->jpeg.output_height, r->jpeg.output_width,
                                    inks ? 3 : r->jpeg.out_color_components, r->path);
    if (r->status != TW_OK) return true;
    r->jpeg.mem->max_memory_to_use =
        MEMORY_MAX - (long)(r->image.height * r->image.width * r->image.channels);
    if (inks)
        r->inks = r->jpeg.mem->alloc_sarray((j_common_ptr)&r->jpeg, JPOOL_IMAGE,
                                            (JDIMENSION)(4 * r->image.width), 1);
    (void)jpeg_start_decompress(&r->jpeg);
    read_rows(r);
    (void)jpeg_finish_decompress(&r->jpeg);
    return true;
}

/* The orientation in the file's EXIF segment, which stands before the first scan. libjpeg could
 * keep these segments, but then keeps all of them, however many there are. */
static tw_status find_orientation(int *out, reader *r)
{
    tw_status st = TW_OK;
    unsigned char head[4], *data = NULL;
    TW_TRY(tw_alloc(&data, SEGMENT_MAX, 1, "EXIF data"));
    for (int64_t i = 0, at = 2; fseeko(r->file, at, SEEK_SET) == 0; i++) {
        if (i % 1024 == 1023 && tw_picture_is_late()) {
            st = tw_picture_too_slow(r->path);
            goto done;
        }
        if (fread(head, 1, sizeof head, r->file) != sizeof head || head[0] != 0xff) break;
        const int marker = head[1];
        const size_t length = (size_t)head[2] << 8 | head[3];
        if (marker == 0xff) { /* padding */
            at++;
            continue;
        }
        if (marker == 0xda || marker == 0xd9 || length < 2) break;
        if (marker == 0xe1) {
            const size_t n = fread(data, 1, length - 2, r->file);
            if (n > 6 && memcmp(data, "Exif\0", 5) == 0) {
                *out = tw_exif_orientation(data, n);
                break;
            }
        }
        at += 2 + (int64_t)length;
    }
    rewind(r->file);
done:
    tw_free(&data);
    return st;
}

static bool begins(const unsigned char head[PICTURE_HEAD])
{
    return memcmp(head, "\xff\xd8\xff", 3) == 0;
}

static tw_status read_jpeg(picture *out, FILE *file, const char *path)
{
    tw_status st = TW_OK;
    reader *r = NULL;
    int orientation = 1;
    TW_TRY(tw_alloc(&r, 1, sizeof *r, "reading a JPEG image"));
    r->file = file;
    r->path = path;
    TW_TRY(find_orientation(&orientation, r));
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->jpeg.client_data = r;
    const bool content = decode(r);
    TW_TRY(r->status);
    TW_CHECK(content && !r->incomplete, TW_EDATA, "%s: damaged JPEG image: %s", path, r->message);
    TW_TRY(tw_picture_orient(&r->image, orientation));
    *out = r->image;
    r->image = (picture){0};
done:
    if (r) {
        if (r->jpeg.err) jpeg_destroy_decompress(&r->jpeg);
        tw_picture_free(&r->image);
    }
    tw_free(&r);
    return st;
}

extern const tw_picture_format tw_picture_jpeg;
const tw_picture_format tw_picture_jpeg = {
    .name = "JPEG", .suffixes = "jpg jpeg jpe jfif", .begins = begins, .read = read_jpeg};
