/* What a run was and did, for people: figures and pages made from its files alone, beside its
 * trainer or after its end. Nothing here is collective, and nothing is changed but what is written.
 */
#ifndef TWEEDIE_REPORT_H
#define TWEEDIE_REPORT_H

#include "tweedie/metric_lines.h"
#include "tweedie/output.h"
#include "tweedie/text.h"

/* Warns of each line of the notes that the functions below add to, and frees them. */
void tw_report_warn(tw_text *notes);

/* ---- curves ---- */

enum { TW_RUN_KEYS_MAX = 48, TW_RUN_MARKS_MAX = 256 };

/* Shares of the clock between two lines of metrics; what is left are saves, validation and grids.
 */
typedef enum tw_clock_share {
    TW_CLOCK_READ,
    TW_CLOCK_COMPUTE,
    TW_CLOCK_COMMUNICATE,
    TW_CLOCK_SAVE,
    TW_CLOCK_SHARES
} tw_clock_share;

/* Where a part of the run began or ended. */
typedef struct tw_run_mark {
    double step;
    bool bad; /* diverged or failed; else a restart */
} tw_run_mark;

/* All of a metrics.jsonl, by key. */
typedef struct tw_run_curves {
    int count;
    tw_metric_series series[TW_RUN_KEYS_MAX]; /* each key that has a number beside its step */
    tw_metric_series clock[TW_CLOCK_SHARES];  /* the same steps in all */
    int mark_count;
    tw_run_mark marks[TW_RUN_MARKS_MAX];
    int64_t lines, broken, first_broken; /* lines that are no JSON object, counted from 1 */
    char host[256], processor[96];       /* of the newest part, "" where nothing says */
} tw_run_curves;

/* Reads a file of metrics; one that is not there is a run that has logged nothing yet. A line that
 * is broken is counted and passed over.
 * @param[out] out  tw_run_curves_free, in any case
 * @return TW_EIO, TW_ENOMEM */
tw_status tw_run_curves_read(tw_run_curves *out, const char *path);
void tw_run_curves_free(tw_run_curves *curves);

/* NULL where no line has the key. Borrowed. */
const tw_metric_series *tw_run_curves_find(const tw_run_curves *curves, const char *key);

/* ---- one figure ---- */

/* Writes one figure of a run: loss, validation, gradient norm, learning rate, speed, shares of the
 * clock, sample quality, restarts as marks, and its newest grid of samples.
 * @param svg, png  what is written; NULL: not that one
 * @param notes     gets a line for each thing that was passed over ("RUN/metrics.jsonl:7: …")
 * @return TW_ENOINPUT where RUN is no directory; TW_EDATA where it holds nothing of a run; TW_EIO
 */
tw_status tw_run_figure_write(const char *run, const char *svg, const char *png,
                              tw_output_mode mode, tw_text *notes);

/* ---- a page ---- */

enum { TW_REPORT_RUNS_MAX = 12 };

/* Writes one page of HTML about runs, which refers to nothing outside of itself: their state,
 * curves over each other, pictures, metrics, configurations with what differs, and provenance.
 * @param notes  as above
 * @return as above; TW_EUSAGE for more than TW_REPORT_RUNS_MAX runs, or for path as tw_output */
tw_status tw_report_write(const char *path, tw_output_mode mode, int count, char *const *runs,
                          tw_text *notes);

#endif
