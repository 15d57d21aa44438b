/* What folders of images mean: which of them are splits, which are classes. */
#ifndef TWEEDIE_DATA_IMAGE_TREE_H
#define TWEEDIE_DATA_IMAGE_TREE_H

#include "data/folder.h"
#include "tweedie/data.h"

/* A folder whose images belong to one split, or a single image. */
typedef struct tw_image_root {
    char *path;
    char *split;      /* NULL: none is told */
    char *class_name; /* the class of all that is below; NULL: sub-folders are classes, if any */
} tw_image_root;

typedef struct tw_image_tree {
    tw_image_root *roots;
    int64_t count, capacity;
    tw_import_folders how;
    tw_tally *left_out;
} tw_image_tree;

/* Whether a file is taken for an image: by its name, or by its content if its name has no suffix.
 */
bool tw_image_is_named(const char *path);

/* Counts a file that is not, by its suffix. */
tw_status tw_image_leave_out(tw_tally *tally, const char *path);

/* Finds the roots of the inputs: as options->folders says, else as is certain by the names. Nothing
 * is guessed: what may be either is an error that names the options.
 * @param left_out  counts what belongs to none of the roots; borrowed
 * @return TW_ENOINPUT, TW_EDATA, TW_EUSAGE */
tw_status tw_image_tree_create(tw_image_tree *out, const tw_import_options *options,
                               tw_tally *left_out);
void tw_image_tree_destroy(tw_image_tree *tree);

#endif
