/* What a run's metrics.jsonl says: one JSON object a line, as training writes them, each whole.
 * Nothing here is collective. */
#ifndef TWEEDIE_METRIC_LINES_H
#define TWEEDIE_METRIC_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The number, or the text, behind "key": in a line of JSON as the program writes it; false where
 * there is none. */
bool tw_metric_number(double *out, const char *line, const char *key);
bool tw_metric_text(char *out, size_t size, const char *line, const char *key);

/* Calls `each` for every number behind a key of the line's object; texts, lists and objects in it
 * are passed over, and so is null. A line of JSON in any spelling.
 * @return false where it is no object, or is not whole: some numbers may have been told before */
bool tw_metric_each(const char *line, void (*each)(void *self, const char *key, double value),
                    void *self);

/* Calls `each` for every line of the file, with its end cut off. A line is as long as it likes.
 * @return TW_ENOINPUT where there is no such file, TW_EIO, or what `each` returned first */
tw_status tw_metric_lines(const char *path, tw_status (*each)(void *self, const char *line),
                          void *self);

/* One key by step. A run that went on from a checkpoint writes lines of the same steps again: the
 * later ones count. */
typedef struct tw_metric_series {
    char key[48];
    int64_t count, capacity;
    double *step, *value; /* [count] */
} tw_metric_series;

/* Adds all values of these keys in a file. Release with tw_metric_series_free, in any case. */
tw_status tw_metric_series_read(tw_metric_series *series, int count, const char *path);
tw_status tw_metric_series_add(tw_metric_series *series, double step, double value);
void tw_metric_series_free(tw_metric_series *series);

#ifdef __cplusplus
}
#endif

#endif
