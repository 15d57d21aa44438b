/* Growing strings, strict numbers, and the nearest word.
 *
 * The distance is the optimal string alignment distance (Damerau-Levenshtein with each letter moved
 * at most once). */
#include "tweedie/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/memory.h"

/* Makes room for `more` bytes and a NUL; doubling keeps the whole linear. */
static tw_status reserve(tw_text *text, int64_t more)
{
    tw_status st = TW_OK;
    char *grown = NULL;
    int64_t wanted = text->length + more + 1;

    if (wanted <= text->capacity) return TW_OK;
    int64_t capacity = text->capacity < 128 ? 128 : text->capacity;
    while (capacity < wanted) capacity *= 2;
    TW_TRY(tw_alloc(&grown, capacity, 1, "text"));
    if (text->length > 0) memcpy(grown, text->data, (size_t)text->length);
    tw_free(&text->data);
    text->data = grown;
    text->capacity = capacity;
done:
    return st;
}

tw_status tw_text_add_bytes(tw_text *text, const char *bytes, int64_t length)
{
    tw_status st = TW_OK;
    TW_TRY(reserve(text, length));
    if (length > 0) memcpy(text->data + text->length, bytes, (size_t)length);
    text->length += length;
    text->data[text->length] = '\0';
done:
    return st;
}

tw_status tw_text_add(tw_text *text, const char *format, ...)
{
    tw_status st = TW_OK;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    TW_CHECK(n >= 0, TW_EINTERNAL, "text cannot be formatted as \"%s\"", format);
    TW_TRY(reserve(text, n));
    vsnprintf(text->data + text->length, (size_t)n + 1, format, again);
    text->length += n;
done:
    va_end(again);
    va_end(args);
    return st;
}

void tw_text_free(tw_text *text)
{
    tw_free(&text->data);
    *text = (tw_text){0};
}

bool tw_text_to_int64(const char *text, int64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) &&
        !((text[0] == '-' || text[0] == '+') && isdigit((unsigned char)text[1])))
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end) return false;
    *out = value;
    return true;
}

bool tw_text_to_double(const char *text, double *out)
{
    char *end;
    /* strtod also takes leading spaces, hexadecimals, "inf" and "nan": none of them is a number to
     * a user */
    if (!text[0] || strspn(text, "0123456789+-.eE") != strlen(text)) return false;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value)) return false;
    *out = value;
    return true;
}

void tw_text_from_double(char *out, double value)
{
    if (!isfinite(value)) {
        snprintf(out, TW_TEXT_DOUBLE_MAX, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) { /* 17 always suffice (IEEE 754, 5.12.2) */
        snprintf(out, TW_TEXT_DOUBLE_MAX, "%.*g", digits, value);
        if (strtod(out, NULL) == value) break;
    }
    /* "1e+06" is shorter than "1000000" and no one writes it */
    if (fabs(value) < 1e15 && value == (double)(int64_t)value)
        snprintf(out, TW_TEXT_DOUBLE_MAX, "%.0f", value);
}

/* What the first byte of a UTF-8 sequence says: how many bytes there are, which of its bits belong
 * to the code point, and the least code point that needs so many bytes. */
static const struct {
    unsigned char mask, head;
    int length;
    uint32_t least;
} utf8_heads[] = {
    {0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};

/* The bytes of the sequence at `s`, of which at most `left` may be read; 0 where it is not
 * well-formed. */
static int64_t sequence(const char *s, int64_t left)
{
    unsigned char head = (unsigned char)s[0];
    int k = 0;
    while (k < 4 && (head & utf8_heads[k].mask) != utf8_heads[k].head) k++;
    if (k == 4 || utf8_heads[k].length > left) return 0;
    uint32_t code = head & (unsigned char)~utf8_heads[k].mask;
    for (int i = 1; i < utf8_heads[k].length; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c & 0xc0) != 0x80) return 0;
        code = code << 6 | (c & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < utf8_heads[k].least || code > 0x10ffff || surrogate ? 0 : utf8_heads[k].length;
}

bool tw_text_is_utf8(const char *bytes, int64_t length)
{
    for (int64_t i = 0; i < length;) {
        int64_t n = sequence(bytes + i, length - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

enum { WORD_MAX = 96 }; /* longer words are compared by their beginning */

/* The bytes of the character at `s` where it may be shown as it is, else 0. */
static int64_t printable_bytes(const char *s, const char *kept)
{
    const unsigned char c = (unsigned char)*s;
    if (c < 0x80) return (c >= 0x20 && c != 0x7f) || strchr(kept, c) ? 1 : 0;
    const int64_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    for (int64_t i = 1; i < n; i++)
        if (!s[i]) return 0;
    if (c == 0xc2 && (unsigned char)s[1] < 0xa0) return 0; /* the controls of ISO 6429 */
    return tw_text_is_utf8(s, n) ? n : 0;
}

int64_t tw_text_printable(char *out, int64_t size, const char *text, const char *kept)
{
    int64_t length = 0;
    while (*text) {
        const int64_t n = printable_bytes(text, kept);
        if (length + (n ? n : 4) >= size) break;
        if (n)
            memcpy(out + length, text, (size_t)n);
        else
            snprintf(out + length, 5, "\\x%02x", (unsigned)(unsigned char)*text);
        length += n ? n : 4;
        text += n ? n : 1;
    }
    if (size > 0) out[length] = '\0';
    return length;
}

int64_t tw_text_distance(const char *a, const char *b)
{
    int64_t rows[3][WORD_MAX + 1]; /* distances of a[0..i) to all b[0..j), for i - 2, i - 1 and i */
    int64_t *before = rows[0], *last = rows[1], *now = rows[2];
    int64_t m = (int64_t)strnlen(a, WORD_MAX), n = (int64_t)strnlen(b, WORD_MAX);

    memset(rows, 0, sizeof rows);
    for (int64_t j = 0; j <= n; j++) last[j] = j;
    for (int64_t i = 1; i <= m; i++) {
        now[0] = i;
        for (int64_t j = 1; j <= n; j++) {
            int64_t d = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < d) d = last[j] + 1;
            if (now[j - 1] + 1 < d) d = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            now[j] = d;
        }
        int64_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[n];
}

const char *tw_text_nearest(const char *word, const char *const *words, int64_t count)
{
    const char *nearest = NULL;
    int64_t least = 1 + (int64_t)strlen(word) / 3 + 1; /* exclusive */
    for (int64_t i = 0; i < count; i++) {
        int64_t d = tw_text_distance(word, words[i]);
        /* replacing a whole word is no resemblance */
        if (d < least && d < (int64_t)strlen(words[i])) nearest = words[i], least = d;
    }
    return nearest;
}

tw_status tw_text_add_nearest(tw_text *out, const char *word, const char *const *words,
                              int64_t count)
{
    const char *nearest = tw_text_nearest(word, words, count);
    return nearest ? tw_text_add(out, "; did you mean %s?", nearest) : TW_OK;
}

void tw_text_duration(char out[TW_DURATION], double seconds)
{
    const long long s = seconds < 1e15 ? (long long)seconds : 0;
    if (s >= 100 * 3600)
        (void)tw_format(out, TW_DURATION, "%lld d %02lld h", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        (void)tw_format(out, TW_DURATION, "%lld h %02lld min", s / 3600, s / 60 % 60);
    else if (s >= 120)
        (void)tw_format(out, TW_DURATION, "%lld min", s / 60);
    else if (s >= 10)
        (void)tw_format(out, TW_DURATION, "%lld s", s);
    else
        (void)tw_format(out, TW_DURATION, "%.2g s", seconds);
}

void tw_text_amount(char out[TW_DURATION], double value)
{
    const int whole = value > 0 ? (int)floor(log10(value)) : 0; /* 123: 2; 0.0123: -2 */
    (void)tw_format(out, TW_DURATION, "%.*f", whole > 2 ? 0 : whole > -12 ? 2 - whole : 14, value);
}
