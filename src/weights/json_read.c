/* JSON (RFC 8259), strictly: headers of safetensors, configurations of diffusers. Into the tree
 * that all containers share, so that a header of brackets takes no more memory than any other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/text.h"
#include "weights/container.h"

enum { DEPTH_MAX = 64, NUMBER_MAX = 64 };

typedef struct reader {
    tw_arena *arena;
    const char *text;
    int64_t length, at;
    int depth;
} reader;

static tw_status value(reader *r, tw_item **out);

static char next(const reader *r)
{
    return r->at < r->length ? r->text[r->at] : '\0';
}

static void skip_space(reader *r)
{
    while (r->at < r->length && memchr(" \t\r\n", r->text[r->at], 4)) r->at++;
}

static tw_status expect(reader *r, char wanted)
{
    skip_space(r);
    if (next(r) != wanted) return tw_error_set(TW_EDATA, "'%c' is missing", wanted);
    r->at++;
    return TW_OK;
}

/* ---- texts ---- */

static tw_status hex4(reader *r, unsigned *out)
{
    *out = 0;
    for (int k = 0; k < 4; k++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *d = next(r) ? strchr(digits, next(r)) : NULL;
        if (!d) return tw_error_set(TW_EDATA, "a \\u escape is not of four hexadecimal digits");
        *out = *out << 4 | (unsigned)(d - digits) % 16;
        r->at++;
    }
    return TW_OK;
}

static char *put_utf8(char *to, unsigned c)
{
    const int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned first[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(first[more] | c >> 6 * more);
    for (int k = more - 1; k >= 0; k--) *to++ = (char)(0x80 | (c >> 6 * k & 0x3f));
    return to;
}

/* Behind the backslash. */
static tw_status escape(reader *r, char **to)
{
    tw_status st = TW_OK;
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char c = next(r), *simple = c ? strchr(from, c) : NULL;
    unsigned high, low;
    r->at++;
    if (simple) {
        *(*to)++ = into[simple - from];
        goto done;
    }
    TW_CHECK(c == 'u', TW_EDATA, "a text has an unknown escape");
    TW_TRY(hex4(r, &high));
    if (high >= 0xd800 && high < 0xdc00) {
        TW_CHECK(next(r) == '\\' && r->at + 1 < r->length && r->text[r->at + 1] == 'u', TW_EDATA,
                 "a text has half a surrogate pair");
        r->at += 2;
        TW_TRY(hex4(r, &low));
        TW_CHECK(low >= 0xdc00 && low < 0xe000, TW_EDATA, "a text has half a surrogate pair");
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    TW_CHECK(high < 0xd800 || high > 0xdfff, TW_EDATA, "a text has half a surrogate pair");
    *to = put_utf8(*to, high);
done:
    return st;
}

static tw_status text(reader *r, tw_item **out)
{
    tw_status st = TW_OK;
    char *copy = NULL, *to;
    int64_t end;
    TW_TRY(expect(r, '"'));
    bool escaped = false;
    for (end = r->at; end < r->length && r->text[end] != '"'; end++) {
        TW_CHECK((unsigned char)r->text[end] >= 0x20, TW_EDATA, "a text holds a control character");
        if (r->text[end] == '\\') escaped = true, end++;
    }
    TW_CHECK(end < r->length, TW_EDATA, "a text does not end");
    TW_CHECK(tw_text_is_utf8(r->text + r->at, end - r->at), TW_EDATA, "a text is not UTF-8");
    if (!escaped) {
        TW_TRY(tw_item_new_text(r->arena, out, r->text + r->at, end - r->at));
    } else {
        TW_TRY(tw_arena_take(r->arena, &copy, end - r->at, 1)); /* no escape is longer decoded */
        to = copy;
        while (r->at < end) {
            if (r->text[r->at++] != '\\')
                *to++ = r->text[r->at - 1];
            else
                TW_TRY(escape(r, &to));
        }
        TW_TRY(tw_item_new_text(r->arena, out, copy, to - copy));
    }
    r->at = end + 1;
done:
    return st;
}

/* ---- numbers ---- */

static int64_t digits(const char *p)
{
    return (int64_t)strspn(p, "0123456789");
}

/* -? int frac? exp? as the grammar says; "01" and "1." are none. */
static bool is_number(const char *p, bool *integer)
{
    if (*p == '-') p++;
    int64_t n = digits(p);
    if (n == 0 || (n > 1 && *p == '0')) return false;
    p += n;
    *integer = *p == '\0';
    if (*p == '.') {
        n = digits(++p);
        if (n == 0) return false;
        p += n;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-') p++;
        n = digits(p);
        if (n == 0) return false;
        p += n;
    }
    return *p == '\0';
}

static tw_status number(reader *r, tw_item **out)
{
    tw_status st = TW_OK;
    char copy[NUMBER_MAX];
    int n = 0;
    bool integer;
    tw_item *item = NULL;
    while (n < NUMBER_MAX - 1 && next(r) && strchr("+-.0123456789eE", next(r)))
        copy[n++] = r->text[r->at++];
    copy[n] = '\0';
    TW_CHECK(n > 0 && is_number(copy, &integer), TW_EDATA, "a value is expected");
    TW_TRY(tw_item_new(r->arena, &item, TW_ITEM_INTEGER));
    if (!integer || !tw_text_to_int64(copy, &item->as.integer)) {
        item->type = TW_ITEM_NUMBER;
        TW_CHECK(tw_text_to_double(copy, &item->as.number), TW_EDATA, "the number %s overflows",
                 copy);
    }
    *out = item;
done:
    return st;
}

/* ---- lists and objects ---- */

static int compare_keys(const void *a, const void *b)
{
    const tw_item *x = *(tw_item *const *)a, *y = *(tw_item *const *)b;
    const int64_t m = x->as.text.length, n = y->as.text.length;
    const int order = memcmp(x->as.text.data, y->as.text.data, (size_t)(m < n ? m : n));
    return order ? order : (m > n) - (m < n);
}

static tw_status check_keys(const tw_item *dict)
{
    tw_status st = TW_OK;
    tw_item **keys = NULL;
    int64_t n = 0;
    char shown[100];
    if (dict->as.list.count < 2) return TW_OK;
    TW_TRY(tw_alloc(&keys, dict->as.list.count, sizeof *keys, "keys of a JSON object"));
    for (const tw_link *l = dict->as.list.first; l; l = l->next) keys[n++] = l->key;
    qsort(keys, (size_t)n, sizeof(tw_item *), compare_keys);
    for (int64_t i = 1; i < n; i++)
        TW_CHECK(compare_keys(&keys[i - 1], &keys[i]) != 0, TW_EDATA, "the key %s is there twice",
                 tw_bytes_shown(shown, keys[i]->as.text.data, keys[i]->as.text.length));
done:
    tw_free(&keys);
    return st;
}

static tw_status members(reader *r, tw_item *list, char close)
{
    tw_status st = TW_OK;
    tw_item *key = NULL, *entry;
    skip_space(r);
    while (next(r) != close) {
        if (list->as.list.count > 0) TW_TRY(expect(r, ','));
        if (close == '}') {
            TW_TRY((skip_space(r), text(r, &key)));
            TW_TRY(expect(r, ':'));
        }
        TW_TRY(value(r, &entry));
        TW_TRY(tw_item_append(r->arena, list, key, entry));
        skip_space(r);
    }
    r->at++;
    if (close == '}') TW_TRY(check_keys(list));
done:
    return st;
}

static tw_status word(reader *r, const char *expected, tw_item **out, tw_item_type type, bool yes)
{
    tw_status st = TW_OK;
    const int64_t n = (int64_t)strlen(expected);
    TW_CHECK(r->length - r->at >= n && memcmp(r->text + r->at, expected, (size_t)n) == 0, TW_EDATA,
             "a value is expected");
    r->at += n;
    TW_TRY(tw_item_new(r->arena, out, type));
    if (type == TW_ITEM_BOOL) (*out)->as.yes = yes;
done:
    return st;
}

static tw_status value(reader *r, tw_item **out)
{
    tw_status st = TW_OK;
    skip_space(r);
    const char c = next(r);
    if (c == '{' || c == '[') {
        TW_CHECK(++r->depth <= DEPTH_MAX, TW_EDATA, "it is nested deeper than %d", DEPTH_MAX);
        r->at++;
        TW_TRY(tw_item_new(r->arena, out, c == '{' ? TW_ITEM_DICT : TW_ITEM_LIST));
        TW_TRY(members(r, *out, c == '{' ? '}' : ']'));
        r->depth--;
    } else if (c == '"') {
        TW_TRY(text(r, out));
    } else if (c == 't' || c == 'f') {
        TW_TRY(word(r, c == 't' ? "true" : "false", out, TW_ITEM_BOOL, c == 't'));
    } else if (c == 'n') {
        TW_TRY(word(r, "null", out, TW_ITEM_NONE, false));
    } else {
        TW_TRY(number(r, out));
    }
done:
    return st;
}

tw_status tw_json_read(tw_arena *arena, tw_item **out, const char *json, int64_t length)
{
    tw_status st = TW_OK;
    reader r = {.arena = arena, .text = json, .length = length};
    tw_item *root = NULL;
    TW_TRY(value(&r, &root));
    skip_space(&r);
    TW_CHECK(r.at == length, TW_EDATA, "something follows the value");
    *out = root;
done:
    if (st == TW_EDATA) tw_error_prefix("byte %lld of the JSON: ", (long long)r.at);
    return st;
}
