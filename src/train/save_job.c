/* Writing and pruning in pieces: two jobs that submit each other, so that reading ahead, which
 * shares the thread, never waits for more than one piece. */
#include "train/save_job.h"

#include <stdio.h>

#include "tweedie/clock.h"
#include "tweedie/log.h"

static void end(save_job *j, tw_status st)
{
    j->status = st;
    if (st != TW_OK) snprintf(j->message, sizeof j->message, "%s", tw_error_message());
    tw_checkpoint_writer_destroy(&j->writer);
    tw_checkpoint_pruner_destroy(&j->pruner);
    if (!j->written) j->ended = tw_clock_seconds(); /* it may be noted much later */
    atomic_store(&j->complete, true);
}

static tw_status write_piece(save_job *j)
{
    tw_status st = TW_OK;
    TW_TRY(tw_rundir_check(j->rundir));
    TW_TRY(tw_checkpoint_writer_step(j->writer, &j->written));
    if (j->written) j->ended = tw_clock_seconds();
done:
    return st;
}

/* The checkpoint is there whether this succeeds or not. @return whether it is over */
static bool prune_piece(save_job *j)
{
    tw_status st = TW_OK;
    bool finished = false;
    TW_TRY(tw_rundir_check(j->rundir));
    if (!j->pruner)
        TW_TRY(tw_checkpoint_pruner_create(&j->pruner, j->run, j->keep, j->keep_every, false));
    else
        TW_TRY(tw_checkpoint_pruner_step(j->pruner, &finished));
done:
    if (st != TW_OK) tw_log_warn("old checkpoints stay until the next one: %s", tw_error_message());
    return st != TW_OK || finished;
}

/* One piece, on the thread; then the other job's turn. */
static tw_status piece(void *self)
{
    tw_status st = TW_OK;
    save_job *j = self;
    bool over = false;
    if (j->written)
        over = prune_piece(j);
    else
        st = write_piece(j);
    if (over || st != TW_OK) {
        end(j, st);
        return TW_OK;
    }
    j->turn = 1 - j->turn;
    st = tw_io_wait(j->io, &j->jobs[j->turn]); /* done long ago: this thread runs one at a time */
    tw_io_submit(j->io, &j->jobs[j->turn]);
    return st;
}

void save_job_start(save_job *j)
{
    j->written = false;
    j->status = TW_OK;
    atomic_store(&j->complete, false);
    j->jobs[0] = j->jobs[1] = (tw_io_job){.run = piece, .self = j};
    j->turn = 0;
    tw_io_submit(j->io, &j->jobs[0]);
}

void save_job_fail(save_job *j, tw_status st)
{
    j->written = false;
    end(j, st);
}

bool save_job_complete(const save_job *j)
{
    return atomic_load(&j->complete);
}

static tw_status nothing(void *self)
{
    (void)self;
    return TW_OK;
}

/* A job that submits another cannot be waited for by its own status, since the other may not be
 * queued yet: so calls go through the queue, each behind one piece, until no piece is left. */
void save_job_wait(save_job *j)
{
    while (!save_job_complete(j)) (void)tw_io_call(j->io, nothing, NULL);
    for (int k = 0; k < 2; k++) (void)tw_io_wait(j->io, &j->jobs[k]);
}
