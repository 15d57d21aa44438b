/* The run's figure, drawn again after each grid. */
#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/report.h"

/* Drawing takes at most a fiftieth of the time: a run with very many lines is drawn less often than
 * it makes grids, but at its last one. */
enum { PAUSE = 50 };

void tw_trainer_draw(tw_trainer *t)
{
    tw_status st = TW_OK;
    char svg[TW_PATH_MAX], png[TW_PATH_MAX];
    const double now = tw_clock_seconds();
    tw_text notes = {0};
    if (!t->past.rundir || (now < t->figure.next && t->stepper.step < t->c->steps)) return;
    TW_TRY(tw_rundir_file(svg, sizeof svg, t->past.rundir, "report.svg"));
    TW_TRY(tw_rundir_file(png, sizeof png, t->past.rundir, "report.png"));
    TW_TRY(tw_run_figure_write(t->options->run, svg, png, TW_OUTPUT_OWN, &notes));
done:
    if (st != TW_OK) tw_log_warn("no figure of the run: %s", tw_error_message());
    if (t->figure.count++ == 0) tw_report_warn(&notes); /* the same ones later */
    tw_text_free(&notes);
    t->figure.next = tw_clock_seconds() + PAUSE * (tw_clock_seconds() - now);
}
