/* Images as they are. */
#include "tweedie/augment.h"

extern const tw_augment tw_augment_none;

const tw_augment tw_augment_none = {
    .kind = {"none", "images as they are", NULL, 0, 0},
};
