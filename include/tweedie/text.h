/* Text: a growing string, strict numbers, spelling. */
#ifndef TWEEDIE_TEXT_H
#define TWEEDIE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/status.h"

/* A string that grows. Starts as {0}; `data` is NULL until something is added, else always ended by
 * a NUL. Released with tw_text_free. */
typedef struct tw_text {
    char *data;
    int64_t length, capacity; /* bytes, without and with the NUL */
} tw_text;

/* Appends as printf does. @return TW_ENOMEM */
__attribute__((format(printf, 2, 3))) tw_status tw_text_add(tw_text *text, const char *format, ...);

/* Appends `length` bytes. @return TW_ENOMEM */
tw_status tw_text_add_bytes(tw_text *text, const char *bytes, int64_t length);

/* Appends a text as XML and HTML show it, between tags and in quoted attributes alike: & < > " and
 * ' are escaped; control characters, which XML has no way to write, and bytes that are not UTF-8
 * become U+FFFD. @return TW_ENOMEM */
tw_status tw_text_add_markup(tw_text *text, const char *plain);

/* Appends bytes in base 64 (RFC 4648, padded). @return TW_ENOMEM */
tw_status tw_text_add_base64(tw_text *text, const void *bytes, int64_t length);

void tw_text_free(tw_text *text);

/* The whole string as a number: decimal, no spaces around it, no overflow. Returns false and leaves
 * *out alone otherwise. */
bool tw_text_to_int64(const char *text, int64_t *out);

/* The same for a finite double in decimal notation (underflow to a subnormal or zero is accepted).
 */
bool tw_text_to_double(const char *text, double *out);

enum { TW_TEXT_DOUBLE_MAX = 32 };

/* The shortest decimal text that reads back as the same double ("0.0002"); "nan", "inf", "-inf" for
 * the others.
 * @param[out] out  TW_TEXT_DOUBLE_MAX bytes */
void tw_text_from_double(char *out, double value);

/* Whether `length` bytes are valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool tw_text_is_utf8(const char *bytes, int64_t length);

/* A copy that a terminal shows as it is: control characters (but those that `kept` lists) and bytes
 * that are not UTF-8 become \xNN. Cut where `size` bytes are not enough. Returns its length. */
int64_t tw_text_printable(char *out, int64_t size, const char *text, const char *kept);

/* How many single letters must be inserted, deleted, replaced or swapped with their neighbour to
 * get from one word to the other. */
int64_t tw_text_distance(const char *a, const char *b);

/* The word of a list that a misspelt one most likely stands for, or NULL where none is near (more
 * than a third of its letters differ). */
const char *tw_text_nearest(const char *word, const char *const *words, int64_t count);

/* Adds "; did you mean WORD?" to a message where one is near, else nothing. */
tw_status tw_text_add_nearest(tw_text *out, const char *word, const char *const *words,
                              int64_t count);

enum { TW_DURATION = 32 };
/* "3 d 05 h", "1 h 05 min", "12 min", "40 s", "0.31 s" */
void tw_text_duration(char out[TW_DURATION], double seconds);
/* Three significant digits, however small: "1234", "12.3", "0.00123". */
void tw_text_amount(char out[TW_DURATION], double value);

#endif
