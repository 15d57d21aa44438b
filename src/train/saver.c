/* Checkpoints while training goes on.
 *
 * The state is copied (plain layout, the files' own) and the input and output thread writes the
 * copy in pieces (save_job.c). Old checkpoints are pruned when the new one is complete. */
#include <stdio.h>
#include <string.h>

#include "run/state.h"
#include "train/save_job.h"
#include "train/trainer.h"
#include "tweedie/checkpoint.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/version.h"

enum { GROUPS_MAX = 1 + TW_EMA_MAX + TW_OPTIMIZER_ARRAYS };

struct tw_saver {
    const tw_trainer *t;
    tw_state *state; /* the copy that the job writes */
    save_job job;
    bool busy;           /* between start and the end having been seen */
    int64_t written;     /* checkpoints of this start */
    int failures;        /* in a row */
    int64_t step, saved; /* of the save in flight; of the last complete one */
    double started;
};

/* The groups of a checkpoint. EMA may be NULL where only names are wanted. @return
 * how many */
static int groups_of(const tw_trainer *t, tw_state_group *groups, char names[TW_EMA_MAX][64])
{
    int n = 0;
    groups[n++] = (tw_state_group){"params", t->stepper.model->params->value};
    for (int k = 0; k < t->c->ema_rates.count; k++) {
        if (tw_state_ema_name(names[k], 64, t->c->ema_rates.values[k]) != TW_OK) break;
        groups[n++] = (tw_state_group){names[k], t->stepper.ema[k]};
    }
    for (int k = 0; t->stepper.optimizer->arrays[k]; k++)
        groups[n++] = (tw_state_group){t->stepper.optimizer->arrays[k], t->stepper.array[k]};
    return n;
}

static tw_status make_state(tw_state **out, const tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_state *state = NULL;
    double *history;
    int64_t count;
    tw_state_group groups[GROUPS_MAX];
    char names[TW_EMA_MAX][64];
    int n = groups_of(t, groups, names);
    TW_TRY(tw_state_create(&state, t->stepper.model->params, groups, n));
    history = tw_objective_history(t->stepper.objective, &count);
    if (count) TW_TRY(tw_state_add_numbers(state, "objective", "times", history, count));
    *out = state;
    state = NULL;
done:
    tw_state_destroy(&state);
    return st;
}

static tw_status check_disk(const tw_trainer *t, const tw_state *state)
{
    return tw_checkpoint_preflight(
        t->options->run, tw_checkpoint_estimate(state->arrays, state->count), (int)t->c->keep);
}

tw_status tw_saver_check_disk(const tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_state *state = NULL;
    if (tw_comm_rank(t->comm) != 0) return TW_OK;
    TW_TRY(make_state(&state, t));
    TW_TRY(check_disk(t, state));
done:
    tw_state_destroy(&state);
    return st;
}

tw_status tw_saver_create(tw_saver **out, const tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_saver *s = NULL;
    if (!t->past.rundir) return TW_OK;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "the saving of checkpoints"));
    s->t = t;
    s->saved = t->past.resumed ? t->stepper.step : -1;
    s->job.rundir = t->past.rundir;
    s->job.io = t->io;
    s->job.run = t->options->run;
    s->job.keep = t->c->keep;
    s->job.keep_every = t->c->keep_every;
    atomic_store(&s->job.complete, true);
    TW_TRY(make_state(&s->state, t));
    TW_TRY(check_disk(t, s->state));
    *out = s;
    s = NULL;
done:
    tw_saver_destroy(&s);
    return st;
}

void tw_saver_destroy(tw_saver **saver)
{
    tw_saver *s = *saver;
    if (!s) return;
    if (s->busy) save_job_wait(&s->job);
    tw_state_destroy(&s->state);
    tw_free(saver);
}

static tw_status describe(const tw_saver *s, tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    const tw_trainer *t = s->t;
    *meta = (tw_checkpoint_meta){.step = t->stepper.step,
                                 .samples = t->stepper.step * t->c->batch,
                                 .seed = (uint64_t)t->c->seed,
                                 .ranks = tw_comm_size(t->comm),
                                 .threads = t->stepper.threads,
                                 .restarts = (int)t->past.restarts,
                                 .config = t->config_text};
    meta->losses = tw_progress_losses(t->progress, &meta->loss_count);
    TW_TRY(tw_format(meta->precision, sizeof meta->precision, "%s",
                     tw_precision_name(t->stepper.precision)));
    TW_TRY(tw_format(meta->dataset_digest, sizeof meta->dataset_digest, "%s",
                     tw_dataset_get_spec(t->data)->digest));
    TW_TRY(tw_format(meta->versions, sizeof meta->versions, "tweedie %s", tw_version()));
    if (t->c->ema_rates.count) {
        char name[64];
        TW_TRY(tw_state_ema_name(name, sizeof name, t->c->ema_rates.values[0]));
        TW_TRY(tw_format(meta->weights, sizeof meta->weights, "ema:%s", name + 4));
    } else {
        TW_TRY(tw_format(meta->weights, sizeof meta->weights, "raw"));
    }
    tw_dataset_spec samples = *t->samples;
    if (!t->c->condition) samples.condition = NULL; /* the model is given none */
    TW_TRY(tw_state_describe_samples(meta, &samples));
done:
    return st;
}

static tw_status begin(tw_saver *s)
{
    tw_status st = TW_OK;
    tw_checkpoint_meta meta;
    TW_TRY(describe(s, &meta));
    if (s->saved < 0) TW_TRY(tw_trainer_freeze(s->t)); /* before the first: none is without it */
    tw_state_snapshot(s->state);
    TW_TRY(tw_checkpoint_writer_create(&s->job.writer, s->t->options->run, s->state->arrays,
                                       s->state->count, &meta));
    s->busy = true;
    save_job_start(&s->job);
done:
    return st;
}

/* Takes note of how a write has ended. */
static tw_status settle(tw_saver *s)
{
    if (s->busy) save_job_wait(&s->job); /* it is complete: the thread lets go of it */
    s->busy = false;
    if (s->job.status == TW_OK) {
        s->failures = 0;
        s->written++;
        s->saved = s->step;
        tw_log_info("checkpoint of step %lld written in %.1f s", (long long)s->step,
                    s->job.ended - s->started);
        return TW_OK;
    }
    s->failures++;
    tw_log_warn("the checkpoint of step %lld failed (older ones are untouched): %s",
                (long long)s->step, s->job.message);
    return tw_error_set(s->job.status, "%s", s->job.message);
}

void tw_saver_start(tw_saver *s)
{
    if (s->busy) (void)tw_saver_wait(s); /* its failure is counted and has been told */
    if (s->saved == s->t->stepper.step) return;
    s->step = s->t->stepper.step;
    s->started = tw_clock_seconds();
    if (begin(s) != TW_OK) {
        save_job_fail(&s->job, TW_EIO);
        (void)settle(s);
    }
}

tw_status tw_saver_poll(tw_saver *s)
{
    if (s->busy && save_job_complete(&s->job)) (void)settle(s);
    if (s->failures < 2) return TW_OK;
    return tw_error_set(s->job.status, "two checkpoints in a row could not be written: %s",
                        s->job.message);
}

tw_status tw_saver_wait(tw_saver *s)
{
    if (!s->busy) return s->failures ? tw_error_set(s->job.status, "%s", s->job.message) : TW_OK;
    return settle(s);
}

int64_t tw_saver_written(const tw_saver *s)
{
    return s ? s->written : 0;
}

/* ---- loading ---- */

/* The history goes on where it ended. */
static tw_status keep_losses(tw_trainer *t, const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    if (meta->loss_count == 0) return TW_OK;
    TW_TRY(tw_alloc(&t->past.losses, 2 * meta->loss_count, sizeof *t->past.losses,
                    "the loss history"));
    memcpy(t->past.losses, meta->losses, 2 * (size_t)meta->loss_count * sizeof *t->past.losses);
    t->past.loss_rows = meta->loss_count;
done:
    return st;
}

/* Latents of other weights are other data. */
static tw_status check_encoder(const tw_trainer *t, const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    TW_CHECK(strcmp(meta->encoder, t->samples->encoder) == 0, TW_ECONFIG,
             "data.encoder: the run was trained on %s%s, and these are %s%s",
             meta->encoder[0] ? "latents of the weights " : "the samples themselves", meta->encoder,
             t->samples->encoder[0] ? "latents of " : "the samples themselves",
             t->samples->encoder);
done:
    return st;
}

static tw_status read_state(tw_trainer *t, const char *path, double *facts)
{
    tw_status st = TW_OK;
    tw_checkpoint *file = NULL;
    tw_state *state = NULL;
    TW_TRY(make_state(&state, t));
    TW_TRY(tw_checkpoint_open(&file, path));
    const tw_checkpoint_meta *meta = tw_checkpoint_meta_view(file);
    const char *digest = tw_dataset_get_spec(t->data)->digest;
    TW_CHECK(strcmp(meta->dataset_digest, digest) == 0, TW_ECONFIG,
             "data.path: %s is another dataset than the run was trained on (digest %s, not %s)",
             t->c->data_path, digest, meta->dataset_digest);
    TW_TRY(check_encoder(t, meta));
    TW_TRY(tw_checkpoint_read(file, state->arrays, state->count));
    tw_state_restore(state);
    TW_TRY(keep_losses(t, meta));
    facts[0] = (double)meta->step;
    facts[1] = (double)meta->restarts;
    facts[2] = meta->scale ? (double)meta->scale[0] : 1;
done:
    tw_checkpoint_close(&file);
    tw_state_destroy(&state);
    return st;
}

tw_status tw_trainer_load(tw_trainer *t, const char *path)
{
    tw_status st = TW_OK;
    double facts[3] = {0};
    if (tw_comm_rank(t->comm) == 0) st = read_state(t, path, facts);
    TW_TRY(tw_comm_agree(t->comm, st));
    TW_TRY(tw_comm_broadcast(t->comm, facts, sizeof facts, 0));
    TW_TRY(tw_stepper_broadcast(&t->stepper, true));
    TW_TRY(tw_stepper_share_history(&t->stepper));
    t->stepper.step = (int64_t)facts[0];
    t->past.restarts = (int64_t)facts[1] + 1;
    if (t->encoding) tw_encoding_set_scale(t->encoding, facts[2]);
    t->past.resumed = true;
    tw_log_info("resumed from %s", path);
done:
    return st;
}

/* Rank zero: the parameters, and EMA that begin as they. */
static tw_status begin_with(tw_trainer *t, const tw_weights *weights)
{
    tw_status st = TW_OK;
    tw_params *p = t->stepper.model->params;
    TW_TRY(tw_state_load_weights(p, weights));
    for (int64_t k = 0; k < t->c->ema_rates.count; k++)
        memcpy(t->stepper.ema[k], p->value, (size_t)p->trainable * sizeof(float));
done:
    return st;
}

tw_status tw_trainer_init_from(tw_trainer *t, const char *path, const char *which)
{
    tw_status st = TW_OK;
    tw_weights *weights = NULL;
    TW_TRY(tw_weights_load(&weights, t->comm, path, which && *which ? which : NULL));
    TW_TRY(tw_comm_agree(t->comm, tw_comm_rank(t->comm) == 0 ? begin_with(t, weights) : TW_OK));
    TW_TRY(tw_stepper_broadcast(&t->stepper, false));
    tw_log_info("started from %s (%s)", path, weights->meta.weights);
done:
    tw_weights_destroy(&weights);
    return st;
}
