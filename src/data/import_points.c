/* Text points: one point a line; "#" begins a comment. Numbers are separated by white space, by
 * commas or by semicolons (with white space around them), in all lines by the same: what is read in
 * any other way gives other numbers. So an empty field, a comma that may be a decimal one and a
 * quoted or hexadecimal number are errors that name the line. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/importer.h"
#include "data/input.h"
#include "tweedie/memory.h"

enum { LINE_MAX_BYTES = 1 << 20, SHOWN = 40, NUMBER_BYTES = 512 };

typedef struct reader {
    tw_spool *spool;
    char *line;
    float *values;
    char separator;          /* of the first line with two numbers: ' ', ',' or ';'; 0: none yet */
    int64_t lines, doubtful; /* with numbers; of two whole ones around a bare comma */
    char where[1200];        /* "FILE:LINE" */
} reader;

static const char *name_of(char separator)
{
    return separator == ',' ? "commas" : separator == ';' ? "semicolons" : "white space";
}

static tw_status choose_separator(reader *r)
{
    tw_status st = TW_OK;
    const char *line = r->line + strspn(r->line, " \t"), *gap = line + strcspn(line, " \t");
    const bool second = gap[strspn(gap, " \t")] != '\0';
    const char met = strchr(line, ';') ? ';' : strchr(line, ',') ? ',' : second ? ' ' : 0;
    TW_CHECK(!met || !r->separator || met == r->separator, TW_EDATA,
             "%s: its numbers are separated by %s, %s by %s", r->where, name_of(met),
             r->lines > 1 ? "those before it" : "--separator says", name_of(r->separator));
    if (met) r->separator = met;
done:
    return st;
}

/* "1,5, 2,25": whole numbers whose commas are by turns without and with white space behind them. */
static bool has_decimal_commas(const char *line)
{
    int64_t commas = 0;
    for (const char *c = line; *c; c++) {
        if (!strchr("+-0123456789, \t", *c)) return false;
        if (*c == ',' && (c[1] == ' ' || c[1] == '\t') != commas++ % 2) return false;
    }
    return commas > 1 && commas % 2 == 1;
}

/* "0,5" may be one number with a decimal comma as well as two. */
static bool is_doubtful(const char *line)
{
    const char *first = line + strspn(line, " \t"), *comma = strchr(first, ',');
    if (!comma || comma == first) return false;
    const size_t before = strspn(first + (*first == '+' || *first == '-'), "0123456789"),
                 after = strspn(comma + 1, "0123456789");
    const char *end = comma + 1 + after;
    return before > 0 && first + (*first == '+' || *first == '-') + before == comma && after > 0 &&
           !end[strspn(end, " \t")];
}

/* One number of `n` bytes. */
static tw_status parse_number(reader *r, const char *text, size_t n, float *out)
{
    tw_status st = TW_OK;
    char copy[NUMBER_BYTES], *end = copy;
    const int shown = n < SHOWN ? (int)n : SHOWN;
    const size_t kept = n < sizeof copy ? n : sizeof copy - 1;
    memcpy(copy, text, kept);
    copy[kept] = '\0';
    const double value = strtod(copy, &end);
    TW_CHECK(!strpbrk(copy, ","), TW_EDATA,
             "%s: \"%.*s\" is not a number; if that is a decimal comma, write a point", r->where,
             shown, text);
    TW_CHECK(!strpbrk(copy, " \t"), TW_EDATA,
             "%s: \"%.*s\" is not a number; if the commas are decimal ones, write points, else a "
             "separator is missing",
             r->where, shown, text);
    TW_CHECK(kept == n && end == copy + n && !strpbrk(copy, "xX"), TW_EDATA,
             "%s: \"%.*s\" is not a number%s", r->where, shown, text,
             tw_spool_is_described(r->spool) ? "" : "; a line of names begins with #");
    TW_CHECK(isfinite((float)value), TW_EDATA, "%s: \"%.*s\" is not a finite float32", r->where,
             shown, text);
    *out = (float)value;
done:
    return st;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Goes to the next field of a line, past white space. Of a line of white space two tabs, and one at
 * the beginning, have an empty field between them; at its end they are nothing. */
static char *skip_blanks(const reader *r, char *rest, bool *empty)
{
    const bool marked = r->separator == ',' || r->separator == ';';
    int tabs = rest == r->line;
    for (; is_blank(*rest); rest++) tabs += *rest == '\t';
    *empty = marked ? !*rest || *rest == r->separator : *rest && tabs > 1;
    return rest;
}

/* The field that begins here. @param[out] next  where the next one begins; NULL: it is the last */
static size_t field_length(const reader *r, char *text, char **next)
{
    const char separators[] = {r->separator, '\0'};
    const bool marked = r->separator == ',' || r->separator == ';';
    size_t n = strcspn(text, marked ? separators : " \t");
    *next = marked ? (text[n] ? text + n + 1 : NULL) : text + n;
    while (n > 0 && is_blank(text[n - 1])) n--;
    return n;
}

/* The numbers of a line. @param[out] count  0 for an empty line */
static tw_status parse(reader *r, int64_t *count)
{
    tw_status st = TW_OK;
    int64_t found = 0;
    r->line[strcspn(r->line, "#")] = '\0';
    *count = 0;
    if (!r->line[strspn(r->line, " \t")]) goto done;
    r->lines++;
    r->doubtful += is_doubtful(r->line);
    TW_TRY(choose_separator(r));
    TW_CHECK(!has_decimal_commas(r->line), TW_EDATA,
             "%s: white space behind every other comma: if those are decimal ones, write points, "
             "else separate all alike",
             r->where);
    for (char *at = r->line, *next; at; at = next) {
        bool empty;
        at = skip_blanks(r, at, &empty);
        TW_CHECK(!empty, TW_EDATA, "%s: field %lld is empty; a number was expected", r->where,
                 (long long)found + 1);
        if (!*at) break; /* white space at the end */
        const size_t n = field_length(r, at, &next);
        TW_CHECK(found < TW_DATASET_CHANNELS_MAX, TW_EDATA, "%s: more than %d numbers", r->where,
                 TW_DATASET_CHANNELS_MAX);
        TW_TRY(parse_number(r, at, n, &r->values[found]));
        found++;
    }
    *count = found;
done:
    return st;
}

static tw_status read_file(reader *r, const char *path, const char *split)
{
    tw_status st = TW_OK;
    tw_input *input = NULL;
    bool more = true;
    TW_TRY(tw_input_open(&input, path));
    for (int64_t number = 1;; number++) {
        int64_t count;
        snprintf(r->where, sizeof r->where, "%.1000s:%lld", path, (long long)number);
        TW_TRY(tw_input_line(input, r->line, LINE_MAX_BYTES, &more));
        if (!more) break;
        TW_CHECK(number > 1 || !tw_input_kind(input), TW_EDATA,
                 "%s: is %s; lines of numbers were expected", r->where, tw_input_kind(input));
        TW_TRY(parse(r, &count));
        if (count == 0) continue;
        if (tw_spool_is_described(r->spool))
            TW_CHECK(count == tw_spool_get_spec(r->spool)->channels, TW_EDATA,
                     "%s: %lld numbers; %lld were expected, as in the first line", r->where,
                     (long long)count, (long long)tw_spool_get_spec(r->spool)->channels);
        else
            TW_TRY(tw_spool_describe(r->spool, path, TW_DATASET_POINTS, 1, 1, count, false));
        TW_TRY(tw_spool_append(r->spool, split, r->values, -1, r->where));
    }
done:
    tw_input_close(&input);
    return st;
}

/* At the end: one line with a point in a number, or with white space, says what the commas are. */
static tw_status check_commas(const reader *r, const tw_import_options *options)
{
    tw_status st = TW_OK;
    TW_CHECK(options->separator || r->lines == 0 || r->doubtful < r->lines, TW_EDATA,
             "%s: every line is two whole numbers around a comma, which may as well be one number "
             "with a decimal comma; --separator comma says that they are two; of one, write a "
             "point",
             options->inputs[0]);
done:
    return st;
}

static tw_status run(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    reader r = {.spool = spool, .separator = options->separator};
    TW_TRY(tw_alloc(&r.line, LINE_MAX_BYTES, 1, "a line of text"));
    TW_TRY(tw_alloc(&r.values, TW_DATASET_CHANNELS_MAX, sizeof *r.values, "a point"));
    for (int i = 0; i < options->input_count; i++) {
        const char *path = options->inputs[i];
        TW_TRY(read_file(&r, path, options->input_count > 1 ? tw_import_split_of(path) : NULL));
    }
    TW_TRY(check_commas(&r, options));
done:
    tw_free(&r.line);
    tw_free(&r.values);
    return st;
}

const tw_importer tw_import_points = {
    .name = "points",
    .summary = "points as text: one a line, numbers separated by white space, commas or semicolons",
    .run = run};
