/* Reading WebP, where the build found libwebp. An animation is refused: it is not one image. */
#include "data/picture.h"

#include <string.h>

#include "tweedie/memory.h"

static bool begins(const unsigned char head[PICTURE_HEAD])
{
    return memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBP", 4) == 0;
}

#ifdef TWEEDIE_WEBP
#include <webp/decode.h>

/* libwebp takes 4 bytes a pixel beside the result. */
enum { FILE_MAX = 1 << 27, PIXELS_MAX = 96 << 20 };

static tw_status load(uint8_t **out, size_t *size, FILE *file, const char *path)
{
    tw_status st = TW_OK;
    uint8_t *data = NULL;
    off_t bytes = -1;
    if (fseeko(file, 0, SEEK_END) == 0) bytes = ftello(file);
    rewind(file);
    TW_CHECK(bytes > 0 && bytes <= FILE_MAX, TW_EDATA,
             "%s: a WebP image of %lld bytes; at most %d were expected", path, (long long)bytes,
             FILE_MAX);
    TW_TRY(tw_alloc(&data, bytes, 1, "a WebP file"));
    TW_CHECK(fread(data, 1, (size_t)bytes, file) == (size_t)bytes, TW_EIO, "%s: cannot be read",
             path);
    *out = data;
    *size = (size_t)bytes;
    data = NULL;
done:
    tw_free(&data);
    return st;
}

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* Chunks follow each other at even places. */
static int find_orientation(const uint8_t *data, size_t size)
{
    for (size_t at = 12; at + 8 <= size;) {
        const size_t length = number(data + at + 4), left = size - at - 8;
        if (memcmp(data + at, "EXIF", 4) == 0)
            return tw_exif_orientation(data + at + 8, length < left ? length : left);
        if (length >= left) break;
        at += 8 + length + length % 2;
    }
    return 1;
}

static tw_status read_webp(picture *out, FILE *file, const char *path)
{
    tw_status st = TW_OK;
    uint8_t *data = NULL;
    size_t size = 0;
    picture p = {0};
    WebPBitstreamFeatures f;
    TW_TRY(load(&data, &size, file, path));
    TW_CHECK(WebPGetFeatures(data, size, &f) == VP8_STATUS_OK, TW_EDATA,
             "%s: damaged WebP image: its header cannot be read", path);
    TW_CHECK(!f.has_animation, TW_EDATA, "%s: an animated WebP image; one picture was expected",
             path);
    TW_CHECK((int64_t)f.height * f.width <= PIXELS_MAX, TW_EDATA,
             "%s: a WebP image of %d x %d pixels; at most %d pixels were expected", path, f.height,
             f.width, PIXELS_MAX);
    TW_TRY(tw_picture_allocate(&p, f.height, f.width, f.has_alpha ? 4 : 3, path));
    const int stride = f.width * p.channels;
    const size_t bytes = (size_t)stride * (size_t)f.height;
    TW_CHECK(
        (f.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto)(data, size, p.pixels, bytes, stride),
        TW_EDATA, "%s: damaged WebP image, or truncated", path);
    TW_TRY(tw_picture_orient(&p, find_orientation(data, size)));
    *out = p;
    p = (picture){0};
done:
    tw_picture_free(&p);
    tw_free(&data);
    return st;
}
#define MISSING NULL
#else
#define read_webp NULL
#define MISSING "libwebp"
#endif

extern const tw_picture_format tw_picture_webp;
const tw_picture_format tw_picture_webp = {
    .name = "WebP", .suffixes = "webp", .missing = MISSING, .begins = begins, .read = read_webp};
