/* What is drawn of runs, panel by panel: of one run its own curves, of several the same curve of
 * each. */
#ifndef REPORT_PANELS_H
#define REPORT_PANELS_H

#include "report/run_files.h"

enum { REPORT_PANELS_MAX = 16 };

typedef struct report_panel {
    char title[64];
    const char *keys[2]; /* of curves; the second may be NULL */
    const char *names[2];
    bool zero, clock;
} report_panel;

/* The panels that runs have numbers for; the first four also where there are none yet.
 * Keys are borrowed from the runs. */
int report_panels(report_panel out[REPORT_PANELS_MAX], const report_run *runs, int count);

void report_panel_draw(tw_canvas *c, const report_panel *p, const report_run *runs, int count,
                       double left, double top, double width, double height);

#endif
