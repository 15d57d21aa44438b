/* Reading INI text and assignments into a list of entries.
 *
 * inih takes the lines apart. As Debian builds it, it would cut lines at 200 bytes, cut names at
 * 49, give a key that follows an indented line the value of the line before, and tell only the
 * first bad line's number. So it reads through a reader of our own that counts lines, judges each
 * one before inih sees it, and hands an empty line over in place of a bad one. */
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/config_internal.h"
#include "tweedie/memory.h"

enum { NAME_MAX_BYTES = 49, FILE_MAX_BYTES = 1 << 20, MESSAGE_ROOM = 1900 };

tw_status config_grow(void *array, int64_t count, int64_t *capacity, size_t size)
{
    tw_status st = TW_OK;
    void *old, *grown = NULL;
    if (count < *capacity) return TW_OK;
    int64_t wanted = *capacity ? 2 * *capacity : 32;
    TW_TRY(tw_alloc(&grown, wanted, size, "configuration"));
    memcpy(&old, array, sizeof old);
    if (old) memcpy(grown, old, (size_t)count * size);
    tw_free(array);
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
done:
    return st;
}

bool config_problems_full(const config_problems *problems)
{
    return problems->lines.length > MESSAGE_ROOM;
}

tw_status config_problem(config_problems *problems, const char *format, ...)
{
    tw_status st = TW_OK;
    char line[1024];
    va_list args;
    if (!config_problems_full(problems)) {
        va_start(args, format);
        vsnprintf(line, sizeof line, format, args);
        va_end(args);
        TW_TRY(tw_text_add(&problems->lines, "%s\n", line));
    }
    problems->count++;
done:
    return st;
}

tw_status config_problems_report(const config_problems *problems, const char *title)
{
    char text[MESSAGE_ROOM + 64];
    if (problems->count == 0) return TW_OK;
    if (problems->count == 1)
        return tw_error_set(TW_ECONFIG, "%.*s", (int)problems->lines.length - 1,
                            problems->lines.data);

    /* A message has a bounded length, so the lines that do not fit are counted. */
    int64_t shown = 0;
    int n = snprintf(text, sizeof text, "%s:", title);
    for (const char *line = problems->lines.data; *line; shown++) {
        int length = (int)(strchr(line, '\n') - line);
        if (n + length + 3 > MESSAGE_ROOM) break;
        n += snprintf(text + n, sizeof text - (size_t)n, "\n  %.*s", length, line);
        line += length + 1;
    }
    if (shown < problems->count)
        snprintf(text + n, sizeof text - (size_t)n, "\n  and %lld more",
                 (long long)(problems->count - shown));
    return tw_error_set(TW_ECONFIG, "%s", text);
}

tw_status tw_config_create(tw_config **out)
{
    return tw_alloc(out, 1, sizeof **out, "configuration");
}

static void release_entry(config_entry *e)
{
    tw_free(&e->section);
    tw_free(&e->key);
    tw_free(&e->value);
    tw_free(&e->origin);
    tw_free(&e->directory);
}

void tw_config_destroy(tw_config **config)
{
    tw_config *c = *config;
    if (!c) return;
    for (int64_t i = 0; i < c->entry_count; i++) release_entry(&c->entries[i]);
    for (int64_t i = 0; i < c->binding_count; i++) tw_free(&c->bindings[i].text);
    tw_free(&c->entries);
    for (int64_t i = 0; i < c->owned_count; i++) tw_free(&c->owned[i]);
    tw_free(&c->bindings);
    tw_free(&c->slots);
    tw_free(&c->known);
    tw_free(&c->owned);
    tw_text_free(&c->problems.lines);
    tw_text_free(&c->excused);
    tw_free(config);
}

config_entry *config_find_entry(const tw_config *config, const char *section, const char *key)
{
    config_entry *found = NULL;
    for (int64_t i = 0; i < config->entry_count; i++) {
        config_entry *e = &config->entries[i];
        if (strcmp(e->section, section) != 0 || strcmp(e->key, key) != 0) continue;
        if (!found || e->source >= found->source) found = e;
    }
    return found;
}

tw_status config_add_entry(tw_config *config, int64_t source, const char *section, const char *key,
                           const char *value, const char *origin, const char *directory)
{
    tw_status st = TW_OK;
    config_entry e = {.source = source};
    TW_TRY(config_grow(&config->entries, config->entry_count, &config->entry_capacity, sizeof e));
    TW_TRY(tw_strdup(&e.section, section));
    TW_TRY(tw_strdup(&e.key, key));
    TW_TRY(tw_strdup(&e.value, value));
    TW_TRY(tw_strdup(&e.origin, origin));
    TW_TRY(tw_strdup(&e.directory, directory));
    config->entries[config->entry_count] = e;
    TW_TRY(config_index_add(config, config->entry_count));
    config->entry_count++;
done:
    if (st != TW_OK) release_entry(&e);
    return st;
}

bool config_value_is_writable(const char *value, const char **reason_out)
{
    *reason_out = NULL;
    if (!value[0]) *reason_out = "has no value";
    if (!tw_text_is_utf8(value, (int64_t)strlen(value))) *reason_out = "is not UTF-8";
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *reason_out = "holds a control character";
        if ((*c == '#' || *c == ';') && c > value && c[-1] == ' ')
            *reason_out = "holds a comment: give it a line of its own";
    }
    return !*reason_out;
}

/* The state of one reading: where the reader stands in the text, and where the handler puts
 * entries. */
typedef struct reading {
    tw_config *config;
    const char *path;
    char *directory;
    const char *next, *end;
    int64_t line;
    tw_status st;
} reading;

static bool is_name(const char *s, size_t length)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return length > 0 && length <= NAME_MAX_BYTES && strspn(s, letters) >= length;
}

static size_t trimmed(const char *s, size_t length)
{
    while (length > 0 && strchr(" \t\r", s[length - 1])) length--;
    return length;
}

/* What is wrong with a line, or NULL. The line is ended by a NUL and holds none. */
static const char *judge(const char *s, size_t length)
{
    if (!tw_text_is_utf8(s, (int64_t)length)) return "is not UTF-8";
    size_t blank = strspn(s, " \t\r");
    if (blank == length || s[blank] == '#' || s[blank] == ';') return NULL;
    if (blank > 0)
        return "is indented: a line starts at its first column, there are no continuation lines";
    if (s[0] == '[') {
        size_t name = strcspn(s + 1, "]");
        const char *rest = s + 1 + name;
        if (*rest != ']') return "has no closing ']'";
        rest += 1 + strspn(rest + 1, " \t\r");
        if (*rest && *rest != ';') return "holds more than a section in '[]'";
        return is_name(s + 1, name) ? NULL
                                    : "has a section's name that is not of letters, digits, '_' "
                                      "and '-' (at most 49)";
    }
    size_t name = strcspn(s, "=:");
    if (s[name] != '=') return "is neither '[section]' nor 'key = value'";
    return is_name(s, trimmed(s, name))
               ? NULL
               : "has a key that is not of letters, digits, '_' and '-' (at most 49)";
}

/* inih's fgets. */
static char *read_line(char *out, int size, void *stream)
{
    reading *r = stream;
    if (r->st != TW_OK || r->next >= r->end) return NULL;
    const char *newline = memchr(r->next, '\n', (size_t)(r->end - r->next));
    const char *start = r->next;
    size_t length = (size_t)((newline ? newline : r->end) - start);
    r->next = newline ? newline + 1 : r->end;
    r->line++;

    const char *wrong = NULL;
    out[0] = '\0';
    if (memchr(start, '\0', length)) {
        wrong = "holds a NUL byte";
    } else if (length > CONFIG_LINE_MAX || length + 2 > (size_t)size) {
        r->st = config_problem(&r->config->problems,
                               "%s:%lld: the line has %zu bytes; at most %d are read", r->path,
                               (long long)r->line, length, CONFIG_LINE_MAX);
        return out;
    } else {
        memcpy(out, start, length);
        out[length] = '\0';
        wrong = judge(out, length);
    }
    if (wrong) {
        out[0] = '\0';
        r->st = config_problem(&r->config->problems, "%s:%lld: the line %s", r->path,
                               (long long)r->line, wrong);
    }
    return out;
}

/* inih's handler; the line that it stems from is the one read last. Returns 1: what is wrong is
 * collected. */
static int take(void *user, const char *section, const char *key, const char *value)
{
    reading *r = user;
    tw_status st = TW_OK;
    config_problems *problems = &r->config->problems;
    const char *reason;
    char origin[512];
    snprintf(origin, sizeof origin, "%s:%lld", r->path, (long long)r->line);

    if (!section[0]) {
        TW_TRY(
            config_problem(problems, "%s: the key '%s' stands before any [section]", origin, key));
        goto done;
    }
    if (!config_value_is_writable(value, &reason)) {
        TW_TRY(config_problem(problems, "%s: %s.%s %s", origin, section, key, reason));
        goto done;
    }
    const config_entry *earlier = config_index_find(r->config, r->config->sources, section, key);
    if (earlier) {
        TW_TRY(config_problem(problems, "%s: %s.%s was already set at %s", origin, section, key,
                              earlier->origin));
        goto done;
    }
    TW_TRY(
        config_add_entry(r->config, r->config->sources, section, key, value, origin, r->directory));
done:
    if (st != TW_OK) r->st = st;
    return 1;
}

tw_status tw_config_parse(tw_config *config, const char *text, int64_t length, const char *path)
{
    tw_status st = TW_OK;
    reading r = {.config = config, .path = path, .next = text, .end = text + length};

    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) r.next += 3; /* a byte order mark */
    config->sources++;
    TW_TRY(config_directory(&r.directory, path));
    int code = ini_parse_stream(read_line, &r, take, &r);
    TW_TRY(r.st);
    TW_CHECK(code == 0, TW_EINTERNAL, "%s: inih refuses line %d", path, code);
done:
    tw_free(&r.directory);
    return st;
}

tw_status tw_config_read(tw_config *config, const char *path)
{
    tw_status st = TW_OK;
    char *text = NULL;
    FILE *file = fopen(path, "rbe");
    TW_CHECK(file, TW_ENOINPUT, "%s: the configuration cannot be opened: %s", path,
             strerror(errno));
    TW_TRY(tw_alloc(&text, FILE_MAX_BYTES + 1, 1, "configuration text"));
    size_t length = fread(text, 1, FILE_MAX_BYTES + 1, file);
    TW_CHECK(!ferror(file), TW_ENOINPUT, "%s: the configuration cannot be read: %s", path,
             strerror(errno));
    TW_CHECK(length <= FILE_MAX_BYTES, TW_ENOINPUT,
             "%s: a configuration has at most %d bytes; is it one?", path, FILE_MAX_BYTES);
    TW_TRY(tw_config_parse(config, text, (int64_t)length, path));
done:
    if (file) fclose(file);
    tw_free(&text);
    return st;
}

/* Takes one "section.key=value" apart in place. */
static tw_status assign(tw_config *config, char *text, const char *directory)
{
    static const char origin[] = "command line";
    const char *reason;
    char *equals = strchr(text, '='), *dot = strchr(text, '.');
    if (!equals || !dot || dot > equals || !is_name(text, (size_t)(dot - text)) ||
        !is_name(dot + 1, (size_t)(equals - dot - 1))) {
        return config_problem(&config->problems, "%s: '%s' is not section.key=value", origin, text);
    }
    *dot = *equals = '\0';
    if (!config_value_is_writable(equals + 1, &reason)) {
        return config_problem(&config->problems, "%s: %s.%s %s", origin, text, dot + 1, reason);
    }
    return config_add_entry(config, COMMAND_LINE, text, dot + 1, equals + 1, origin, directory);
}

tw_status tw_config_override(tw_config *config, int count, char *const *assignments)
{
    tw_status st = TW_OK;
    char *directory = NULL, *copy = NULL;
    TW_TRY(config_directory(&directory, NULL));
    for (int i = 0; i < count; i++) {
        tw_free(&copy);
        TW_TRY(tw_strdup(&copy, assignments[i]));
        TW_TRY(assign(config, copy, directory));
    }
done:
    tw_free(&copy);
    tw_free(&directory);
    return st;
}
