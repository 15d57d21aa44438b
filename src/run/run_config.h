/* A run's whole configuration, bound in one place: what training, sampling, inspecting and timing
 * start from. Not collective. */
#ifndef RUN_RUN_CONFIG_H
#define RUN_RUN_CONFIG_H

#include "run/compute.h"
#include "run/train_config.h"
#include "tweedie/augment.h"
#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/guidance.h"
#include "tweedie/likelihood.h"
#include "tweedie/model.h"
#include "tweedie/objective.h"
#include "tweedie/optim.h"
#include "tweedie/sample.h"

struct tw_restored;

typedef struct tw_run_config {
    tw_train_config train;
    tw_choice optimizer; /* a tw_optimizer, with `train` */
    tw_choice augment;   /* a tw_augment, the same */
    tw_compute_config compute;
    tw_model *model;    /* configured, not created */
    tw_model *features; /* configured: what an objective compares samples by, or NULL */
    tw_objective_config objective;
    tw_sampler_config sample;
    const char *sample_class; /* of models with classes: tw_run_labels */
    const char *sample_condition, *sample_condition_split; /* of conditional models: a dataset, and
                                                              which of it */
    const char *sample_decode;   /* of models of latents: the autoencoder; "": latents stay */
    tw_guidance_config guidance; /* with `sample` */
    tw_likelihood_config likelihood;
} tw_run_config;

/* Which parts are bound. The objective and the sampler need the model's keys for their defaults. */
typedef enum tw_run_part {
    TW_RUN_TRAIN = 1,
    TW_RUN_COMPUTE = 2,
    TW_RUN_MODEL = 4,
    TW_RUN_OBJECTIVE = 8,
    TW_RUN_SAMPLE = 16,
    TW_RUN_LIKELIHOOD = 32,
    TW_RUN_ALL = 63
} tw_run_part;

/* Binds the parts, after texts of older versions have been brought to today's words
 * (tw_run_modernise). Errors are collected in the configuration (tw_config_finish).
 * @param[in,out] c  zero-initialised, or bound before; tw_run_config_free before `config` goes
 * @param parts      of tw_run_part
 * @param usual      sample.kind where nothing is said and the model is not bound here; else NULL */
tw_status tw_run_config_bind(tw_run_config *c, tw_config *config, int parts, const char *usual);
void tw_run_config_free(tw_run_config *c);

/* The classifier of an objective that compares by one (tw_objective_features_of): read where it is
 * there, and written into the configuration with the digest of its weights, as sections of its own,
 * [features_network] and so on, which binding again makes run->features of. A run that was begun
 * goes on without the file, whose weights its checkpoints hold; other weights are refused.
 * Collective; NULL for comm: this process alone.
 * @param frozen    the run's configuration; NULL: it begins
 * @param[out] out  tw_restore_destroy; NULL where there is none or it is not there any more
 * @return TW_ECONFIG for what is no classifier or has other weights, TW_ENOINPUT where it is
 * missing
 */
tw_status tw_run_find_features(struct tw_restored **out, const tw_run_config *run,
                               tw_config *config, const char *frozen, const tw_comm *comm);
/* Whether it is one of such samples. @return TW_ECONFIG */
tw_status tw_run_check_features(const struct tw_restored *classifier,
                                const tw_dataset_spec *samples);
/* Its weights into the store that an objective has declared them in. */
tw_status tw_run_take_features(tw_params *params, const struct tw_restored *classifier);

/* What sample.class says of the classes of samples: "all", each class in turn; a class; "none"; or
 * a file of one class after the other, of which sample i takes number i modulo their count.
 * @param classes     0: there are none
 * @param unlabelled  "none" may be asked for
 * @param[out] list   tw_free: what labels->list borrows, NULL where there is no file
 * @return TW_ECONFIG where there is no such class; what reading the file returns */
tw_status tw_run_labels(tw_labels *out, int32_t **list, const char *text, int64_t classes,
                        bool unlabelled);

/* " class=…" for the line that sample sets are compared by. @param[out] out  is added to */
tw_status tw_run_labels_describe(tw_text *out, const tw_labels *labels, const char *text);

/* Whether the data have the conditions that data.condition and data.condition_channels speak of.
 * @return TW_ECONFIG saying what would give them */
tw_status tw_run_check_condition(const tw_train_config *c, const tw_dataset_spec *data);

/* Version 0.1 wrote the process's keys into [objective], and which steps are kept into
 * sample.spacing; and Adam had a weight_decay, which is adamw's now. Renames such entries; a text
 * of today is left alone. */
tw_status tw_run_modernise(tw_config *config);

#endif
