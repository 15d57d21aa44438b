/* A task between the units of a dataset and those of the model. */
#ifndef JOB_RESTORE_TASK_H
#define JOB_RESTORE_TASK_H

#include "tweedie/data.h"
#include "tweedie/inverse.h"

enum { RESTORE_LEVELS_MAX = 16 };

/* [restore] and [task], as a restoration and a simulation take them. */
typedef struct restore_task {
    tw_operator *a;
    tw_posterior_config config;
    tw_config_doubles levels; /* restore.quantiles */
    double scale;             /* one for all channels: y in model units = (y − shift) / scale */
    double *shift;            /* [outputs]: A applied to the offsets */
} restore_task;

tw_status restore_task_bind(restore_task *t, tw_config *config);
/* For samples such as `samples`; after tw_config_finish. The operator becomes one of model units
 * where `model`, else stays one of the data's. */
tw_status restore_task_prepare(restore_task *t, const tw_dataset_spec *samples, bool model);
void restore_task_free(restore_task *t);

/* What measurements of a task are as a dataset: float32 images or points. */
void restore_task_spec(tw_dataset_spec *out, const restore_task *t);
/* @return TW_EDATA where a file holds something else; bytes are taken for images */
tw_status restore_task_check(const restore_task *t, const tw_dataset_spec *met, const char *path);
/* n measurements as stored, in the units of the file, to what the posterior takes. */
void restore_task_measurements(const restore_task *t, const tw_dataset_spec *met, int64_t n,
                               const void *stored, double *y);

/* Offset and scale of channel c of a sample. */
double restore_offset(const tw_dataset_spec *s, int64_t c);
double restore_scale(const tw_dataset_spec *s, int64_t c);

#endif
