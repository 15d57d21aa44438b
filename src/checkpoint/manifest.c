/* The list of what was drained. It is written anew for each line, since one that was appended by
 * half would stay. */
#include "checkpoint/manifest.h"

#include <string.h>
#include <unistd.h>

#include "tweedie/clock.h"
#include "tweedie/file.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/rundir.h"
#include "tweedie/text.h"

/* A member of an object as tw_json writes it. */
static tw_status spell(tw_text *out, const char *key, const char *value)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_string(&json, key, value);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    TW_TRY(tw_text_add(out, "%.*s", (int)json.text.length - 2,
                       json.text.data + 1)); /* without its braces */
done:
    tw_text_free(&json.text);
    return st;
}

static tw_status read_whole(char **out, const char *to)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH];
    TW_TRY(tw_format(path, sizeof path, "%s/manifest.jsonl", to));
    if (tw_file_exists(path)) TW_TRY(tw_rundir_read_text(out, path));
done:
    return st == TW_ENOINPUT ? TW_EIO : st; /* it is there */
}

tw_status manifest_find(manifest_entry *out, const char *to, const char *name, const char *source,
                        const char *digest)
{
    tw_status st = TW_OK;
    tw_text file_word = {0}, source_word = {0};
    char *text = NULL;
    manifest_entry entry = {0};
    TW_TRY(spell(&file_word, "file", name));
    TW_TRY(spell(&source_word, "source", source));
    TW_TRY(read_whole(&text, to));
    int64_t number = 0;
    for (const char *line = text; line && *line;) {
        const size_t n = strcspn(line, "\n");
        number++;
        /* a line that is passed over could be the one that says whose the copy is */
        TW_CHECK(n == 0 || (line[0] == '{' && line[n - 1] == '}' &&
                            memmem(line, n, "\"file\"", 6) && memmem(line, n, "\"source\"", 8)),
                 TW_EDATA,
                 "%s/manifest.jsonl, line %lld: is not a line of a manifest: mend or remove it; "
                 "nothing is copied before that",
                 to, (long long)number);
        if (memmem(line, n, file_word.data, (size_t)file_word.length)) {
            entry.noted |= memmem(line, n, digest, strlen(digest)) != NULL;
            entry.foreign = !memmem(line, n, source_word.data, (size_t)source_word.length);
        }
        line += n + (line[n] == '\n');
    }
    *out = entry;
done:
    tw_free(&text);
    tw_text_free(&file_word);
    tw_text_free(&source_word);
    return st;
}

static tw_status describe(tw_json *json, const char *to, const char *name, const char *source,
                          const char *digest)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH], host[128] = "";
    int64_t bytes;
    TW_TRY(tw_format(path, sizeof path, "%s/%s", to, name));
    TW_TRY(tw_file_size(&bytes, path));
    (void)gethostname(host, sizeof host - 1);
    tw_json_object(json, NULL);
    tw_json_string(json, "file", name);
    tw_json_string(json, "source", source);
    tw_json_int64(json, "bytes", bytes);
    tw_json_string(json, "xxh3_128", digest);
    tw_json_string(json, "host", host);
    tw_json_double(json, "time", (double)(int64_t)tw_clock_wall_seconds());
    tw_json_end(json);
    TW_TRY(tw_json_finish(json));
done:
    return st;
}

tw_status manifest_add(const char *to, const char *name, const char *source, const char *digest)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_text text = {0};
    char path[TW_CHECKPOINT_PATH], *before = NULL;
    TW_TRY(tw_format(path, sizeof path, "%s/manifest.jsonl", to));
    TW_TRY(read_whole(&before, to));
    if (before) TW_TRY(tw_text_add(&text, "%s", before));
    if (text.length > 0 && text.data[text.length - 1] != '\n') TW_TRY(tw_text_add(&text, "\n"));
    TW_TRY(describe(&json, to, name, source, digest));
    TW_TRY(tw_text_add(&text, "%s\n", json.text.data));
    TW_TRY(tw_file_write(path, text.data, (size_t)text.length));
done:
    tw_free(&before);
    tw_text_free(&text);
    tw_text_free(&json.text);
    return st;
}
