/* The training loop. */
#include "tweedie/train.h"

#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/signals.h"

/* Reads for the step; on rank zero a save that failed twice is told to all in the same reduction.
 */
static tw_status read_samples(void *self, int64_t step, int64_t first, int64_t count, float *x0,
                              int32_t *label, float *condition)
{
    tw_status st = TW_OK;
    const tw_trainer *t = self;
    if (first == 0 && t->saver) TW_TRY(tw_saver_poll(t->saver));
    if (t->encoding) return tw_encoding_next(t->encoding, step, first, count, x0, label);
    TW_TRY(tw_loader_next(t->loader, step, first, count, x0, label));
    if (condition) TW_TRY(tw_loader_next_condition(t->loader, step, first, count, condition));
done:
    return st;
}

static void say_augment(void *self, int64_t step, int64_t first, int64_t count, float *labels)
{
    const tw_trainer *t = self;
    tw_loader_augment_labels(t->loader, step, first, count, labels);
}

/* Asked by a signal, a file, the clock or the step number to stop or save? Each rank answers for
 * itself, and the step's reduction adds the answers: a signal or a clock that reaches one rank
 * alone stops all of them after the same step. */
static void find_requests(void *self, bool *stop, bool *save)
{
    const tw_trainer *t = self;
    const tw_train_options *o = t->options;
    const bool hours = o->max_hours > 0 && tw_clock_seconds() - t->start > o->max_hours * 3600;
    const bool step = o->stop_at_step > 0 && t->stepper.step + 1 >= o->stop_at_step;
    *stop = tw_signals_stop() || hours || step;
    *save = tw_signals_take_save() ||
            (t->past.rundir && tw_rundir_poll_request(t->past.rundir, "checkpoint-now"));
}

tw_status tw_trainer_step(tw_trainer *t, tw_step_result *out)
{
    t->stepper.hooks = (tw_step_hooks){
        .read = read_samples, .augment = say_augment, .requests = find_requests, .self = t};
    return tw_stepper_step(&t->stepper, out);
}

static bool due(int64_t every, int64_t step, int64_t last)
{
    return every > 0 && (step % every == 0 || step == last);
}

/* Not collective: rank zero alone saves; it copies its state, and waits only where the
 * save before is not over. `now` and
 * the step number are the same on all ranks, so the watchdog expects the same of them. */
static void save_if_due(tw_trainer *t, bool now)
{
    if (!now && t->stepper.step % t->c->checkpoint_every != 0) return;
    const double begun = tw_clock_seconds();
    tw_watchdog_heartbeat(t->stepper.watchdog, "save", t->stepper.step, TW_PATIENCE);
    if (t->saver) tw_saver_start(t->saver);
    t->save_seconds += tw_clock_seconds() - begun;
}

/* Collective: whether it is due depends on the step and the configuration alone. */
static tw_status preview_if_due(tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_validation found;
    tw_quality_result quality;
    if (tw_preview_validates(t->preview) &&
        due(t->c->validate_every, t->stepper.step, t->c->steps)) {
        tw_watchdog_heartbeat(t->stepper.watchdog, "validation", t->stepper.step, TW_PATIENCE);
        TW_TRY(tw_preview_validate(t->preview, &found));
        tw_progress_validation(t->progress, &found);
    }
    const bool grid = due(t->c->grid_every, t->stepper.step, t->c->steps);
    if (grid) {
        tw_watchdog_heartbeat(t->stepper.watchdog, "grid", t->stepper.step, TW_PATIENCE);
        TW_TRY(tw_preview_grid(t->preview));
    }
    if (due(t->c->evaluate_every, t->stepper.step, t->c->steps)) {
        tw_watchdog_heartbeat(t->stepper.watchdog, "evaluation", t->stepper.step, TW_PATIENCE);
        TW_TRY(tw_preview_evaluate(t->preview, &quality));
        tw_progress_quality(t->progress, &quality);
    }
    if (grid) tw_trainer_draw(t); /* with the newest of all that it shows */
done:
    return st;
}

/* The last checkpoint of this start: complete before anybody leaves. */
static tw_status save_and_wait(tw_trainer *t)
{
    tw_status st = TW_OK;
    const double begun = tw_clock_seconds();
    tw_watchdog_heartbeat(t->stepper.watchdog, "last save", t->stepper.step, TW_PATIENCE);
    if (t->saver) {
        tw_saver_start(t->saver);
        st = tw_saver_wait(t->saver);
    }
    t->save_seconds += tw_clock_seconds() - begun;
    return tw_comm_agree(t->comm, st);
}

/* Collective. All that ends it is the same on all ranks: the step number, r.stop from the
 * reduction, and a status that a collective has agreed on. */
static tw_status loop(tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_step_result r = {.stop = t->options->stop_at_step > 0 &&
                                t->stepper.step >= t->options->stop_at_step};
    if (t->stepper.step >= t->c->steps)
        tw_log_info("step %lld of %lld: nothing is left to do", (long long)t->stepper.step,
                    (long long)t->c->steps);
    else
        tw_progress_start(t->progress);
    while (t->stepper.step < t->c->steps && !r.stop) {
        TW_TRY(tw_trainer_step(t, &r));
        tw_progress_step(t->progress, &r);
        save_if_due(t, r.save);
        TW_TRY(preview_if_due(t));
    }
    TW_TRY(save_and_wait(t));
    if (t->stepper.step < t->c->steps) {
        tw_log_info("stopped at step %lld of %lld; the same command resumes",
                    (long long)t->stepper.step, (long long)t->c->steps);
        TW_FAIL(TW_ESTOPPED, "stopped at step %lld of %lld with a complete checkpoint",
                (long long)t->stepper.step, (long long)t->c->steps);
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
    else {
        st = loop(&t);
        tw_progress_end(t.progress, st);
        tw_trainer_tell_end(&t, st);
    }
done:
    tw_trainer_close(&t);
    return st;
}
