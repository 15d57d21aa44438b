/* Text points: one point a line, numbers separated by white space, commas or semicolons; "#" begins
 * a comment. Every line has as many numbers as the first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/importer.h"
#include "data/input.h"
#include "tweedie/memory.h"

enum { LINE_MAX_BYTES = 1 << 20 };

static const char separators[] = " \t,;";

/* The numbers of a line. @param[out] count  0 for an empty line */
static tw_status parse(char *line, float *values, int64_t *count, const char *where)
{
    tw_status st = TW_OK;
    char *comment = strchr(line, '#'), *rest = line;
    if (comment) *comment = '\0';
    *count = 0;
    for (;;) {
        rest += strspn(rest, separators);
        if (!*rest) break;
        const size_t n = strcspn(rest, separators);
        char *end;
        const double value = strtod(rest, &end);
        TW_CHECK(end == rest + n, TW_EDATA, "%s: \"%.*s\" is not a number", where,
                 n < 40 ? (int)n : 40, rest);
        TW_CHECK(isfinite((float)value), TW_EDATA, "%s: \"%.*s\" is not a finite float32", where,
                 n < 40 ? (int)n : 40, rest);
        TW_CHECK(*count < TW_DATASET_CHANNELS_MAX, TW_EDATA, "%s: more than %d numbers", where,
                 TW_DATASET_CHANNELS_MAX);
        values[(*count)++] = (float)value;
        rest += n;
    }
done:
    return st;
}

static tw_status read_file(tw_spool *spool, const char *path, const char *split, char *line,
                           float *values)
{
    tw_status st = TW_OK;
    tw_input *input = NULL;
    bool more = true;
    TW_TRY(tw_input_open(&input, path));
    for (int64_t number = 1;; number++) {
        char where[1200];
        int64_t count;
        snprintf(where, sizeof where, "%.1000s:%lld", path, (long long)number);
        TW_TRY(tw_input_line(input, line, LINE_MAX_BYTES, &more));
        if (!more) break;
        TW_TRY(parse(line, values, &count, where));
        if (count == 0) continue;
        if (tw_spool_is_described(spool))
            TW_CHECK(count == tw_spool_get_spec(spool)->channels, TW_EDATA,
                     "%s: %lld numbers; %lld were expected, as in the first line", where,
                     (long long)count, (long long)tw_spool_get_spec(spool)->channels);
        else
            TW_TRY(tw_spool_describe(spool, path, TW_DATASET_POINTS, 1, 1, count, false));
        TW_TRY(tw_spool_append(spool, split, values, -1, where));
    }
done:
    tw_input_close(&input);
    return st;
}

static tw_status run(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    char *line = NULL;
    float *values = NULL;
    TW_TRY(tw_alloc(&line, LINE_MAX_BYTES, 1, "a line of text"));
    TW_TRY(tw_alloc(&values, TW_DATASET_CHANNELS_MAX, sizeof *values, "a point"));
    for (int i = 0; i < options->input_count; i++) {
        const char *path = options->inputs[i];
        TW_TRY(read_file(spool, path, options->input_count > 1 ? tw_import_split_of(path) : NULL,
                         line, values));
    }
done:
    tw_free(&line);
    tw_free(&values);
    return st;
}

const tw_importer tw_import_points = {
    .name = "points",
    .summary = "points as text: one a line, numbers separated by white space or commas",
    .run = run};
