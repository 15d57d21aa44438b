/* Image files: which format reads a file, and for how long. */
#include "data/picture.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"

/* Files that people take for images, by their first bytes, with what helps. */
static const struct {
    const char *begin;
    int offset, size;
    const char *what;
} others[] = {
    {"GIF8", 0, 4, "a GIF image; convert it to PNG"},
    {"PK\3\4", 0, 4, "a zip archive; unpack it and import its folder"},
    {"\x1f\x8b", 0, 2, "a gzip archive; unpack it and import its folder"},
    {"Rar!", 0, 4, "a rar archive; unpack it and import its folder"},
    {"7z\xbc\xaf", 0, 4, "a 7z archive; unpack it and import its folder"},
    {"ftyphei", 4, 7, "a HEIC image; convert it to JPEG or PNG"},
    {"ftypmif", 4, 7, "a HEIC image; convert it to JPEG or PNG"},
    {"ftypavif", 4, 8, "an AVIF image; convert it to PNG"},
    {"jP  ", 4, 4, "a JPEG 2000 image; convert it to PNG"},
    {"\xff\x0a", 0, 2, "a JPEG XL image; convert it to PNG"},
    {"JXL ", 4, 4, "a JPEG XL image; convert it to PNG"},
    {"8BPS", 0, 4, "a Photoshop image; convert it to PNG"},
    {"\x89HDF", 0, 4, "an HDF5 file; --format hdf5 reads arrays"},
    {"\x93NUMPY", 0, 6, "a NumPy array; write it into an HDF5 file for --format hdf5"},
    {"<", 0, 1, "text (HTML, XML or SVG)"},
    {"version https://git-lfs", 0, PICTURE_HEAD, "a pointer of Git LFS; fetch the file"},
};

static _Thread_local double deadline;

static double processor_seconds(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0
               ? (double)now.tv_sec + 1e-9 * (double)now.tv_nsec
               : 0;
}

bool tw_picture_is_late(void)
{
    return processor_seconds() > deadline;
}

tw_status tw_picture_too_slow(const char *path)
{
    return tw_error_set(TW_EDATA, "%s: takes more than %d s to decode", path, PICTURE_SECONDS);
}

void tw_picture_free(picture *p)
{
    tw_free(&p->pixels);
    tw_free(&p->values);
}

static tw_status check_size(int64_t height, int64_t width, int64_t bytes, const char *path)
{
    tw_status st = TW_OK;
    TW_CHECK(height > 0 && width > 0 && height <= PICTURE_SIDE_MAX && width <= PICTURE_SIDE_MAX &&
                 height * width <= PICTURE_PIXELS_MAX,
             TW_EDATA, "%s: an image of %lld x %lld pixels; at most %d pixels were expected", path,
             (long long)height, (long long)width, PICTURE_PIXELS_MAX);
    TW_CHECK(height * width * bytes <= PICTURE_BYTES_MAX, TW_EDATA,
             "%s: an image of %lld x %lld pixels takes %lld MiB; at most %d MiB were expected",
             path, (long long)height, (long long)width, (long long)(height * width * bytes >> 20),
             PICTURE_BYTES_MAX >> 20);
done:
    return st;
}

tw_status tw_picture_allocate(picture *p, int64_t height, int64_t width, int channels,
                              const char *path)
{
    tw_status st = TW_OK;
    TW_TRY(check_size(height, width, channels, path));
    TW_TRY(tw_alloc(&p->pixels, height * width * channels, 1, "an image"));
    p->height = height;
    p->width = width;
    p->channels = channels;
    p->bits = 8;
done:
    return st;
}

tw_status tw_picture_allocate_values(picture *p, int64_t height, int64_t width, int channels,
                                     int bits, const char *path)
{
    tw_status st = TW_OK;
    TW_TRY(check_size(height, width, channels * (int64_t)sizeof(float), path));
    TW_TRY(tw_alloc(&p->values, height * width * channels, sizeof(float), "an image"));
    p->height = height;
    p->width = width;
    p->channels = channels;
    p->bits = bits;
done:
    return st;
}

static const tw_picture_format *find_format(const unsigned char head[PICTURE_HEAD])
{
    for (int i = 0; i < tw_picture_count; i++)
        if (tw_picture_table[i]->begins(head)) return tw_picture_table[i];
    return NULL;
}

/* "neither PNG nor JPEG …" with all the formats of this build. */
static tw_status refuse(const unsigned char head[PICTURE_HEAD], const char *path)
{
    char names[128] = "";
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (memcmp(head + others[i].offset, others[i].begin, (size_t)others[i].size) == 0)
            return tw_error_set(TW_EDATA, "%s: %s", path, others[i].what);
    for (int i = 0; i < tw_picture_count; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                 i == 0                      ? ""
                 : i == tw_picture_count - 1 ? " or "
                                             : ", ",
                 tw_picture_table[i]->name);
    return tw_error_set(TW_EDATA, "%s: not an image (%s): begins with %02x %02x %02x %02x", path,
                        names, head[0], head[1], head[2], head[3]);
}

tw_status tw_picture_read(picture *out, const char *path)
{
    tw_status st = TW_OK;
    unsigned char head[PICTURE_HEAD] = {0};
    FILE *file = NULL;
    TW_TRY(tw_file_size(NULL, path));
    file = fopen(path, "rbe");
    TW_CHECK(file, TW_ENOINPUT, "%s: cannot be read: %s", path, strerror(errno));
    const size_t n = fread(head, 1, sizeof head, file);
    TW_CHECK(n > 0 || !ferror(file), TW_EIO, "%s: cannot be read: %s", path, strerror(errno));
    TW_CHECK(n > 0, TW_EDATA, "%s: is empty; an image was expected", path);
    const tw_picture_format *format = find_format(head);
    if (!format) {
        st = refuse(head, path);
        goto done;
    }
    TW_CHECK(!format->missing, TW_EDATA,
             "%s: a %s image, which this build of Tweedie cannot read: "
             "it was made without %s",
             path, format->name, format->missing);
    rewind(file);
    deadline = processor_seconds() + PICTURE_SECONDS;
    TW_TRY(format->read(out, file, path));
done:
    if (file) fclose(file);
    return st;
}

/* Whether the word is in a list with blanks between, whatever its case. */
static bool is_listed(const char *word, const char *list)
{
    const size_t n = strlen(word);
    for (const char *c = list; *c; c += strcspn(c, " "), c += strspn(c, " "))
        if (strcspn(c, " ") == n && strncasecmp(c, word, n) == 0) return true;
    return false;
}

bool tw_picture_has_suffix(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (int i = 0; dot && dot[1] && i < tw_picture_count; i++)
        if (is_listed(dot + 1, tw_picture_table[i]->suffixes)) return true;
    return false;
}

bool tw_picture_has_content(const char *path)
{
    unsigned char head[PICTURE_HEAD] = {0};
    if (tw_file_size(NULL, path) != TW_OK) return false;
    FILE *file = fopen(path, "rbe");
    if (!file) return false;
    const size_t n = fread(head, 1, sizeof head, file);
    fclose(file);
    return n > 0 && find_format(head) != NULL;
}
