/* JSON output, RFC 8259. */
#include "tweedie/json.h"

#include <math.h>
#include <string.h>

static void put(tw_json *json, const char *text)
{
    if (json->status == TW_OK)
        json->status = tw_text_add_bytes(&json->text, text, (int64_t)strlen(text));
}

/* Bytes of the well-formed UTF-8 character at `s`, 0 if it is none. */
static int64_t character(const char *s)
{
    for (int64_t n = 1; n <= 4 && s[n - 1]; n++) {
        if (tw_text_is_utf8(s, n)) return n;
    }
    return 0;
}

static void put_quoted(tw_json *json, const char *s)
{
    put(json, "\"");
    while (*s && json->status == TW_OK) {
        unsigned char c = (unsigned char)*s;
        int64_t n = character(s);
        if (c == '"' || c == '\\') {
            json->status = tw_text_add(&json->text, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            json->status = tw_text_add(&json->text, "\\u%04x", c);
        } else if (n == 0) {
            json->status = tw_text_add(&json->text, "\\ufffd");
        } else {
            json->status = tw_text_add_bytes(&json->text, s, n);
        }
        s += n ? n : 1;
    }
    put(json, "\"");
}

/* What stands before a value: a comma and the key. */
static void begin(tw_json *json, const char *key)
{
    if (json->comma) put(json, ", ");
    json->comma = true;
    if (!key) return;
    put_quoted(json, key);
    put(json, ": ");
}

static void open_level(tw_json *json, const char *key, const char *opening, char closing)
{
    begin(json, key);
    if (json->status == TW_OK && json->depth == TW_JSON_DEPTH_MAX) {
        json->status =
            tw_error_set(TW_EINTERNAL, "JSON is nested deeper than %d levels", TW_JSON_DEPTH_MAX);
    }
    if (json->status != TW_OK) return;
    put(json, opening);
    json->close[json->depth++] = closing;
    json->comma = false;
}

void tw_json_object(tw_json *json, const char *key)
{
    open_level(json, key, "{", '}');
}

void tw_json_list(tw_json *json, const char *key)
{
    open_level(json, key, "[", ']');
}

void tw_json_end(tw_json *json)
{
    if (json->status != TW_OK) return;
    if (json->depth == 0) {
        json->status = tw_error_set(TW_EINTERNAL, "JSON ends an object that was not begun");
        return;
    }
    put(json, (const char[]){json->close[--json->depth], '\0'});
    json->comma = true;
}

void tw_json_string(tw_json *json, const char *key, const char *value)
{
    begin(json, key);
    if (value) {
        put_quoted(json, value);
    } else {
        put(json, "null");
    }
}

void tw_json_int64(tw_json *json, const char *key, int64_t value)
{
    begin(json, key);
    if (json->status == TW_OK) json->status = tw_text_add(&json->text, "%lld", (long long)value);
}

void tw_json_double(tw_json *json, const char *key, double value)
{
    char text[TW_TEXT_DOUBLE_MAX] = "null";
    if (isfinite(value)) tw_text_from_double(text, value);
    begin(json, key);
    put(json, text);
}

void tw_json_bool(tw_json *json, const char *key, bool value)
{
    begin(json, key);
    put(json, value ? "true" : "false");
}

void tw_json_null(tw_json *json, const char *key)
{
    begin(json, key);
    put(json, "null");
}

void tw_json_doubles(tw_json *json, const char *key, const double *values, int64_t count)
{
    tw_json_list(json, key);
    for (int64_t i = 0; i < count; i++) tw_json_double(json, NULL, values[i]);
    tw_json_end(json);
}

tw_status tw_json_finish(tw_json *json)
{
    if (json->status != TW_OK) return json->status;
    if (json->depth > 0)
        return tw_error_set(TW_EINTERNAL, "JSON ends with %d open objects or lists", json->depth);
    return TW_OK;
}
