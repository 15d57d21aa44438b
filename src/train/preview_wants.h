/* What a run asks to see of its average, by its configuration and data alone: the same on all
 * ranks. */
#ifndef TRAIN_PREVIEW_WANTS_H
#define TRAIN_PREVIEW_WANTS_H

#include "train/trainer.h"

bool preview_wants_validation(const tw_trainer *t);
bool preview_wants_grid(const tw_trainer *t);
bool preview_wants_quality(const tw_trainer *t);
/* The validation split, for one of these. */
bool preview_wants_data(const tw_trainer *t);
/* Says so where a validation is asked for and there is no split for it. */
void preview_warn(const tw_trainer *t);

#endif
