/* The arithmetic of a run: decided once, when it begins, and kept.
 *
 * A run's frozen configuration holds the answer, f32 or bf16, so that a resume on another processor
 * does the same arithmetic. Runs of earlier versions may hold `auto`: what they were computed in is
 * then in their checkpoints. Convolutions are computed as the run began: with Winograd's algorithm
 * or without it, as compute.convolution says; runs of versions that did not have the key were
 * computed without. */
#include <string.h>

#include "train/trainer.h"
#include "tweedie/checkpoint.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

/* What the newest checkpoint of the run was computed in; "" where there is none. Not collective. */
static tw_status read_checkpoint(char *out, size_t size, const char *run)
{
    tw_status st = TW_OK;
    tw_checkpoint *file = NULL;
    char path[TW_CHECKPOINT_PATH];
    int64_t step = -1;
    TW_TRY(tw_checkpoint_find_newest(run, path, sizeof path, &step));
    if (step < 0) return tw_format(out, size, "%s", "");
    TW_TRY(tw_checkpoint_open(&file, path));
    TW_TRY(tw_format(out, size, "%s", tw_checkpoint_meta_view(file)->precision));
done:
    tw_checkpoint_close(&file);
    return st;
}

static tw_precision by_name(const char *name)
{
    for (int p = TW_PRECISION_F32; p <= TW_PRECISION_BF16; p++)
        if (strcmp(name, tw_precision_name((tw_precision)p)) == 0) return (tw_precision)p;
    return TW_PRECISION_AUTO;
}

/* What the run began with; `auto` where nothing was computed yet. Collective. */
static tw_status frozen_precision(tw_precision *out, const tw_trainer *t, tw_config *run)
{
    tw_status st = TW_OK;
    tw_compute_config frozen = {0};
    char name[16] = "";
    TW_TRY(tw_compute_config_bind(&frozen, run));
    *out = (tw_precision)frozen.precision;
    if (*out != TW_PRECISION_AUTO) return TW_OK;
    if (tw_comm_rank(t->comm) == 0) st = read_checkpoint(name, sizeof name, t->options->run);
    TW_TRY(tw_comm_agree(t->comm, st));
    TW_TRY(tw_comm_broadcast(t->comm, name, sizeof name, 0));
    *out = by_name(name);
    if (tw_comm_rank(t->comm) == 0 && *out != TW_PRECISION_AUTO)
        tw_log_info("compute.precision: %s/config.ini says auto, as earlier versions wrote it; the "
                    "run goes on in %s, which its newest checkpoint was computed in",
                    t->options->run, name);
done:
    return st;
}

static tw_status assign(tw_config *config, const char *key, const char *value)
{
    char assignment[64];
    tw_status st = tw_format(assignment, sizeof assignment, "compute.%s=%s", key, value);
    return st == TW_OK ? tw_config_override(config, 1, (char *[]){assignment}) : st;
}

/* A configuration that says `auto` goes on as the run began. */
static tw_status keep_convolution(tw_trainer *t, tw_config *run)
{
    tw_status st = TW_OK;
    tw_compute_config frozen = {0};
    int *mine = &t->run.compute.convolution;
    if (run && !tw_config_find(run, "compute", "convolution"))
        TW_TRY(assign(run, "convolution", tw_convolution_name(TW_CONVOLUTION_DIRECT)));
    if (run) {
        TW_TRY(tw_compute_config_bind(&frozen, run));
        if (*mine == TW_CONVOLUTION_AUTO) *mine = frozen.convolution;
    }
    t->stepper.convolution = (tw_convolution)*mine;
    TW_TRY(assign(t->config, "convolution", tw_convolution_name(t->stepper.convolution)));
done:
    return st;
}

tw_status tw_trainer_resolve_precision(tw_trainer *t, tw_config *run)
{
    tw_status st = TW_OK;
    tw_precision before = TW_PRECISION_AUTO;
    TW_TRY(keep_convolution(t, run));
    if (run) TW_TRY(frozen_precision(&before, t, run));
    if (t->run.compute.precision == TW_PRECISION_AUTO) t->run.compute.precision = (int)before;
    TW_TRY(
        tw_compute_prepare(&t->stepper.precision, &t->stepper.threads, &t->run.compute, t->comm));
    TW_TRY(assign(t->config, "precision", tw_precision_name(t->stepper.precision)));
    if (run && before == TW_PRECISION_AUTO) before = t->stepper.precision;
    if (run) TW_TRY(assign(run, "precision", tw_precision_name(before)));
done:
    return st;
}
