/* The training loop. */
#include "tweedie/train.h"

#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"

static bool due(int64_t every, int64_t step, int64_t last)
{
    return every > 0 && (step % every == 0 || step == last);
}

static void save_if_due(tw_trainer *t, bool now)
{
    if (!now && t->step % t->c.checkpoint_every != 0) return;
    tw_watchdog_heartbeat(t->watchdog, "save", t->step, TW_PATIENCE);
    if (t->saver) tw_saver_start(t->saver);
}

static tw_status preview_if_due(tw_trainer *t)
{
    tw_status st = TW_OK;
    double loss;
    if (tw_preview_validates(t->preview) && due(t->c.validate_every, t->step, t->c.steps)) {
        tw_watchdog_heartbeat(t->watchdog, "validation", t->step, TW_PATIENCE);
        TW_TRY(tw_preview_validate(t->preview, &loss));
        tw_progress_validation(t->progress, loss);
    }
    if (due(t->c.grid_every, t->step, t->c.steps)) {
        tw_watchdog_heartbeat(t->watchdog, "grid", t->step, TW_PATIENCE);
        TW_TRY(tw_preview_grid(t->preview));
    }
done:
    return st;
}

/* The last checkpoint of this start: complete before anybody leaves. */
static tw_status save_and_wait(tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_watchdog_heartbeat(t->watchdog, "last save", t->step, TW_PATIENCE);
    if (t->saver) {
        tw_saver_start(t->saver);
        st = tw_saver_wait(t->saver);
    }
    return tw_comm_agree(t->comm, st);
}

static tw_status loop(tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_step_result r = {.stop =
                            t->options->stop_at_step > 0 && t->step >= t->options->stop_at_step};
    if (t->step >= t->c.steps)
        tw_log_info("step %lld of %lld: nothing is left to do", (long long)t->step,
                    (long long)t->c.steps);
    while (t->step < t->c.steps && !r.stop) {
        TW_TRY(tw_trainer_step(t, &r));
        tw_progress_step(t->progress, &r);
        save_if_due(t, r.save);
        TW_TRY(preview_if_due(t));
    }
    TW_TRY(save_and_wait(t));
    if (t->step < t->c.steps) {
        tw_log_info("stopped at step %lld of %lld; the same command resumes", (long long)t->step,
                    (long long)t->c.steps);
        TW_FAIL(TW_ESTOPPED, "stopped at step %lld of %lld with a complete checkpoint",
                (long long)t->step, (long long)t->c.steps);
    }
done:
    return st;
}

tw_status tw_train(const tw_comm *comm, const tw_train_options *options)
{
    tw_status st = TW_OK;
    tw_trainer t = {.comm = comm, .options = options, .start = tw_clock_seconds()};
    TW_TRY(tw_trainer_open(&t));
    if (options->dry_run)
        TW_TRY(tw_trainer_estimate(&t));
    else
        TW_TRY(loop(&t));
done:
    tw_trainer_close(&t);
    return st;
}
