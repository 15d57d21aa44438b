/* A run at a glance: what it has logged, and its newest samples. */
#include <math.h>
#include <string.h>

#include "cli/plot.h"
#include "tweedie/clock.h"
#include "tweedie/memory.h"
#include "tweedie/report.h"
#include "tweedie/run_status.h"

static bool ends_in(const char *path, const char *suffix)
{
    const size_t n = strlen(path), m = strlen(suffix);
    return n > m && strcmp(path + n - m, suffix) == 0;
}

static tw_status run(const tw_plot_options *o, tw_plot_numbers *numbers)
{
    tw_status st = TW_OK;
    tw_run_status status;
    tw_text notes = {0};
    char other[TW_PATH_MAX];
    const bool svg = ends_in(o->out, ".svg"), both = o->mode == TW_OUTPUT_OWN;
    TW_TRY(tw_format(other, sizeof other, "%s/report.svg", o->inputs[0]));
    TW_TRY(tw_run_figure_write(o->inputs[0],
                               svg    ? o->out
                               : both ? other
                                      : NULL,
                               svg ? NULL : o->out, o->mode, &notes));
    TW_TRY(tw_run_status_read(&status, o->inputs[0], tw_clock_wall_seconds()));
    tw_plot_add(numbers, (double)status.step, "step");
    if (!isnan(status.loss)) tw_plot_add(numbers, status.loss, "loss");
    if (!isnan(status.validation)) tw_plot_add(numbers, status.validation, "validation_loss");
    if (!isnan(status.rate)) tw_plot_add(numbers, status.rate, "images_per_second");
done:
    tw_report_warn(&notes);
    return st;
}

const tw_plot tw_plot_run = {.name = "run",
                             .usage = "RUN",
                             .summary = "what a run has logged, and its newest samples",
                             .most = 1,
                             .own_out = true,
                             .run = run};
