/* What a training says last: what it took, where the time went, and what a person does next. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/run_status.h"
#include "tweedie/text.h"

/* As a shell reads it back. */
static tw_status add_word(tw_text *out, const char *word)
{
    tw_status st = TW_OK;
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./=:,+@%";
    if (*word && strspn(word, plain) == strlen(word)) return tw_text_add(out, " %s", word);
    TW_TRY(tw_text_add(out, " '"));
    for (; *word; word++)
        TW_TRY(*word == '\'' ? tw_text_add(out, "'\\''") : tw_text_add(out, "%c", *word));
    TW_TRY(tw_text_add(out, "'"));
done:
    return st;
}

/* The command of this start again. One that stopped at a step of its own goes on past it. */
static tw_status add_train(tw_text *out, const tw_trainer *t)
{
    tw_status st = TW_OK;
    const tw_train_options *o = t->options;
    if (getenv("SLURM_JOB_ID"))
        TW_TRY(tw_text_add(out, "srun "));
    else if (tw_comm_size(t->comm) > 1)
        TW_TRY(tw_text_add(out, "mpirun -n %d ", tw_comm_size(t->comm)));
    TW_TRY(tw_text_add(out, "tweedie train"));
    TW_TRY(add_word(out, o->config));
    TW_TRY(tw_text_add(out, " --run"));
    TW_TRY(add_word(out, o->run));
    if (o->max_hours > 0) TW_TRY(tw_text_add(out, " --max-hours %g", o->max_hours));
    for (int i = 0; i < o->assignment_count; i++) TW_TRY(add_word(out, o->assignments[i]));
done:
    return st;
}

/* What a finished network is for. */
static tw_status add_use(tw_text *out, const tw_trainer *t)
{
    tw_status st = TW_OK;
    const tw_objective_kind *k = (const tw_objective_kind *)t->run.objective.kind.kind;
    const char *run = t->options->run, *data = t->c->data_path;
    if (k->reconstructs) {
        TW_TRY(tw_text_add(out, "tweedie encode-data"));
        TW_TRY(add_word(out, run));
        TW_TRY(tw_text_add(out, " --data"));
        TW_TRY(add_word(out, data));
        TW_TRY(tw_text_add(out, " --out latents.h5"));
    } else if (k->classifies) {
        TW_TRY(tw_text_add(out, "tweedie evaluate samples.h5 --reference"));
        TW_TRY(add_word(out, data));
        TW_TRY(tw_text_add(out, " --features"));
        TW_TRY(add_word(out, run));
    } else {
        TW_TRY(tw_text_add(out, "tweedie sample"));
        TW_TRY(add_word(out, run));
        TW_TRY(tw_text_add(out, " --count 64 --out samples.h5"));
    }
done:
    return st;
}

static tw_status next(tw_text *out, const tw_trainer *t, tw_status ended)
{
    if (ended == TW_ESTOPPED) return add_train(out, t);
    if (ended != TW_OK)
        return tw_text_add(out, "a smaller optimizer.learning_rate or a smaller optimizer.clip in "
                                "a new run");
    return add_use(out, t);
}

static void tell_cost(const tw_trainer *t, double wall, const tw_run_status *all)
{
    char time[TW_DURATION], hours[TW_DURATION], time_all[TW_DURATION], hours_all[TW_DURATION];
    tw_text_duration(time, wall);
    tw_text_amount(hours, wall / 3600 * t->stepper.threads * tw_comm_size(t->comm));
    if (all->restarts == 0) {
        tw_log_info("  wall time    %s", time);
        tw_log_info("  core-hours   %s", hours);
        return;
    }
    tw_text_duration(time_all, all->seconds);
    tw_log_info("  wall time    %s; of the whole run %s", time, time_all);
    if (isnan(all->core_hours)) {
        tw_log_info("  core-hours   %s", hours);
        return;
    }
    tw_text_amount(hours_all, all->core_hours);
    tw_log_info("  core-hours   %s; of the whole run %s", hours, hours_all);
}

static void tell_time(const tw_trainer *t, double wall, const tw_progress_sums *s)
{
    const double whole = wall / 100, save = t->save_seconds;
    const double rest = wall - s->read - s->compute - s->communication - save;
    tw_log_info("  speed        %.4g images/s by the clock",
                (double)(s->steps * t->c->batch) / wall);
    tw_log_info("  time         read %.1f%%, compute %.1f%%, communicate %.1f%%, save %.1f%%, "
                "other %.1f%% (validation, grids)",
                s->read / whole, s->compute / whole, s->communication / whole, save / whole,
                fmax(rest / whole, 0));
}

static void tell_checkpoints(const tw_trainer *t, const tw_run_status *all)
{
    const long long written = (long long)tw_saver_written(t->saver);
    tw_log_info("  restarts     %lld", (long long)t->past.restarts);
    if (all->checkpoint_step >= 0)
        tw_log_info("  checkpoints  %lld written, the newest %s", written, all->checkpoint);
    else
        tw_log_info("  checkpoints  none");
}

void tw_trainer_tell_end(const tw_trainer *t, tw_status ended)
{
    tw_run_status all;
    char message[2048]; /* how training ended is told last, and looking at files may fail */
    tw_text todo = {0};
    const tw_progress_sums *s = tw_progress_sums_view(t->progress);
    if (!s || s->steps == 0) return;
    if (ended != TW_OK && ended != TW_ESTOPPED && ended != TW_EDIVERGED) return;
    (void)tw_format(message, sizeof message, "%s", tw_error_message());
    if (tw_run_status_read(&all, t->options->run, tw_clock_wall_seconds()) != TW_OK)
        all = (tw_run_status){.checkpoint_step = -1};
    const double wall = fmax(tw_clock_seconds() - s->begun, 1e-9);
    tw_log_info("%s at step %lld of %lld:",
                ended == TW_OK         ? "finished"
                : ended == TW_ESTOPPED ? "stopped"
                                       : "diverged",
                (long long)t->stepper.step, (long long)t->c->steps);
    tell_cost(t, wall, &all);
    tell_time(t, wall, s);
    tell_checkpoints(t, &all);
    if (next(&todo, t, ended) == TW_OK) tw_log_info("  next         %s", todo.data);
    (void)tw_error_set(ended, "%s", message);
    tw_text_free(&todo);
}
