/* Reading by zlib, which passes plain files through. */
#include "data/input.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"

/* Deflate makes at most 1032 bytes of one; data do not come near it. Beyond FREE_BYTES more than
 * RATIO_MOST is refused: ten such megabytes would be read for a minute, and fill a disk. (A
 * gigabyte takes some 3 s; MNIST's images are 4.7 : 1.) */
enum {
    GZIP_MOST = 1032,
    RATIO_MOST = 100,
    FREE_BYTES = 1 << 28,
    PIECE = 1 << 24,
    HEAD_BYTES = 262
};

struct tw_input {
    gzFile file;
    char *path;
    int64_t bytes; /* of the file */
    int64_t taken; /* bytes read, unpacked */
    int64_t line;
    bool packed;
    char head[HEAD_BYTES]; /* the first bytes, unpacked, then zeros */
    int head_bytes;
};

/* What zlib says of the last failure. */
static tw_status failure(const tw_input *input, const char *what)
{
    int code;
    const char *words = gzerror(input->file, &code);
    if (code == Z_ERRNO)
        return tw_error_set(TW_ENOINPUT, "%s: cannot be read: %s", input->path, strerror(errno));
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
        return tw_error_set(TW_EDATA, "%s: truncated: it ends at byte %lld%s, within %s",
                            input->path, (long long)input->taken,
                            input->packed ? " of its unpacked content" : "", what);
    return tw_error_set(TW_EDATA, "%s: damaged gzip data: %s", input->path, words);
}

/* A tar archive says so at byte 257 of its first block: the usual way CIFAR comes. */
static tw_status read_head(tw_input *input)
{
    tw_status st = TW_OK;
    const int n = gzread(input->file, input->head, sizeof input->head);
    if (n < 0) return failure(input, "its beginning");
    input->head_bytes = n;
    TW_CHECK(n < HEAD_BYTES || memcmp(input->head + 257, "ustar", 5) != 0, TW_EDATA,
             "%s: a tar archive; unpack it (tar xf) and import its files", input->path);
    TW_CHECK(gzrewind(input->file) == 0, TW_EDATA, "%s: cannot be read again from its beginning",
             input->path);
done:
    return st;
}

const char *tw_input_kind(const tw_input *input)
{
    static const struct {
        const char *bytes;
        int count;
        const char *words;
    } kinds[] = {
        {"\x80\x02", 2, "a Python pickle"},
        {"\x80\x03", 2, "a Python pickle"},
        {"\x80\x04\x95", 3, "a Python pickle"},
        {"\x80\x05\x95", 3, "a Python pickle"},
        {"(dp", 3, "a Python pickle"},
        {"\x93NUMPY", 6, "a NumPy array (.npy)"},
        {"PK\x03\x04", 4, "a zip archive (or .npz, .xlsx)"},
        {"\x89HDF\r\n", 6, "an HDF5 file"},
        {"MATLAB 5.0", 10, "a MATLAB file"},
        {"\x89PNG", 4, "a PNG image"},
        {"\xff\xd8\xff", 3, "a JPEG image"},
        {"PAR1", 4, "a Parquet file"},
        {"BZh", 3, "compressed by bzip2 (unpack it first)"},
        {"\xfd"
         "7zXZ",
         5, "compressed by xz (unpack it first)"},
        {"\x28\xb5\x2f\xfd", 4, "compressed by zstd (unpack it first)"},
        {"\x1f\x8b", 2, "compressed twice by gzip (unpack it first)"},
        {"\xff\xfe", 2, "text in UTF-16 (save it as UTF-8)"},
        {"\xfe\xff", 2, "text in UTF-16 (save it as UTF-8)"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (input->head_bytes >= kinds[i].count &&
            memcmp(input->head, kinds[i].bytes, (size_t)kinds[i].count) == 0)
            return kinds[i].words;
    return NULL;
}

tw_status tw_input_open(tw_input **out, const char *path)
{
    tw_status st = TW_OK;
    tw_input *input = NULL;
    TW_TRY(tw_alloc(&input, 1, sizeof *input, "an input file"));
    TW_TRY(tw_strdup(&input->path, path));
    TW_TRY(tw_file_size(&input->bytes, path));
    input->file = gzopen(path, "rbe");
    TW_CHECK(input->file, TW_ENOINPUT, "%s: cannot be read: %s", path, strerror(errno));
    (void)gzbuffer(input->file, 256 << 10);
    input->packed = gzdirect(input->file) == 0;
    TW_TRY(read_head(input));
    *out = input;
    input = NULL;
done:
    tw_input_close(&input);
    return st;
}

void tw_input_close(tw_input **input)
{
    if (!*input) return;
    if ((*input)->file) gzclose((*input)->file);
    tw_free(&(*input)->path);
    tw_free(input);
}

/* Counts bytes that were read. */
static tw_status take(tw_input *input, int64_t bytes)
{
    tw_status st = TW_OK;
    input->taken += bytes;
    TW_CHECK(!input->packed || input->taken <= FREE_BYTES ||
                 input->taken / RATIO_MOST <= input->bytes,
             TW_EDATA,
             "%s: unpacks to more than %d times its size; if it is to be trusted, unpack it "
             "(gunzip) and import that",
             input->path, RATIO_MOST);
done:
    return st;
}

int64_t tw_input_bound(const tw_input *input)
{
    return (input->packed ? input->bytes * GZIP_MOST : input->bytes) - input->taken;
}

bool tw_input_is_packed(const tw_input *input)
{
    return input->packed;
}

tw_status tw_input_read(tw_input *input, void *out, size_t size, const char *what)
{
    tw_status st = TW_OK;
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < PIECE ? size - done : PIECE;
        int n = gzread(input->file, (char *)out + done, (unsigned)piece);
        if (n <= 0) {
            st = failure(input, what);
            goto done;
        }
        done += (size_t)n;
        TW_TRY(take(input, n));
    }
done:
    return st;
}

tw_status tw_input_at_end(tw_input *input, bool *out)
{
    tw_status st = TW_OK;
    int c = gzgetc(input->file), code;
    if (c >= 0) {
        (void)gzungetc(c, input->file);
        *out = false;
        goto done;
    }
    (void)gzerror(input->file, &code);
    if (code != Z_OK && code != Z_STREAM_END) {
        st = failure(input, "its end");
        goto done;
    }
    *out = true;
done:
    return st;
}

/* The byte order mark that editors of some systems put before UTF-8. */
static void skip_mark(tw_input *input)
{
    if (input->head_bytes < 3 || memcmp(input->head, "\xef\xbb\xbf", 3) != 0) return;
    for (int i = 0; i < 3; i++) (void)gzgetc(input->file);
}

tw_status tw_input_line(tw_input *input, char *out, size_t size, bool *more)
{
    tw_status st = TW_OK;
    bool end = false;
    size_t n = 0;
    int c;
    *more = false;
    if (input->line == 0) skip_mark(input);
    TW_TRY(tw_input_at_end(input, &end));
    if (end) goto done;
    input->line++;
    while ((c = gzgetc(input->file)) >= 0 && c != '\n' && c != '\r') {
        TW_CHECK(c != 0 || !tw_input_kind(input), TW_EDATA, "%s:%lld: is %s; text was expected",
                 input->path, (long long)input->line, tw_input_kind(input));
        TW_CHECK(c != 0, TW_EDATA, "%s:%lld: a byte of value 0; it is damaged, or no text",
                 input->path, (long long)input->line);
        TW_CHECK(n + 1 < size, TW_EDATA, "%s:%lld: the line is longer than %zu bytes", input->path,
                 (long long)input->line, size - 1);
        out[n++] = (char)c;
    }
    if (c < 0) TW_TRY(tw_input_at_end(input, &end)); /* or an error */
    if (c == '\r' && (c = gzgetc(input->file)) >= 0 && c != '\n') (void)gzungetc(c, input->file);
    TW_TRY(take(input, (int64_t)n + 1));
    out[n] = '\0';
    *more = true;
done:
    return st;
}
