/* Where an importer puts samples while it reads them: a scratch file for each split, in the order
 * of arrival, so that memory does not grow with the dataset. When all have arrived their number,
 * the range of their values and their labels are known, and they are stored in a random order: by
 * then each is one record at a known place. */
#ifndef TWEEDIE_DATA_SPOOL_H
#define TWEEDIE_DATA_SPOOL_H

#include "tweedie/data.h"

typedef struct tw_spool tw_spool;

/* @param path   the dataset to come: the scratch files are beside it, without a name, and vanish
 * with this process
 * @param split  where all samples go, whatever the importer says; NULL: as it says */
tw_status tw_spool_create(tw_spool **out, const char *path, const char *split);
void tw_spool_destroy(tw_spool **spool);

/* Says what the samples are. Called before the first append; again only with the same answer.
 * `where` (a file's name) begins the message.
 * @return TW_EDATA if it differs from what was said before, naming both shapes, or is no possible
 * sample */
tw_status tw_spool_describe(tw_spool *spool, const char *where, tw_dataset_kind kind,
                            int64_t height, int64_t width, int64_t channels, bool labelled);

/* Whether tw_spool_describe was called, and the answer. */
bool tw_spool_is_described(const tw_spool *spool);
const tw_dataset_spec *tw_spool_get_spec(const tw_spool *spool);

/* Appends one sample.
 * @param split   its name, or NULL where the input does not say
 * @param stored  uint8 or float32 [H][W][C]
 * @param label   at least 0 where labelled, else not looked at
 * @param where   "photos/cat/1.png", "points.txt:12", for the message
 * @return TW_EDATA for a value that is not finite or a negative label; TW_EIO if the disk is full
 */
tw_status tw_spool_append(tw_spool *spool, const char *split, const void *stored, int64_t label,
                          const char *where);

/* From now on NaN is a missing value, which is stored as the mean of its channel. Not for uint8. */
void tw_spool_fill_mean(tw_spool *spool);

/* Counts values that the importer filled itself, once the samples are described. */
void tw_spool_add_missing(tw_spool *spool, int64_t channel, int64_t count);

/* What the channels are, in the form of tw_dataset_spec; borrowed, NULL: nobody said. */
tw_status tw_spool_set_channels(tw_spool *spool, const char *text);
const char *tw_spool_channels(const tw_spool *spool);

/* A file without a name in the directory of `path`, for work on it: there is room for the dataset,
 * so there should be room for this. The caller closes it. */
tw_status tw_spool_open_scratch(int *out, const char *path);

/* Gives class `label` a name. Labels are named in ascending order. */
tw_status tw_spool_name_class(tw_spool *spool, int64_t label, const char *name);

/* What all the samples of the spool are together. */
typedef struct tw_spool_channel {
    double least, most, mean, deviation; /* of the values that were there */
    int64_t missing;                     /* values that were filled */
} tw_spool_channel;

int64_t tw_spool_count(const tw_spool *spool);
int64_t tw_spool_largest_label(const tw_spool *spool); /* −1: none */
void tw_spool_channel_statistics(const tw_spool *spool, int64_t channel, tw_spool_channel *out);
const char *const *tw_spool_class_names(const tw_spool *spool, int64_t *count_out);

/* The parts in the order of their first samples: number, name (NULL: the input did not say),
 * samples. */
int tw_spool_parts(const tw_spool *spool);
void tw_spool_put_first(tw_spool *spool, const char *split); /* if there is such a part */
const char *tw_spool_part_name(const tw_spool *spool, int part);
int64_t tw_spool_part_count(const tw_spool *spool, int part);
/* A number that depends on the names of its samples and their order: of each the last part of what
 * tw_spool_append was told, without its suffix. */
uint64_t tw_spool_part_names(const tw_spool *spool, int part);

/* Appends all samples of a part to the writer, in the order of the permutation (seed,
 * TW_RNG_IMPORT_SHUFFLE, part), or of arrival. */
tw_status tw_spool_write(tw_spool *spool, int part, bool keep_order, uint64_t seed,
                         tw_dataset_writer *writer);

/* Hands them out in that order instead, each as it is stored. */
typedef tw_status tw_spool_take(void *self, const void *stored, int32_t label);
tw_status tw_spool_each(tw_spool *spool, int part, bool keep_order, uint64_t seed,
                        tw_spool_take *take, void *self);

#endif
