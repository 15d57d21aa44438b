/* One run as figures and pages need it. */
#ifndef REPORT_RUN_FILES_H
#define REPORT_RUN_FILES_H

#include "tweedie/chart.h"
#include "tweedie/file.h"
#include "tweedie/report.h"
#include "tweedie/run_status.h"

typedef struct report_run {
    const char *path; /* borrowed */
    char name[96];    /* the last part of the path */
    tw_colour colour; /* of its curves among those of other runs */
    tw_run_curves curves;
    tw_run_status status;
} report_run;

/* Curves and status of a run. @param[out] out  report_run_close, in any case
 * @return as tw_run_figure_write */
tw_status report_run_open(report_run *out, const char *path, int index, tw_text *notes);
void report_run_close(report_run *r);

/* A picture of samples in the run's directory, RGB. */
typedef struct report_picture {
    int64_t step, height, width;
    uint8_t *rgb; /* [height][width][3]; NULL: there is none */
} report_picture;

/* RUN/samples/step-….png: at most `most` of them, the newest first and the others spread over the
 * run, by step. What cannot be read is noted and left out.
 * @param[out] count  of pictures, tw_free of each rgb */
tw_status report_pictures_read(report_picture *out, int most, int *count, const char *run,
                               tw_text *notes);

/* RUN/samples/data.png, which training makes of its data; none where it is not there. */
tw_status report_data_read(report_picture *out, const char *run, tw_text *notes);

#endif
