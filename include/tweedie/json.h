/* Writes JSON (RFC 8259): answers of commands and lines of metrics.jsonl.
 *
 *     tw_json json = {0};
 *     tw_json_object(&json, NULL);
 *     tw_json_int64(&json, "step", 100);
 *     tw_json_double(&json, "loss", 0.03);
 *     tw_json_end(&json);
 *     TW_TRY(tw_json_finish(&json));   // json.text.data: {"step": 100, "loss": 0.03}
 *     …
 *     tw_text_free(&json.text);
 *
 * `key` is NULL inside a list and at the top. A failure is kept and told by tw_json_finish, so that
 * the calls need no checks. Output is one line; a double is written with as few digits as read back
 * the same, NaN and infinities as null; strings that are not UTF-8 get U+FFFD for each bad byte, so
 * that a strange file name cannot make the document unreadable. */
#ifndef TWEEDIE_JSON_H
#define TWEEDIE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/text.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_JSON_DEPTH_MAX = 16 };

typedef struct tw_json {
    tw_text text;
    tw_status status;              /* the first failure */
    int depth;                     /* open objects and lists */
    char close[TW_JSON_DEPTH_MAX]; /* what ends each */
    bool comma;                    /* something stands before at this level */
} tw_json;

void tw_json_object(tw_json *json, const char *key);
void tw_json_list(tw_json *json, const char *key);

/* Ends the innermost object or list. */
void tw_json_end(tw_json *json);

void tw_json_string(tw_json *json, const char *key, const char *value); /* NULL is null */
void tw_json_int64(tw_json *json, const char *key, int64_t value);
void tw_json_double(tw_json *json, const char *key, double value);
void tw_json_bool(tw_json *json, const char *key, bool value);
void tw_json_null(tw_json *json, const char *key);

/* A list of numbers. */
void tw_json_doubles(tw_json *json, const char *key, const double *values, int64_t count);

/* @return the first failure (TW_ENOMEM), or TW_EINTERNAL if objects or lists are still open. The
 * text is not ended by a newline. */
tw_status tw_json_finish(tw_json *json);

#ifdef __cplusplus
}
#endif

#endif
