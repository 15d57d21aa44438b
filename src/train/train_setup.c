/* From a configuration file to the first step. Each part may fail on one rank alone, so the ranks
 * agree after it. */
#include <string.h>

#include "run/state.h"
#include "train/trainer.h"
#include "tweedie/checkpoint.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/signals.h"

/* ---- configuration ---- */

/* A text file as rank zero sees it, on all ranks. A missing one is NULL where `optional`. */
static tw_status share_text(const tw_comm *comm, char **out, const char *path, bool optional)
{
    tw_status st = TW_OK;
    char *text = NULL;
    double length = -1;
    if (tw_comm_rank(comm) == 0 && (!optional || tw_file_exists(path)))
        st = tw_rundir_read_text(&text, path);
    TW_TRY(tw_comm_agree(comm, st));
    if (text) length = (double)strlen(text);
    TW_TRY(tw_comm_broadcast(comm, &length, sizeof length, 0));
    if (length >= 0 || !optional) {
        if (!text) st = tw_alloc(&text, (int64_t)length + 1, 1, "a configuration");
        TW_TRY(tw_comm_agree(comm, st));
        TW_TRY(tw_comm_broadcast(comm, text, (size_t)length + 1, 0));
    }
    *out = text;
    text = NULL;
done:
    tw_free(&text);
    return st;
}

static tw_status set(tw_config *config, const char *assignment)
{
    char copy[256];
    tw_status st = tw_format(copy, sizeof copy, "%s", assignment);
    return st == TW_OK ? tw_config_override(config, 1, (char *[]){copy}) : st;
}

static tw_status bind(tw_trainer *t)
{
    tw_status st = TW_OK;
    TW_TRY(tw_run_config_bind(&t->run, t->config, TW_RUN_ALL, NULL));
    t->c = t->run.train;
    t->model = t->run.model;
    if (t->c.steps < 1)
        TW_TRY(tw_config_error(t->config, "train", "steps", "must be given, at least 1"));
    if (!*t->c.data_path) TW_TRY(tw_config_error(t->config, "data", "path", "must be given"));
done:
    return st;
}

/* `auto` becomes what the run began with, or what all ranks can do; the frozen configuration holds
 * the answer. */
static tw_status resolve_precision(tw_trainer *t, tw_config *run)
{
    tw_status st = TW_OK;
    tw_compute_config before = {0};
    char assignment[64];
    if (run && t->run.compute.precision == TW_PRECISION_AUTO) {
        TW_TRY(tw_compute_config_bind(&before, run));
        t->run.compute.precision = before.precision;
    }
    TW_TRY(tw_compute_prepare(&t->precision, &t->threads, &t->run.compute, t->comm));
    TW_TRY(tw_format(assignment, sizeof assignment, "compute.precision=%s",
                     tw_precision_name(t->precision)));
    TW_TRY(set(t->config, assignment));
done:
    return st;
}

/* Microbatches are a matter of memory and may change, but for the one tree over them they are the
 * order of summation. */
static tw_status check_microbatch(const tw_trainer *t, tw_config *run)
{
    tw_status st = TW_OK;
    tw_train_config before = {0};
    if (!t->c.rank_independent) return TW_OK;
    TW_TRY(tw_train_config_bind(&before, run));
    TW_CHECK(before.microbatch == t->c.microbatch, TW_ECONFIG,
             "train.microbatch: %lld in the run and %lld here; with train.rank_independent it "
             "cannot change",
             (long long)before.microbatch, (long long)t->c.microbatch);
done:
    return st;
}

/* Takes the lock, and opens the log for all that is said from here on. */
static tw_status open_run(tw_trainer *t)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    if (t->options->dry_run || tw_comm_rank(t->comm) != 0) return TW_OK;
    TW_TRY(tw_rundir_create(&t->rundir, t->options->run));
    TW_TRY(tw_checkpoint_clean(t->options->run));
    TW_TRY(tw_rundir_file(path, sizeof path, t->rundir, "train.log"));
    TW_TRY(tw_log_open(path));
done:
    return st;
}

static tw_status read_config(tw_trainer *t)
{
    tw_status st = TW_OK;
    char *text = NULL, *frozen = NULL, path[TW_PATH_MAX];
    tw_config *run = NULL;
    const tw_train_options *o = t->options;
    TW_TRY(tw_format(path, sizeof path, "%s/config.ini", o->run));
    TW_TRY(share_text(t->comm, &text, o->config, false));
    TW_TRY(tw_config_create(&t->config));
    TW_TRY(tw_config_parse(t->config, text, (int64_t)strlen(text), o->config));
    TW_TRY(tw_config_override(t->config, o->assignment_count, o->assignments));
    TW_TRY(bind(t));
    TW_TRY(tw_config_finish(t->config));
    TW_TRY(tw_comm_agree(t->comm, open_run(t)));
    TW_TRY(share_text(t->comm, &frozen, path, true));
    if (frozen) {
        TW_TRY(tw_config_create(&run));
        TW_TRY(tw_config_parse(run, frozen, (int64_t)strlen(frozen), path));
        TW_TRY(tw_run_modernise(run));
    }
    TW_TRY(resolve_precision(t, run));
    TW_TRY(bind(t));
    if (run) TW_TRY(tw_config_diff_fixed(run, t->config));
    if (run) TW_TRY(check_microbatch(t, run));
    TW_TRY(tw_config_text(t->config, &t->config_text));
done:
    tw_config_destroy(&run);
    tw_free(&text);
    tw_free(&frozen);
    return st;
}

/* ---- data, network, state ---- */

static bool power_of_two(int64_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

/* One tree over all microbatches is made of the ranks' own and the reduction's only where both are
 * whole. */
static tw_status check_tree(const tw_trainer *t)
{
    const int64_t batch = t->c.batch, micro = t->c.microbatch, ranks = tw_comm_size(t->comm);
    if (!t->c.rank_independent) return TW_OK;
    if (micro < 1 || batch % micro || !power_of_two(batch / micro))
        return tw_error_set(TW_ECONFIG,
                            "train.rank_independent: train.microbatch must be given and cut "
                            "train.batch = %lld into 1, 2, 4, 8, ... parts; it is %lld",
                            (long long)batch, (long long)micro);
    if (!power_of_two(ranks) || ranks > batch / micro)
        return tw_error_set(TW_ECONFIG,
                            "train.rank_independent: %lld ranks; it takes 1, 2, 4, ... up to %lld",
                            (long long)ranks, (long long)(batch / micro));
    return TW_OK;
}

static tw_status open_data(tw_trainer *t)
{
    tw_status st = TW_OK;
    const tw_dataset_options data = {.path = t->c.data_path,
                                     .split = t->c.split,
                                     .verify = t->c.verify,
                                     .hints = t->c.hints,
                                     .io = t->io};
    const tw_loader_options loader = {.batch = t->c.batch,
                                      .seed = (uint64_t)t->c.seed,
                                      .flip = t->c.flip,
                                      .memory = t->c.memory << 20};
    TW_TRY(check_tree(t));
    /* parallel HDF5 hangs where opening fails on one rank alone */
    tw_watchdog_heartbeat(t->watchdog, "opening the data", t->step,
                          t->c.verify ? TW_PATIENCE : t->c.watchdog);
    TW_TRY(tw_dataset_open(&t->data, t->comm, &data));
    tw_watchdog_heartbeat(t->watchdog, "reading the data", t->step, TW_PATIENCE);
    TW_TRY(tw_loader_create(&t->loader, t->data, &loader));
    const int64_t positions = tw_loader_positions(t->loader);
    t->micro = t->c.microbatch > 0 && t->c.microbatch < positions ? t->c.microbatch : positions;
    t->micro_count = (positions + t->micro - 1) / t->micro;
done:
    return st;
}

static tw_status make_model(tw_trainer *t)
{
    tw_status st = TW_OK;
    TW_TRY(tw_model_create(t->model, tw_state_sample_shape(tw_dataset_get_spec(t->data)),
                           (uint64_t)t->c.seed));
    TW_TRY(tw_alloc(&t->x0, t->micro * t->model->dims, sizeof(float), "a microbatch"));
done:
    return st;
}

static tw_status make_objective(tw_trainer *t)
{
    tw_status st = TW_OK;
    const bool tree = t->c.rank_independent;
    const tw_objective_options options = {.batch = t->micro,
                                          .global_batch = t->c.batch,
                                          .precision = t->precision,
                                          .gradients = true,
                                          .accumulate = t->micro_count > 1 && !tree};
    TW_TRY(tw_objective_create(&t->objective, t->model, &t->run.objective, &options));
    if (tree)
        TW_TRY(tw_gradient_tree_create(&t->tree, t->model->params->gradient,
                                       t->model->params->trainable, t->micro_count));
done:
    return st;
}

/* A dry run of a new run finds no folder, and makes none. */
static tw_status has_folder(const tw_trainer *t, double *there)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    TW_TRY(tw_format(path, sizeof path, "%s/checkpoints", t->options->run));
    *there = tw_comm_rank(t->comm) == 0 && tw_file_exists(path);
    TW_TRY(tw_comm_broadcast(t->comm, there, sizeof *there, 0));
done:
    return st;
}

static tw_status restore(tw_trainer *t)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH] = "";
    int64_t step = -1;
    double there = 0;
    TW_TRY(has_folder(t, &there));
    if (there > 0)
        TW_TRY(tw_checkpoint_find_newest_all(t->comm, t->options->run, path, sizeof path, &step));
    if (step >= 0)
        TW_TRY(tw_trainer_load(t, path));
    else if (t->options->init && *t->options->init)
        TW_TRY(tw_trainer_init_from(t, t->options->init, t->options->init_weights));
done:
    return st;
}

static tw_status freeze_config(tw_trainer *t)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    if (!t->rundir) return TW_OK;
    TW_TRY(tw_rundir_file(path, sizeof path, t->rundir, "config.ini"));
    TW_TRY(tw_file_write(path, t->config_text, strlen(t->config_text)));
done:
    return st;
}

tw_status tw_trainer_open(tw_trainer *t)
{
    tw_status st = TW_OK;
    TW_TRY(tw_comm_agree(
        t->comm,
        tw_signals_install())); /* first: a signal while starting is a request too, not the end */
    TW_TRY(tw_comm_agree(t->comm, read_config(t)));
    TW_TRY(tw_watchdog_create(&t->watchdog, t->comm));
    TW_TRY(tw_comm_agree(t->comm, tw_io_create(&t->io)));
    TW_TRY(open_data(t));
    TW_TRY(tw_comm_agree(t->comm, make_model(t)));
    TW_TRY(tw_trainer_make_memory(t));
    TW_TRY(tw_comm_agree(t->comm, make_objective(t)));
    TW_TRY(restore(t));
    TW_TRY(tw_comm_agree(t->comm, freeze_config(t)));
    TW_TRY(tw_comm_agree(t->comm, tw_progress_create(&t->progress, t)));
    TW_TRY(tw_comm_agree(t->comm, tw_saver_create(&t->saver, t)));
    TW_TRY(tw_preview_create(&t->preview, t));
    tw_reducer_watch(t->reducer, t->watchdog);
    tw_objective_refresh(t->objective);
done:
    return st;
}

void tw_trainer_close(tw_trainer *t)
{
    tw_watchdog_destroy(&t->watchdog);
    tw_preview_destroy(&t->preview);
    tw_saver_destroy(&t->saver);
    tw_progress_destroy(&t->progress);
    tw_gradient_tree_destroy(&t->tree);
    tw_objective_destroy(&t->objective);
    tw_run_config_free(&t->run);
    tw_reducer_destroy(&t->reducer);
    tw_loader_destroy(&t->loader);
    tw_dataset_destroy(&t->data);
    tw_io_destroy(&t->io);
    tw_free(&t->x0);
    tw_free(&t->losses);
    tw_free(&t->config_text);
    tw_config_destroy(&t->config);
    tw_rundir_destroy(&t->rundir);
}
