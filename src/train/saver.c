/* Checkpoints while training goes on.
 *
 * The state is copied (plain layout, the files' own) and the input and output thread writes the
 * copy in pieces: two jobs that submit each other, so that reading ahead, which shares the thread,
 * never waits for more than one piece. Old checkpoints are pruned when the new one is complete. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "run/state.h"
#include "train/trainer.h"
#include "tweedie/checkpoint.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/version.h"

enum { GROUPS_MAX = 1 + TW_EMA_MAX + TW_OPTIMIZER_ARRAYS };

struct tw_saver {
    tw_trainer *t;
    tw_state *state;
    tw_checkpoint_writer *writer;
    tw_checkpoint_pruner *pruner; /* after the writer: NULL before, and where it failed */
    bool written;                 /* the checkpoint is there */
    tw_io_job jobs[2];
    int turn;             /* which of the jobs runs or is to run */
    atomic_bool complete; /* the write has ended; status and message tell how */
    bool busy;            /* between start and the end having been seen */
    tw_status status;
    char message[TW_IO_MESSAGE_MAX];
    int failures;        /* in a row */
    int64_t step, saved; /* of the save in flight; of the last complete one */
    double started, ended;
};

/* The groups of a checkpoint. EMA may be NULL where only names are wanted. @return
 * how many */
static int groups_of(const tw_trainer *t, tw_state_group *groups, char names[TW_EMA_MAX][64])
{
    int n = 0;
    groups[n++] = (tw_state_group){"params", t->model->params->value};
    for (int k = 0; k < t->c.ema_rates.count; k++) {
        if (tw_state_ema_name(names[k], 64, t->c.ema_rates.values[k]) != TW_OK) break;
        groups[n++] = (tw_state_group){names[k], t->ema[k]};
    }
    for (int k = 0; t->optimizer->arrays[k]; k++)
        groups[n++] = (tw_state_group){t->optimizer->arrays[k], t->array[k]};
    return n;
}

static tw_status make_state(tw_state **out, const tw_trainer *t)
{
    tw_state_group groups[GROUPS_MAX];
    char names[TW_EMA_MAX][64];
    int n = groups_of(t, groups, names);
    return tw_state_create(out, t->model->params, groups, n);
}

static tw_status check_disk(const tw_trainer *t, const tw_state *state)
{
    return tw_checkpoint_preflight(
        t->options->run, tw_checkpoint_estimate(state->arrays, state->count), (int)t->c.keep);
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

tw_status tw_saver_create(tw_saver **out, tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_saver *s = NULL;
    if (!t->rundir) return TW_OK;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "the saving of checkpoints"));
    s->t = t;
    s->saved = t->resumed ? t->step : -1;
    TW_TRY(make_state(&s->state, t));
    TW_TRY(check_disk(t, s->state));
    *out = s;
    s = NULL;
done:
    tw_saver_destroy(&s);
    return st;
}

static tw_status nothing(void *self)
{
    (void)self;
    return TW_OK;
}

static tw_status destroy_writer(void *self)
{
    tw_saver *s = self;
    tw_checkpoint_writer_destroy(&s->writer);
    return TW_OK;
}

void tw_saver_destroy(tw_saver **saver)
{
    tw_saver *s = *saver;
    if (!s) return;
    while (s->busy && !atomic_load(&s->complete)) tw_io_call(s->t->io, nothing, NULL);
    for (int k = 0; k < 2; k++) tw_io_wait(s->t->io, &s->jobs[k]);
    if (s->writer) tw_io_call(s->t->io, destroy_writer, s);
    tw_checkpoint_pruner_destroy(&s->pruner);
    tw_state_destroy(&s->state);
    tw_free(saver);
}

static tw_status describe(const tw_saver *s, tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    const tw_trainer *t = s->t;
    *meta = (tw_checkpoint_meta){.step = t->step,
                                 .samples = t->step * t->c.batch,
                                 .seed = (uint64_t)t->c.seed,
                                 .ranks = tw_comm_size(t->comm),
                                 .threads = t->threads,
                                 .restarts = (int)t->restarts,
                                 .config = t->config_text};
    meta->losses = tw_progress_losses(t->progress, &meta->loss_count);
    TW_TRY(
        tw_format(meta->precision, sizeof meta->precision, "%s", tw_precision_name(t->precision)));
    TW_TRY(tw_format(meta->dataset_digest, sizeof meta->dataset_digest, "%s",
                     tw_dataset_get_spec(t->data)->digest));
    TW_TRY(tw_format(meta->versions, sizeof meta->versions, "tweedie %s", tw_version()));
    if (t->c.ema_rates.count) {
        char name[64];
        TW_TRY(tw_state_ema_name(name, sizeof name, t->c.ema_rates.values[0]));
        TW_TRY(tw_format(meta->weights, sizeof meta->weights, "ema:%s", name + 4));
    } else {
        TW_TRY(tw_format(meta->weights, sizeof meta->weights, "raw"));
    }
    TW_TRY(tw_state_describe_samples(meta, tw_dataset_get_spec(t->data)));
done:
    return st;
}

static void end(tw_saver *s, tw_status st)
{
    s->status = st;
    if (st != TW_OK) snprintf(s->message, sizeof s->message, "%s", tw_error_message());
    tw_checkpoint_writer_destroy(&s->writer);
    tw_checkpoint_pruner_destroy(&s->pruner);
    if (!s->written) s->ended = tw_clock_seconds(); /* it may be noted much later */
    atomic_store(&s->complete, true);
}

static tw_status write_piece(tw_saver *s)
{
    tw_status st = TW_OK;
    TW_TRY(tw_rundir_check(s->t->rundir));
    TW_TRY(tw_checkpoint_writer_step(s->writer, &s->written));
    if (s->written) s->ended = tw_clock_seconds();
done:
    return st;
}

/* The checkpoint is there whether this succeeds or not. @return whether it is over */
static bool prune_piece(tw_saver *s)
{
    tw_status st = TW_OK;
    bool finished = false;
    TW_TRY(tw_rundir_check(s->t->rundir));
    if (!s->pruner)
        TW_TRY(tw_checkpoint_pruner_create(&s->pruner, s->t->options->run, s->t->c.keep,
                                           s->t->c.keep_every, false));
    else
        TW_TRY(tw_checkpoint_pruner_step(s->pruner, &finished));
done:
    if (st != TW_OK) tw_log_warn("old checkpoints stay until the next one: %s", tw_error_message());
    return st != TW_OK || finished;
}

/* One piece, on the thread; then the other job's turn. */
static tw_status piece(void *self)
{
    tw_status st = TW_OK;
    tw_saver *s = self;
    bool over = false;
    if (s->written)
        over = prune_piece(s);
    else
        st = write_piece(s);
    if (over || st != TW_OK) {
        end(s, st);
        return TW_OK;
    }
    s->turn = 1 - s->turn;
    st =
        tw_io_wait(s->t->io, &s->jobs[s->turn]); /* done long ago: this thread runs one at a time */
    tw_io_submit(s->t->io, &s->jobs[s->turn]);
    return st;
}

static tw_status begin(tw_saver *s)
{
    tw_status st = TW_OK;
    tw_checkpoint_meta meta;
    TW_TRY(describe(s, &meta));
    if (s->saved < 0) TW_TRY(tw_trainer_freeze(s->t)); /* before the first: none is without it */
    tw_state_snapshot(s->state);
    TW_TRY(tw_checkpoint_writer_create(&s->writer, s->t->options->run, s->state->arrays,
                                       s->state->count, &meta));
    s->jobs[0] = s->jobs[1] = (tw_io_job){.run = piece, .self = s};
    s->turn = 0;
    s->busy = true;
    tw_io_submit(s->t->io, &s->jobs[0]);
done:
    return st;
}

/* Takes note of how a write has ended. */
static tw_status settle(tw_saver *s)
{
    for (int k = 0; k < 2; k++) tw_io_wait(s->t->io, &s->jobs[k]);
    s->busy = false;
    if (s->status == TW_OK) {
        s->failures = 0;
        s->saved = s->step;
        tw_log_info("checkpoint of step %lld written in %.1f s", (long long)s->step,
                    s->ended - s->started);
        return TW_OK;
    }
    s->failures++;
    tw_log_warn("the checkpoint of step %lld failed (older ones are untouched): %s",
                (long long)s->step, s->message);
    return tw_error_set(s->status, "%s", s->message);
}

void tw_saver_start(tw_saver *s)
{
    if (s->busy) (void)tw_saver_wait(s); /* its failure is counted and has been told */
    if (s->saved == s->t->step) return;
    s->step = s->t->step;
    s->started = tw_clock_seconds();
    s->status = TW_OK;
    s->written = false;
    atomic_store(&s->complete, false);
    if (begin(s) != TW_OK) {
        end(s, TW_EIO);
        (void)settle(s);
    }
}

tw_status tw_saver_poll(tw_saver *s)
{
    if (s->busy && atomic_load(&s->complete)) (void)settle(s);
    if (s->failures < 2) return TW_OK;
    return tw_error_set(s->status, "two checkpoints in a row could not be written: %s", s->message);
}

tw_status tw_saver_wait(tw_saver *s)
{
    if (!s->busy) return s->failures ? tw_error_set(s->status, "%s", s->message) : TW_OK;
    while (!atomic_load(&s->complete)) tw_io_call(s->t->io, nothing, NULL);
    return settle(s);
}

/* ---- loading ---- */

/* The history goes on where it ended. */
static tw_status keep_losses(tw_trainer *t, const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    if (meta->loss_count == 0) return TW_OK;
    TW_TRY(tw_alloc(&t->losses, 2 * meta->loss_count, sizeof *t->losses, "the loss history"));
    memcpy(t->losses, meta->losses, 2 * (size_t)meta->loss_count * sizeof *t->losses);
    t->loss_rows = meta->loss_count;
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
             t->c.data_path, digest, meta->dataset_digest);
    TW_TRY(tw_checkpoint_read(file, state->arrays, state->count));
    tw_state_restore(state);
    TW_TRY(keep_losses(t, meta));
    facts[0] = (double)meta->step;
    facts[1] = (double)meta->restarts;
done:
    tw_checkpoint_close(&file);
    tw_state_destroy(&state);
    return st;
}

tw_status tw_trainer_load(tw_trainer *t, const char *path)
{
    tw_status st = TW_OK;
    double facts[2] = {0};
    if (tw_comm_rank(t->comm) == 0) st = read_state(t, path, facts);
    TW_TRY(tw_comm_agree(t->comm, st));
    TW_TRY(tw_comm_broadcast(t->comm, facts, sizeof facts, 0));
    TW_TRY(tw_trainer_broadcast(t, true));
    t->step = (int64_t)facts[0];
    t->restarts = (int64_t)facts[1] + 1;
    t->resumed = true;
    tw_log_info("resumed from %s", path);
done:
    return st;
}

static tw_status copy_weights(tw_trainer *t, const tw_weights *weights)
{
    tw_status st = TW_OK;
    tw_state *state = NULL;
    const tw_state_group group = {"params", t->model->params->value};
    TW_TRY(tw_state_create(&state, t->model->params, &group, 1));
    TW_TRY(tw_weights_copy(weights, state->arrays, state->count));
    tw_state_restore(state);
    for (int64_t k = 0; k < t->c.ema_rates.count; k++)
        memcpy(t->ema[k], t->model->params->value,
               (size_t)t->model->params->trainable * sizeof(float));
done:
    tw_state_destroy(&state);
    return st;
}

tw_status tw_trainer_init_from(tw_trainer *t, const char *path, const char *which)
{
    tw_status st = TW_OK;
    tw_weights *weights = NULL;
    TW_TRY(tw_weights_load(&weights, t->comm, path, which && *which ? which : NULL));
    TW_TRY(tw_comm_agree(t->comm, tw_comm_rank(t->comm) == 0 ? copy_weights(t, weights) : TW_OK));
    TW_TRY(tw_trainer_broadcast(t, false));
    tw_log_info("started from %s (%s)", path, weights->meta.weights);
done:
    tw_weights_destroy(&weights);
    return st;
}
