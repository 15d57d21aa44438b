/* Reading by zlib, which passes plain files through. */
#include "data/input.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"

enum { GZIP_MOST = 1032 /* deflate makes at most 1032 bytes of one */ };

struct tw_input {
    gzFile file;
    char *path;
    int64_t bytes; /* of the file */
    int64_t taken; /* bytes read, unpacked */
    int64_t line;
    bool packed;
};

/* A tar archive says so at byte 257 of its first block: the usual way CIFAR comes. */
static tw_status refuse_tar(tw_input *input)
{
    tw_status st = TW_OK;
    char head[262] = "";
    int n = gzread(input->file, head, sizeof head);
    TW_CHECK(n < (int)sizeof head || memcmp(head + 257, "ustar", 5) != 0, TW_EDATA,
             "%s: a tar archive; unpack it (tar xf) and import its files", input->path);
    TW_CHECK(gzrewind(input->file) == 0, TW_EDATA, "%s: cannot be read again from its beginning",
             input->path);
done:
    return st;
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
    TW_TRY(refuse_tar(input));
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

int64_t tw_input_bound(const tw_input *input)
{
    return (input->packed ? input->bytes * GZIP_MOST : input->bytes) - input->taken;
}

bool tw_input_is_packed(const tw_input *input)
{
    return input->packed;
}

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

tw_status tw_input_read(tw_input *input, void *out, size_t size, const char *what)
{
    tw_status st = TW_OK;
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < (1u << 30) ? size - done : 1u << 30;
        int n = gzread(input->file, (char *)out + done, (unsigned)piece);
        if (n <= 0) {
            st = failure(input, what);
            goto done;
        }
        done += (size_t)n;
        input->taken += n;
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

tw_status tw_input_line(tw_input *input, char *out, size_t size, bool *more)
{
    tw_status st = TW_OK;
    bool end = false;
    *more = false;
    TW_TRY(tw_input_at_end(input, &end));
    if (end) goto done;
    input->line++;
    TW_CHECK(gzgets(input->file, out, (int)size), TW_EDATA, "%s:%lld: cannot be read", input->path,
             (long long)input->line);
    size_t n = strlen(out);
    TW_CHECK(n + 1 < size, TW_EDATA, "%s:%lld: the line is longer than %zu bytes", input->path,
             (long long)input->line, size - 2);
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r')) out[--n] = '\0';
    *more = true;
done:
    return st;
}
