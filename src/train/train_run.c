/* The run's directory as the trainer sees it: what it holds before the first step, and its frozen
 * configuration.
 *
 * A configuration is a run's own from its first checkpoint on: what a start that failed left behind
 * binds nobody. It is written before that checkpoint, so that none is without it; a later start
 * writes it again, with the free keys it was given, where there are steps to do. Where it was
 * removed the configuration that the newest checkpoint carries stands in for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "run/share_text.h"
#include "train/trainer.h"
#include "tweedie/checkpoint.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

static bool is_folder(const char *path, const char *name)
{
    char part[TW_PATH_MAX];
    struct stat info;
    return snprintf(part, sizeof part, "%s/%s", path, name) < (int)sizeof part &&
           stat(part, &info) == 0 && S_ISDIR(info.st_mode);
}

/* The folders and the log that every start makes. */
static bool is_run(const char *path)
{
    char log[TW_PATH_MAX];
    return is_folder(path, "checkpoints") && is_folder(path, "weights") &&
           is_folder(path, "samples") &&
           snprintf(log, sizeof log, "%s/train.log", path) < (int)sizeof log && tw_file_exists(log);
}

/* The deepest folder of `path` that exists, without links. @param[out] out  tw_free */
static tw_status existing_folder(char **out, const char *path)
{
    tw_status st = TW_OK;
    char *part = NULL, *real = NULL;
    TW_TRY(tw_strdup(&part, path));
    for (;;) {
        real = realpath(*part ? part : path[0] == '/' ? "/" : ".", NULL);
        char *slash = strrchr(part, '/');
        if (real || !*part) break;
        *(slash ? slash : part) = '\0';
    }
    if (real) TW_TRY(tw_strdup(out, real));
done:
    free(real);
    tw_free(&part);
    return st;
}

/* RUN/checkpoints, or anything else below a run, is a slip of the command line. */
static tw_status refuse_nested(const char *run)
{
    tw_status st = TW_OK;
    char *path = NULL, *slash;
    struct stat there;
    TW_TRY(existing_folder(&path, run));
    if (!path) return TW_OK;
    /* the run itself may exist; what lies above it may not be one */
    if (stat(run, &there) == 0 && S_ISDIR(there.st_mode) && (slash = strrchr(path, '/')))
        *slash = '\0';
    while (*path) {
        TW_CHECK(!is_run(path), TW_EUSAGE,
                 "--run %s: lies inside the run %s; another directory was expected", run, path);
        slash = strrchr(path, '/');
        *slash = '\0';
    }
done:
    tw_free(&path);
    return st;
}

tw_status tw_trainer_open_run(tw_trainer *t)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    if (tw_comm_rank(t->comm) != 0) return TW_OK;
    TW_TRY(refuse_nested(t->options->run));
    if (t->options->dry_run) return TW_OK;
    TW_TRY(tw_rundir_create(&t->past.rundir, t->options->run));
    TW_TRY(tw_checkpoint_clean(t->options->run));
    TW_TRY(tw_rundir_file(path, sizeof path, t->past.rundir, "train.log"));
    TW_TRY(tw_log_open(path));
done:
    return st;
}

/* Rank zero: whether there are checkpoints. A dry run of a new run finds no folder, and makes none.
 */
static tw_status look_for_checkpoints(const tw_trainer *t, double *there)
{
    tw_status st = TW_OK;
    int64_t *steps = NULL, count = 0;
    if (is_folder(t->options->run, "checkpoints"))
        TW_TRY(tw_checkpoint_list(t->options->run, &steps, &count));
    *there = count > 0;
done:
    tw_free(&steps);
    return st;
}

/* Rank zero: the configuration that the newest checkpoint carries, for a run whose config.ini is
 * gone. */
static tw_status read_carried(char **out, const tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_checkpoint *file = NULL;
    char path[TW_CHECKPOINT_PATH];
    int64_t step = -1;
    TW_TRY(tw_checkpoint_find_newest(t->options->run, path, sizeof path, &step));
    if (step < 0) goto done;
    TW_TRY(tw_checkpoint_open(&file, path));
    TW_TRY(tw_strdup(out, tw_checkpoint_meta_view(file)->config));
    tw_log_warn("%s/config.ini is missing: the run is held to the configuration that %s carries",
                t->options->run, path);
done:
    tw_checkpoint_close(&file);
    return st;
}

tw_status tw_trainer_read_frozen(tw_trainer *t, char **out)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX], *text = NULL;
    double there = 0;
    if (tw_comm_rank(t->comm) == 0) st = look_for_checkpoints(t, &there);
    TW_TRY(tw_comm_agree(t->comm, st));
    TW_TRY(tw_comm_broadcast(t->comm, &there, sizeof there, 0));
    t->past.has_checkpoints = there > 0;
    *out = NULL;
    if (!t->past.has_checkpoints) return TW_OK;
    TW_TRY(tw_comm_agree(t->comm, tw_format(path, sizeof path, "%s/config.ini", t->options->run)));
    TW_TRY(tw_share_text(t->comm, &text, path, true));
    if (!text) {
        if (tw_comm_rank(t->comm) == 0) st = read_carried(&text, t);
        TW_TRY(tw_comm_agree(t->comm, st));
        TW_TRY(tw_share_string(t->comm, &text));
    }
    *out = text;
    text = NULL;
done:
    tw_free(&text);
    return st;
}

tw_status tw_trainer_freeze(const tw_trainer *t)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    TW_TRY(tw_rundir_file(path, sizeof path, t->past.rundir, "config.ini"));
    TW_TRY(tw_file_write(path, t->config_text, strlen(t->config_text)));
done:
    return st;
}
