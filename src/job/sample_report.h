/* The numbers that a sampler reports ("acceptance"), as parts and sample sets keep them: the text
 * "name=mean name=mean" of whole blocks. Nothing here is collective. */
#ifndef JOB_SAMPLE_REPORT_H
#define JOB_SAMPLE_REPORT_H

#include "tweedie/sample.h"
#include "tweedie/text.h"

enum { SAMPLE_REPORT_NAME = 32, SAMPLE_REPORT_TEXT = 512 };

/* Means over blocks. */
typedef struct sample_report {
    int found;
    struct {
        char name[SAMPLE_REPORT_NAME];
        double sum, count;
    } number[TW_SAMPLER_NUMBERS];
} sample_report;

/* What a sampler reported of one block. */
tw_status sample_report_of(sample_report *out, const tw_sampler_numbers *numbers);

/* Adds a block's text; what is no such text is passed over. */
void sample_report_add(sample_report *sum, const char *text);

/* "" where nothing was reported. @param[out] text  [SAMPLE_REPORT_TEXT] */
tw_status sample_report_write(char *text, const sample_report *r);

#endif
