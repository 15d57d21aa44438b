/* What the files of `tweedie evaluate` share. */
#ifndef CLI_EVALUATE_H
#define CLI_EVALUATE_H

#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/json.h"
#include "tweedie/metrics.h"

typedef struct evaluate_set {
    tw_dataset *file;
    const char *path;
    int64_t count, dims;
    float *x;       /* [count][dims], in the model units of the reference */
    int32_t *label; /* [count]; NULL where there are no classes */
    double *mean, *std;
} evaluate_set;

/* Metrics by class, and what a classifier says of the samples. */
typedef struct evaluate_classes {
    int64_t classes;                     /* 0: not asked for */
    int64_t *samples, *reference, *hits; /* [classes] of each class; hits of a classifier */
    double *distance, *halves;           /* [classes]; NaN where a class has too few */
    bool by_class, classified;
} evaluate_classes;

/* Both sets by class. Collective. @return TW_EDATA where one has no labels, or others */
tw_status evaluate_by_class(evaluate_classes *out, const tw_comm *comm, const evaluate_set *samples,
                            const evaluate_set *data, const tw_sliced_options *sliced);

/* How many of the samples a classifier's run takes for what their labels say, at the least noise
 * that it knows. Collective. @return TW_ECONFIG for a run that is none, or of other samples */
tw_status evaluate_classifier(evaluate_classes *out, const tw_comm *comm,
                              const evaluate_set *samples, const evaluate_set *data,
                              const char *run);

void evaluate_classes_json(tw_json *json, const evaluate_classes *c);
void evaluate_classes_print(const evaluate_classes *c);
void evaluate_classes_free(evaluate_classes *c);

#endif
