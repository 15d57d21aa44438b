/* The keys of training: [run] [data] [train] [optimizer] [ema] [checkpoint] [log], and what
 * training alone needs of [compute]. */
#ifndef RUN_TRAIN_CONFIG_H
#define RUN_TRAIN_CONFIG_H

#include "tweedie/config.h"
#include "tweedie/optim.h"

typedef struct tw_train_config {
    int64_t seed;

    const char *data_path, *split,
        *validation_split; /* data_path may be empty where no data are read */
    tw_config_ints shape;  /* of a sample: H, W, C or D; empty: the dataset's */
    bool flip, verify, condition;
    int64_t condition_channels; /* where no data are read */
    const char *encoder; /* an autoencoder whose latents of the data are trained on; "": none */
    double latent_scale; /* of its latents; 0: measured */
    int latents;         /* 1: sampled from their moments; 0: means */
    const char *hints;   /* for MPI-IO */
    int64_t memory;      /* MiB */

    int64_t steps, batch, microbatch;
    int recompute; /* tw_recompute */
    bool rank_independent;

    double learning_rate, clip; /* what every optimiser has; its own keys: tw_run_config */
    int64_t warmup;
    int decay; /* tw_decay */

    tw_config_doubles ema_rates;
    bool ema_warmup;

    int64_t checkpoint_every, keep, keep_every;

    int communication; /* tw_reducer_mode */
    double watchdog;   /* seconds */

    bool tensorboard;
    int64_t log_every, grid_every, grid_count, grid_steps, validate_every, validate_count;
    int64_t evaluate_every, evaluate_count, evaluate_steps;
    const char *evaluate_features;
    double log_seconds;
} tw_train_config;

/* Binds the keys; errors are collected in the configuration. */
tw_status tw_train_config_bind(tw_train_config *out, tw_config *config);

/* The table, for help texts. */
extern const tw_config_field tw_train_fields[];
extern const int tw_train_field_count;

#endif
