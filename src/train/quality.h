/* How good samples of the average are, while it is trained: the Fréchet distance to the training
 * data of a few hundred samples, in a classifier's features, by a fast sampler. */
#ifndef TRAIN_QUALITY_H
#define TRAIN_QUALITY_H

#include "train/trainer.h"

typedef struct tw_quality tw_quality;

/* Restores the network of features (log.evaluate_features, or the shipped one) and plans the
 * sampler. Collective: all ranks get the same status. `score` must outlive it.
 * @return TW_ECONFIG where nothing gives features of such samples */
tw_status tw_quality_create(tw_quality **out, const tw_trainer *t, const tw_process *process,
                            const tw_score *score);
void tw_quality_destroy(tw_quality **quality);
double tw_quality_bytes(const tw_quality *q);

/* Samples, and compares with what was found of the data the first time. Collective. */
tw_status tw_quality_measure(tw_quality *q, tw_quality_result *out);

#endif
