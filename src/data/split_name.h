/* Which split the name of a folder tells, in whatever spelling. */
#ifndef TWEEDIE_DATA_SPLIT_NAME_H
#define TWEEDIE_DATA_SPLIT_NAME_H

#include <stdbool.h>

#include "tweedie/data.h"

typedef enum tw_split_role {
    TW_ROLE_NONE,
    TW_ROLE_TRAIN,
    TW_ROLE_VALIDATION,
    TW_ROLE_TEST
} tw_split_role;

typedef struct tw_split_name {
    tw_split_role role;
    bool exact; /* the name says nothing else: "Train", "test_images", "val2017"; not "seg_train" */
    char split[TW_DATASET_NAME_MAX]; /* "train", "test", or the word for validation as it stands, in
                                        small letters */
    char rest[256];                  /* what else it says: "seg" of "seg_train" */
} tw_split_name;

/* "" and TW_ROLE_NONE where the name tells no split, or two. */
tw_split_name tw_split_name_of(const char *folder);

/* Whether two names tell different splits of the same thing, one of them for training: "seg_train"
 * and "seg_test". */
bool tw_split_names_pair(const tw_split_name *a, const tw_split_name *b);

/* Whether a name says nothing of its content: "images", "data_2", "JPEGImages". */
bool tw_split_name_is_empty(const char *folder);

#endif
