/* A line of JSON, key by key. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/metric_lines.h"

enum { DEPTH_MOST = 64 };

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the string that begins here; NULL where it does not end. */
static const char *skip_string(const char *at)
{
    if (*at != '"') return NULL;
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && !*++at) return NULL;
    return *at ? at + 1 : NULL;
}

static bool is_number(const char *at)
{
    return *at == '-' || (*at >= '0' && *at <= '9');
}

/* Behind a number, a word or a string; NULL where it is none of them. */
static const char *skip_scalar(const char *at)
{
    static const char *const words[] = {"true", "false", "null"};
    if (*at == '"') return skip_string(at);
    if (is_number(at)) {
        char *end;
        (void)strtod(at, &end);
        return end > at ? end : NULL;
    }
    for (int k = 0; k < 3; k++)
        if (strncmp(at, words[k], strlen(words[k])) == 0) return at + strlen(words[k]);
    return NULL;
}

/* Behind a list or an object, whose brackets alone are looked at. */
static const char *skip_nested(const char *at)
{
    char open[DEPTH_MOST];
    int depth = 0;
    do {
        if (*at == '[' || *at == '{') {
            if (depth == DEPTH_MOST) return NULL;
            open[depth++] = *at++;
        } else if (*at == ']' || *at == '}') {
            if (open[--depth] != (*at++ == ']' ? '[' : '{')) return NULL;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else if (!(at = skip_scalar(at))) {
            return NULL;
        }
        at = skip_space(at);
    } while (depth > 0);
    return at;
}

/* A key as it is spelled, escapes and all; false where it is longer than any of ours. */
static bool copy_key(char key[48], const char *at, const char *end)
{
    const size_t n = (size_t)(end - at) - 2;
    if (n >= 48) return false;
    memcpy(key, at + 1, n);
    key[n] = '\0';
    return true;
}

bool tw_metric_each(const char *line, void (*each)(void *self, const char *key, double value),
                    void *self)
{
    char key[48];
    const char *at = skip_space(line);
    if (*at++ != '{') return false;
    at = skip_space(at);
    if (*at == '}') return !*skip_space(at + 1);
    for (;;) {
        const char *end = skip_string(at);
        if (!end) return false;
        const bool known = copy_key(key, at, end);
        at = skip_space(end);
        if (*at++ != ':') return false;
        at = skip_space(at);
        const double value = is_number(at) ? strtod(at, NULL) : NAN;
        at = *at == '[' || *at == '{' ? skip_nested(at) : skip_scalar(at);
        if (!at) return false;
        if (known && isfinite(value)) each(self, key, value);
        at = skip_space(at);
        if (*at == '}') return !*skip_space(at + 1);
        if (*at++ != ',') return false;
        at = skip_space(at);
    }
}
