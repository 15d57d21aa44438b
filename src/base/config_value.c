/* One value: what a field expects, reading it, and spelling it. Paths. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config_internal.h"
#include "tweedie/memory.h"

/* One row per type, in the order of the enum. */
static const struct {
    size_t size;
    const char *noun;
} types[] = {
    [TW_CONFIG_INT64] = {sizeof(int64_t), "an integer"},
    [TW_CONFIG_DOUBLE] = {sizeof(double), "a number"},
    [TW_CONFIG_BOOL] = {sizeof(bool), "true or false"},
    [TW_CONFIG_STRING] = {sizeof(char *), "text"},
    [TW_CONFIG_PATH] = {sizeof(char *), "a path"},
    [TW_CONFIG_INTS] = {sizeof(tw_config_ints), "a list of integers"},
    [TW_CONFIG_DOUBLES] = {sizeof(tw_config_doubles), "a list of numbers"},
    [TW_CONFIG_CHOICE] = {sizeof(int), "one of"},
};

size_t config_size(tw_config_type type)
{
    return types[type].size;
}

static bool has_least(const tw_config_field *f)
{
    return (f->min != 0 || f->max != 0) && f->min > -INFINITY;
}

static bool has_most(const tw_config_field *f)
{
    return (f->min != 0 || f->max != 0) && f->max >= f->min && f->max < INFINITY;
}

static bool in_range(const tw_config_field *f, double value)
{
    return !(has_least(f) && value < f->min) && !(has_most(f) && value > f->max);
}

tw_status config_describe(const tw_config_field *f, tw_text *out)
{
    tw_status st = TW_OK;
    char least[TW_TEXT_DOUBLE_MAX], most[TW_TEXT_DOUBLE_MAX];
    bool above_zero = f->min > 0 && f->min <= TW_CONFIG_ABOVE_ZERO;

    TW_TRY(tw_text_add(out, "%s", types[f->type].noun));
    if (f->type == TW_CONFIG_CHOICE) {
        for (const char *c = f->choices; *c;) {
            int n = (int)strcspn(c, "|");
            TW_TRY(tw_text_add(out, "%s%.*s", c == f->choices ? " " : ", ", n, c));
            c += c[n] ? n + 1 : n;
        }
    }
    tw_text_from_double(least, above_zero ? 0 : f->min);
    tw_text_from_double(most, f->max);
    if (above_zero) {
        TW_TRY(tw_text_add(out, " above 0"));
        if (has_most(f)) TW_TRY(tw_text_add(out, ", at most %s", most));
    } else if (has_least(f) && has_most(f)) {
        TW_TRY(tw_text_add(out, " from %s to %s", least, most));
    } else if (has_least(f)) {
        TW_TRY(tw_text_add(out, ", at least %s", least));
    } else if (has_most(f)) {
        TW_TRY(tw_text_add(out, ", at most %s", most));
    }
done:
    return st;
}

static bool read_int64(const tw_config_field *f, const char *text, int64_t *out)
{
    int64_t value;
    if (!tw_text_to_int64(text, &value) || !in_range(f, (double)value)) return false;
    *out = value;
    return true;
}

static bool read_double(const tw_config_field *f, const char *text, double *out)
{
    double value;
    if (!tw_text_to_double(text, &value) || !in_range(f, value)) return false;
    *out = value;
    return true;
}

static bool read_bool(const char *text, bool *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (int i = 0; i < 8; i++) {
        if (strcmp(text, words[i]) != 0) continue;
        *out = i % 2;
        return true;
    }
    return false;
}

static bool read_choice(const char *choices, const char *text, int *out)
{
    int index = 0;
    for (const char *c = choices; *c; index++) {
        size_t n = strcspn(c, "|");
        if (n == strlen(text) && strncmp(c, text, n) == 0) {
            *out = index;
            return true;
        }
        c += c[n] ? n + 1 : n;
    }
    return false;
}

/* Goes through "a, b, c"; each element lands in `ints` or `doubles`. "none" has none. */
static bool read_list(const tw_config_field *f, const char *text, tw_config_ints *ints,
                      tw_config_doubles *doubles)
{
    int64_t count = 0;
    if (text[0] && strcmp(text, "none") != 0) {
        for (const char *c = text;; c++) {
            char element[64];
            c += strspn(c, " \t");
            size_t n = strcspn(c, ",");
            size_t length = n;
            while (length > 0 && (c[length - 1] == ' ' || c[length - 1] == '\t')) length--;
            if (length >= sizeof element || count == TW_CONFIG_LIST_MAX) return false;
            memcpy(element, c, length);
            element[length] = '\0';
            if (!(ints ? read_int64(f, element, &ints->values[count])
                       : read_double(f, element, &doubles->values[count])))
                return false;
            count++;
            c += n;
            if (!*c) break;
        }
    }
    if (ints) ints->count = count;
    if (doubles) doubles->count = count;
    return true;
}

static bool read_value(const tw_config_field *f, const char *text, void *out)
{
    tw_config_ints ints = {0};
    tw_config_doubles doubles = {0};
    switch (f->type) {
    case TW_CONFIG_INT64:
        return read_int64(f, text, out);
    case TW_CONFIG_DOUBLE:
        return read_double(f, text, out);
    case TW_CONFIG_BOOL:
        return read_bool(text, out);
    case TW_CONFIG_CHOICE:
        return read_choice(f->choices, text, out);
    case TW_CONFIG_STRING:
    case TW_CONFIG_PATH:
        memcpy(out, &text, sizeof text);
        return true;
    case TW_CONFIG_INTS:
        if (!read_list(f, text, &ints, NULL)) return false;
        memcpy(out, &ints, sizeof ints);
        return true;
    case TW_CONFIG_DOUBLES:
        if (!read_list(f, text, NULL, &doubles)) return false;
        memcpy(out, &doubles, sizeof doubles);
        return true;
    }
    return false;
}

/* What was meant, where a choice was misspelt. */
static tw_status add_nearest_choice(tw_text *out, const char *choices, const char *text)
{
    tw_status st = TW_OK;
    const char *names[64];
    int64_t count = 0;
    char *copy = NULL, *rest;
    TW_TRY(tw_strdup(&copy, choices));
    for (rest = copy; rest && count < 64;) names[count++] = strsep(&rest, "|");
    TW_TRY(tw_text_add_nearest(out, text, names, count));
done:
    tw_free(&copy);
    return st;
}

tw_status tw_config_value(const tw_config_field *field, const char *text, void *out)
{
    tw_status st = TW_OK;
    tw_text expected = {0};
    if (read_value(field, text, out)) return TW_OK;
    TW_TRY(config_describe(field, &expected));
    if (field->type == TW_CONFIG_INTS || field->type == TW_CONFIG_DOUBLES) {
        TW_TRY(tw_text_add(&expected, ", at most %d, separated by commas", TW_CONFIG_LIST_MAX));
    }
    if (field->type == TW_CONFIG_CHOICE)
        TW_TRY(add_nearest_choice(&expected, field->choices, text));
    TW_FAIL(TW_ECONFIG, "'%s': expected %s", text, expected.data);
done:
    tw_text_free(&expected);
    return st;
}

static tw_status spell_list(const tw_config_field *f, const void *member, tw_text *out)
{
    tw_status st = TW_OK;
    tw_config_ints ints = {0};
    tw_config_doubles doubles = {0};
    char number[TW_TEXT_DOUBLE_MAX];
    bool whole = f->type == TW_CONFIG_INTS;

    memcpy(whole ? (void *)&ints : (void *)&doubles, member, types[f->type].size);
    for (int64_t i = 0; i < (whole ? ints.count : doubles.count); i++) {
        if (whole) {
            snprintf(number, sizeof number, "%lld", (long long)ints.values[i]);
        } else {
            tw_text_from_double(number, doubles.values[i]);
        }
        TW_TRY(tw_text_add(out, "%s%s", i ? ", " : "", number));
    }
    /* an empty value would stand for the default */
    if ((whole ? ints.count : doubles.count) == 0 && f->default_text && f->default_text[0])
        TW_TRY(tw_text_add(out, "none"));
done:
    return st;
}

tw_status config_spell(const tw_config_field *f, const void *member, tw_text *out)
{
    tw_status st = TW_OK;
    char number[TW_TEXT_DOUBLE_MAX];

    TW_TRY(tw_text_add(out, "%s", "")); /* an empty value is an empty string, not NULL */
    switch (f->type) {
    case TW_CONFIG_INT64:
        return tw_text_add(out, "%lld", (long long)*(const int64_t *)member);
    case TW_CONFIG_DOUBLE:
        tw_text_from_double(number, *(const double *)member);
        return tw_text_add(out, "%s", number);
    case TW_CONFIG_BOOL:
        return tw_text_add(out, "%s", *(const bool *)member ? "true" : "false");
    case TW_CONFIG_STRING:
    case TW_CONFIG_PATH:
        return tw_text_add(out, "%s", *(const char *const *)member);
    case TW_CONFIG_INTS:
    case TW_CONFIG_DOUBLES:
        return spell_list(f, member, out);
    case TW_CONFIG_CHOICE: {
        const char *c = f->choices;
        for (int i = *(const int *)member; i > 0; i--) c = strchr(c, '|') + 1;
        return tw_text_add(out, "%.*s", (int)strcspn(c, "|"), c);
    }
    }
done:
    return st;
}

/* Removes empty parts, "." and, with the part before it, ".." from an absolute path, in place. */
static void simplify(char *path)
{
    char *out = path;
    for (const char *c = path; *c;) {
        c += strspn(c, "/");
        size_t n = strcspn(c, "/");
        if (n == 2 && c[0] == '.' && c[1] == '.') {
            while (out > path && *--out != '/') continue;
        } else if (n > 0 && !(n == 1 && c[0] == '.')) {
            *out++ = '/';
            memmove(out, c, n);
            out += n;
        }
        c += n;
    }
    if (out == path) *out++ = '/';
    *out = '\0';
}

/* Behind a symbolic link, ".." is not the folder that stands before it in the text: then the path
 * stays as it was written. */
static bool leads_elsewhere(const char *written, const char *simple)
{
    struct stat a, b;
    if (stat(written, &a) != 0) return false;
    return stat(simple, &b) != 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino;
}

tw_status config_absolute(char **out, const char *directory, const char *path)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    char *written = NULL;
    TW_TRY(tw_text_add(&text, "%s%s%s", path[0] == '/' ? "" : directory, path[0] == '/' ? "" : "/",
                       path));
    TW_TRY(tw_strdup(&written, text.data));
    simplify(text.data);
    TW_TRY(tw_strdup(out, leads_elsewhere(written, text.data) ? written : text.data));
done:
    tw_free(&written);
    tw_text_free(&text);
    return st;
}

tw_status config_directory(char **out, const char *path)
{
    tw_status st = TW_OK;
    char *copy = NULL;
    char here[PATH_MAX];
    TW_CHECK(getcwd(here, sizeof here), TW_EIO, "the current directory cannot be determined");
    if (!path) return tw_strdup(out, here);
    TW_TRY(tw_strdup(&copy, path));
    char *slash = strrchr(copy, '/');
    if (slash) {
        slash[slash == copy] = '\0'; /* the root keeps its slash */
    } else {
        strcpy(copy, copy[0] ? "." : ""); /* a name alone: the current directory */
    }
    TW_TRY(config_absolute(out, here, copy));
done:
    tw_free(&copy);
    return st;
}
