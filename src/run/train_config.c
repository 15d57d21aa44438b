/* The table of training's keys. Fixed ones shape the result: they may not change when a run is
 * resumed. */
#include "run/train_config.h"

#include <stdio.h>

#include "tweedie/data.h"

#define FIELD(section, key, type, member) section, key, type, offsetof(tw_train_config, member)

const tw_config_field tw_train_fields[] = {
    {FIELD("run", "seed", TW_CONFIG_INT64, seed), "0", 0, 9e18, .fixed = true,
     .help = "of all random numbers"},

    {FIELD("data", "path", TW_CONFIG_PATH, data_path), "",
     .help = "the dataset (tweedie import makes one)"},
    {FIELD("data", "shape", TW_CONFIG_INTS, shape), "", .min = 1, .max = 65536, .fixed = true,
     .help = "shape of a sample, H, W, C (points: D); empty: as the dataset says. For inspecting "
             "and timing without data"},
    {FIELD("data", "split", TW_CONFIG_STRING, split), "train", .fixed = true,
     .help = "the split that is trained on"},
    {FIELD("data", "validation_split", TW_CONFIG_STRING, validation_split), "test",
     .help = "the split of the validation loss"},
    {FIELD("data", "flip", TW_CONFIG_BOOL, flip), "no", .fixed = true,
     .help = "mirror images at random, left to right"},
    {FIELD("data", "condition", TW_CONFIG_BOOL, condition), "no", .fixed = true,
     .help = "a conditional model: the network is given the dataset's /condition of each sample as "
             "further input channels"},
    {FIELD("data", "condition_channels", TW_CONFIG_INT64, condition_channels), "0", 0,
     TW_DATASET_CHANNELS_MAX, .fixed = true,
     .help = "with data.condition and data.shape: channels of a condition; 0: as the dataset says. "
             "For inspecting and timing without data"},
    {FIELD("data", "encoder", TW_CONFIG_PATH, encoder), "",
     .help = "run, checkpoint or weights of an autoencoder: its latents of the images are trained "
             "on, bitwise as on the dataset that tweedie encode-data writes"},
    {FIELD("data", "latents", TW_CONFIG_CHOICE, latents), "mean", .choices = "mean|sample",
     .fixed = true,
     .help = "of data.encoder, and of a dataset with log variances (encode-data --moments): the "
             "encoder's mean, or a sample of its moments, anew at each step"},
    {FIELD("data", "latent_scale", TW_CONFIG_DOUBLE, latent_scale), "0", 0, 1e9, .fixed = true,
     .help = "with data.encoder: the standard deviation of latents that is one in model units; 0: "
             "measured over the data when the run begins"},
    {FIELD("data", "verify", TW_CONFIG_BOOL, verify), "no",
     .help = "read all samples once and compare them with the file's digest"},
    {FIELD("data", "hints", TW_CONFIG_STRING, hints), "",
     .help = "key=value, ... for MPI-IO, as the file system's page advises"},
    {FIELD("data", "memory", TW_CONFIG_INT64, memory), "1024", 1, 1e7,
     .help = "MiB of samples that a rank keeps in memory; beyond, it streams"},

    {FIELD("train", "steps", TW_CONFIG_INT64, steps), "0", 0, 1e12,
     .help = "optimiser steps of the whole run"},
    {FIELD("train", "batch", TW_CONFIG_INT64, batch), "128", 1, 1e9, .fixed = true,
     .help = "samples of a step, over all ranks"},
    {FIELD("train", "microbatch", TW_CONFIG_INT64, microbatch), "0", 0, 1e9,
     .help = "samples that a rank computes at once, gradients added up; 0: its whole share"},
    {FIELD("train", "recompute", TW_CONFIG_CHOICE, recompute), "auto", .choices = "no|auto|yes",
     .help = "activations that are forgotten and computed again in the backward pass, for less "
             "memory, some more time, the same bits; auto: copies and normalisations of them, "
             "yes: all normalisations and attention"},
    {FIELD("train", "rank_independent", TW_CONFIG_BOOL, rank_independent), "no", .fixed = true,
     .help = "the same bits on 1, 2, 4, ... ranks of the same threads: gradients of microbatches "
             "are added in one tree"},

    {FIELD("optimizer", "learning_rate", TW_CONFIG_DOUBLE, learning_rate), "0.0002",
     TW_CONFIG_ABOVE_ZERO, 10, .fixed = true, .help = "of the optimiser, after the warm-up"},
    {FIELD("optimizer", "clip", TW_CONFIG_DOUBLE, clip), "1", 0, 1e9, .fixed = true,
     .help = "global gradient norm; 0: no clipping"},
    {FIELD("optimizer", "warmup", TW_CONFIG_INT64, warmup), "0", 0, 1e12, .fixed = true,
     .help = "steps of linear warm-up"},
    {FIELD("optimizer", "decay", TW_CONFIG_CHOICE, decay), "constant",
     .choices = "constant|linear|cosine", .fixed = true,
     .help = "of the learning rate, to zero at train.steps"},

    {FIELD("ema", "rates", TW_CONFIG_DOUBLES, ema_rates), "0.9999", 0, 0.99999999, .fixed = true,
     .help = "decays of the EMA of the weights; sampling uses the first"},
    {FIELD("ema", "warmup", TW_CONFIG_BOOL, ema_warmup), "no", .fixed = true,
     .help = "rate = min(rate, (1 + k) / (10 + k)) at update k"},

    {FIELD("checkpoint", "every", TW_CONFIG_INT64, checkpoint_every), "1000", 1, 1e12,
     .help = "steps between checkpoints"},
    {FIELD("checkpoint", "keep", TW_CONFIG_INT64, keep), "3", 2, 1e6,
     .help = "newest checkpoints that stay"},
    {FIELD("checkpoint", "keep_every", TW_CONFIG_INT64, keep_every), "0", 0, 1e12,
     .help = "steps that are multiples of it stay for ever; 0: none"},

    {FIELD("compute", "communication", TW_CONFIG_CHOICE, communication), "auto",
     .choices = "auto|thread|inline",
     .help = "gradients are reduced by a thread of its own, or between operations"},
    {FIELD("compute", "watchdog", TW_CONFIG_DOUBLE, watchdog), "600", 0, 1e6,
     .help = "seconds after which a step that hangs ends the run; 0: never"},

    {FIELD("log", "every", TW_CONFIG_INT64, log_every), "50", 1, 1e9,
     .help = "steps between lines of metrics.jsonl"},
    {FIELD("log", "seconds", TW_CONFIG_DOUBLE, log_seconds), "5", 0, 1e6,
     .help = "seconds between lines on the terminal, at least"},
    {FIELD("log", "grid_every", TW_CONFIG_INT64, grid_every), "0", 0, 1e12,
     .help = "steps between sample grids; 0: none"},
    {FIELD("log", "grid_count", TW_CONFIG_INT64, grid_count), "64", 1, 65536,
     .help = "samples of a grid"},
    {FIELD("log", "grid_steps", TW_CONFIG_INT64, grid_steps), "50", 1, 1e6,
     .help = "spaced time steps of a grid's samples"},
    {FIELD("log", "validate_every", TW_CONFIG_INT64, validate_every), "0", 0, 1e12,
     .help = "steps between validation losses; 0: none"},
    {FIELD("log", "validate_count", TW_CONFIG_INT64, validate_count), "1000", 1, 1e9,
     .help = "samples of a validation loss"},
    {FIELD("log", "evaluate_every", TW_CONFIG_INT64, evaluate_every), "0", 0, 1e12,
     .help = "steps between Frechet distances of samples to the training data; 0: none"},
    {FIELD("log", "evaluate_count", TW_CONFIG_INT64, evaluate_count), "256", 2, 1e6,
     .help = "samples of such a distance"},
    {FIELD("log", "evaluate_steps", TW_CONFIG_INT64, evaluate_steps), "20", 1, 1e6,
     .help = "steps of its sampler, DPM-Solver++ where the process has one"},
    {FIELD("log", "evaluate_features", TW_CONFIG_PATH, evaluate_features), "",
     .help = "run or weights of the classifier whose features are compared; empty: the shipped one "
             "for images like MNIST's"},
    {FIELD("log", "tensorboard", TW_CONFIG_BOOL, tensorboard), "no",
     .help = "what is logged, and grids, as TensorBoard's event files too (RUN/tensorboard)"},
};
const int tw_train_field_count = sizeof tw_train_fields / sizeof *tw_train_fields;

tw_status tw_train_config_bind(tw_train_config *out, tw_config *config)
{
    tw_status st = TW_OK;
    TW_TRY(tw_config_bind(config, tw_train_fields, tw_train_field_count, out));
    if (out->ema_rates.count > TW_EMA_MAX)
        TW_TRY(tw_config_error(config, "ema", "rates", "at most %d rates, not %d", TW_EMA_MAX,
                               (int)out->ema_rates.count));
    for (int64_t i = 0; i < out->ema_rates.count; i++)
        for (int64_t k = 0; k < i; k++)
            if (out->ema_rates.values[i] == out->ema_rates.values[k])
                TW_TRY(tw_config_error(config, "ema", "rates", "%g is there twice",
                                       out->ema_rates.values[i]));
done:
    return st;
}
