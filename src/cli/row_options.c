/* Options of the commands over rows. */
#include "cli/row_options.h"

#include <math.h>
#include <stdio.h>

tw_status row_options_job(tw_row_job_options *out, const row_options *o, const tw_arguments *a)
{
    tw_status st = TW_OK;
    int64_t first = 0;
    const tw_config_field field = {.type = TW_CONFIG_INT64, .max = 8e12};
    if (o->first[0]) {
        st = tw_config_value(&field, o->first, &first);
        if (st == TW_ECONFIG) st = tw_error_set(TW_EUSAGE, "--first %s", tw_error_message());
        TW_TRY(st);
    }
    *out = (tw_row_job_options){.weights = a->values[0],
                                .which = o->weights,
                                .data = o->data,
                                .split = o->split,
                                .first = first,
                                .count = o->count,
                                .join = o->join || !o->first[0],
                                .out = o->out,
                                .replace = o->force,
                                .clean = o->clean,
                                .assignment_count = a->assignment_count,
                                .assignments = a->assignments};
done:
    return st;
}

void row_options_report_made(const tw_row_job_options *job, const tw_row_job_result *r,
                             const char *what)
{
    const long long first = r->first, last = r->first + r->count - 1;
    if (!job->join)
        printf("%s.parts: %s %lld to %lld are there; the same command without --first makes one "
               "file of them and others\n",
               job->out, what, first, last);
    else if (r->complete)
        printf("%s: %s %lld to %lld, there already\n", job->out, what, first, last);
    else
        printf("%s: %s %lld to %lld\n", job->out, what, first, last);
}

void row_options_report(const tw_row_job_options *job, const tw_row_job_result *r, const char *what)
{
    if (job->join && !r->complete)
        printf("%s: %s %lld to %lld, %.1f evaluations each\n", job->out, what, (long long)r->first,
               (long long)(r->first + r->count - 1), r->evaluations);
    else
        row_options_report_made(job, r, what);
}
