/* The sections of a report. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "report/html.h"
#include "report/panels.h"
#include "tweedie/checkpoint.h"

/* key = value of a frozen configuration. */
typedef struct report_setting {
    const char *section, *key, *value; /* into `text` */
} report_setting;

typedef struct report_settings {
    char *text; /* cut into the strings */
    int64_t count;
    report_setting *settings;
} report_settings;

/* All that the page says of one run. */
typedef struct report_subject {
    report_run run;
    report_settings settings; /* none where neither file nor checkpoint has them */
    tw_checkpoint *newest;    /* or NULL */
    int64_t parameters;       /* of the newest; −1 */
} report_subject;

/* page_config.c. @param text  is copied */
tw_status report_settings_parse(report_settings *out, const char *text);
void report_settings_free(report_settings *s);
/* NULL where it is not there. */
const char *report_settings_find(const report_settings *s, const char *section, const char *key);
void report_config_section(html *h, const report_subject *subjects, int count);

/* page_facts.c: state and cost, numbers, provenance. */
void report_state_section(html *h, const report_subject *subjects, int count);
void report_metrics_section(html *h, const report_subject *subjects, int count);
void report_provenance_section(html *h, const report_subject *subjects, int count);

/* page_pictures.c. @return also TW_ENOMEM of pictures */
tw_status report_curves_section(html *h, const report_subject *subjects, int count);
tw_status report_pictures_section(html *h, const report_subject *subjects, int count,
                                  tw_text *notes);

/* page_style.c */
extern const char report_style[];

/* The disc of the run's curves, and its name. */
void report_name(html *h, const report_run *run);
/* <tr><th></th> and a <th> for each run. */
void report_run_row(html *h, const report_subject *subjects, int count);

#endif
