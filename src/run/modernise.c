/* What version 0.1 wrote, in today's words. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "run/run_config.h"

/* [objective] held the process. */
static const char *const of_ddpm[] = {"schedule", "timesteps", "beta_min", "beta_max"};
static const char *const of_onestep[] = {"scale", "sigma"};

static tw_status move(tw_config *config, const char *const *keys, int count, bool keep)
{
    tw_status st = TW_OK;
    for (int i = 0; i < count; i++)
        TW_TRY(
            tw_config_rename(config, "objective", keys[i], keep ? "process" : NULL, keys[i], NULL));
done:
    return st;
}

/* Its default where the text has none. */
static tw_status default_to(tw_config *config, const char *key, const char *value)
{
    if (tw_config_find(config, "process", key)) return TW_OK;
    return tw_config_imply(config, "objective", "kind", "process", key, value);
}

static tw_status modernise_objective(tw_config *config)
{
    tw_status st = TW_OK;
    const char *kind = tw_config_find(config, "objective", "kind");
    const bool ddpm = kind && strcmp(kind, "ddpm") == 0,
               onestep = kind && strcmp(kind, "onestep") == 0;
    bool old = ddpm || onestep;
    for (int i = 0; i < 4 && !kind; i++)
        old |= tw_config_find(config, "objective", of_ddpm[i]) != 0;
    if (!old) return TW_OK;
    TW_TRY(move(config, of_ddpm, 4, !onestep));
    TW_TRY(move(config, of_onestep, 2, onestep));
    if (onestep) {
        TW_TRY(default_to(config, "kind", "single"));
        TW_TRY(default_to(config, "scale", "0.01"));
        TW_TRY(default_to(config, "sigma", "1"));
    }
    TW_TRY(tw_config_rename(config, "objective", "kind", "objective", "kind", "denoising"));
done:
    return st;
}

/* Adam had a decoupled weight decay: with one above zero it was AdamW. */
static tw_status modernise_optimizer(tw_config *config)
{
    const char *decay = tw_config_find(config, "optimizer", "weight_decay");
    char *end;
    if (!decay || tw_config_find(config, "optimizer", "kind")) return TW_OK;
    if (strtod(decay, &end) == 0 && end > decay && !*end)
        return tw_config_rename(config, "optimizer", "weight_decay", NULL, "weight_decay", NULL);
    return tw_config_imply(config, "optimizer", "weight_decay", "optimizer", "kind", "adamw");
}

tw_status tw_run_modernise(tw_config *config)
{
    tw_status st = TW_OK;
    const char *spacing = tw_config_find(config, "sample", "spacing");
    TW_TRY(modernise_objective(config));
    TW_TRY(modernise_optimizer(config));
    if (spacing && (isdigit((unsigned char)*spacing) || strncmp(spacing, "ddim", 4) == 0))
        TW_TRY(tw_config_rename(config, "sample", "spacing", "sample", "timesteps", NULL));
done:
    return st;
}
