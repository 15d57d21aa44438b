/* A model brought back from what training left: a run directory, a checkpoint or a weights file.
 *
 *     tw_restored *r = NULL;
 *     TW_TRY(tw_restore(&r, comm, "runs/mnist", NULL));   // its newest verified checkpoint, its
 * first average … tw_model_score_create(&score, r->model, batch, precision) …
 *     tw_restore_destroy(&r); */
#ifndef TWEEDIE_RESTORE_H
#define TWEEDIE_RESTORE_H

#include "tweedie/checkpoint.h"
#include "tweedie/config.h"
#include "tweedie/data.h"
#include "tweedie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_restored {
    tw_model *model; /* with the weights as its parameters */
    tw_dataset_spec
        samples; /* what samples are: kind, shape, offsets and scales, classes; its count is 0. Of a
                    conditional model its condition is the next member */
    tw_dataset_spec condition;
    tw_checkpoint_meta meta;           /* of the file; meta.weights says which weights these are */
    char digest[TW_CHECKPOINT_DIGEST]; /* of the weights themselves, with network, objective and
                                          samples: the same whether they came from a checkpoint or
                                          from the weights file that was exported from it */
    tw_config *config;                 /* that the model's texts are borrowed from */
} tw_restored;

/* Rank zero reads, all receive. Collective: all ranks get the same status. NULL for comm: this
 * process alone.
 * @param[out] out  tw_restore_destroy
 * @param path      RUN, a checkpoint or a weights file
 * @param which     "raw", "ema:RATE", or NULL for the default of the file
 * @return TW_ENOINPUT where there is nothing, TW_EDATA for a file that is damaged or does not hold
 * what it should */
tw_status tw_restore(tw_restored **out, const tw_comm *comm, const char *path, const char *which);

/* Accepts NULL inside. */
void tw_restore_destroy(tw_restored **restored);

/* Whether the data hold the conditions that the model is given, if it is conditional. Not
 * collective. @param path  begins the message @return TW_EDATA saying what is there */
tw_status tw_restored_check_condition(const tw_restored *r, const tw_dataset_spec *data,
                                      const char *path);

/* A configuration that begins as the run's own, with assignments over it. Not collective.
 * @param inherited      what is taken from the run: sections and keys, "sample compute.precision"
 * @param free_sections  the sections that assignments may name: "sample compute", what does not
 * change the model
 * @param[out] out       tw_config_destroy; to be bound and finished by the caller
 * @return TW_EUSAGE for an assignment to another section */
tw_status tw_restore_config(tw_config **out, const tw_restored *r, const char *inherited,
                            const char *free_sections, int count, char *const *assignments);

#ifdef __cplusplus
}
#endif

#endif
