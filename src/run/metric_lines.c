/* Lines of metrics.jsonl. */
#include "tweedie/metric_lines.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/memory.h"

static const char *value_of(const char *line, const char *key)
{
    char quoted[64];
    const int n = snprintf(quoted, sizeof quoted, "\"%.47s\": ", key);
    const char *at = strstr(line, quoted);
    return at ? at + n : NULL;
}

bool tw_metric_number(double *out, const char *line, const char *key)
{
    char *end;
    const char *at = value_of(line, key);
    if (!at) return false;
    const double value = strtod(at, &end);
    if (end == at || !isfinite(value)) return false;
    *out = value;
    return true;
}

bool tw_metric_text(char *out, size_t size, const char *line, const char *key)
{
    const char *at = value_of(line, key);
    if (!at || *at != '"') return false;
    const size_t n = strcspn(at + 1, "\"\\");
    if (at[1 + n] != '"' || n >= size) return false;
    memcpy(out, at + 1, n);
    out[n] = '\0';
    return true;
}

tw_status tw_metric_lines(const char *path, tw_status (*each)(void *self, const char *line),
                          void *self)
{
    tw_status st = TW_OK;
    char *line = NULL;
    size_t capacity = 0;
    FILE *file = fopen(path, "re");
    TW_CHECK(file, errno == ENOENT ? TW_ENOINPUT : TW_EIO, "%s: cannot be opened: %s", path,
             strerror(errno));
    while (getline(&line, &capacity, file) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        TW_TRY(each(self, line));
    }
    TW_CHECK(!ferror(file), TW_EIO, "%s: cannot be read: %s", path, strerror(errno));
done:
    if (file) fclose(file);
    free(line); /* getline's */
    return st;
}

static tw_status grow(tw_metric_series *s)
{
    tw_status st = TW_OK;
    double *steps = NULL, *values = NULL;
    const int64_t more = s->capacity ? 2 * s->capacity : 1024;
    TW_TRY(tw_alloc(&steps, more, sizeof *steps, "a curve"));
    TW_TRY(tw_alloc(&values, more, sizeof *values, "a curve"));
    if (s->count) memcpy(steps, s->step, (size_t)s->count * sizeof *steps);
    if (s->count) memcpy(values, s->value, (size_t)s->count * sizeof *values);
    tw_free(&s->step);
    tw_free(&s->value);
    s->step = steps;
    s->value = values;
    s->capacity = more;
    steps = values = NULL;
done:
    tw_free(&steps);
    tw_free(&values);
    return st;
}

tw_status tw_metric_series_add(tw_metric_series *s, double step, double value)
{
    tw_status st = TW_OK;
    if (s->count == s->capacity) TW_TRY(grow(s));
    while (s->count > 0 && s->step[s->count - 1] >= step) s->count--;
    s->step[s->count] = step;
    s->value[s->count++] = value;
done:
    return st;
}

typedef struct reading {
    tw_metric_series *series;
    int count;
} reading;

static tw_status take(void *self, const char *line)
{
    tw_status st = TW_OK;
    const reading *r = self;
    double step, value;
    if (!tw_metric_number(&step, line, "step")) goto done;
    for (int k = 0; k < r->count; k++)
        if (tw_metric_number(&value, line, r->series[k].key))
            TW_TRY(tw_metric_series_add(&r->series[k], step, value));
done:
    return st;
}

tw_status tw_metric_series_read(tw_metric_series *series, int count, const char *path)
{
    return tw_metric_lines(path, take, &(reading){series, count});
}

void tw_metric_series_free(tw_metric_series *s)
{
    tw_free(&s->step);
    tw_free(&s->value);
    s->count = s->capacity = 0;
}
