/* What the writer and the reader of a file must spell alike. */
#ifndef TWEEDIE_CHECKPOINT_FORMAT_H
#define TWEEDIE_CHECKPOINT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "tweedie/checkpoint.h"

#define FORMAT_CHECKPOINT "tweedie-checkpoint"
#define FORMAT_WEIGHTS "tweedie-weights"

/* longest group or name with its NUL; bytes of one piece of work; channels of a sample */
enum { NAME_BYTES = 128, PIECE = 16 << 20, CHANNELS_MAX = 1 << 20 };

/* The attributes of the root that stand for members of tw_checkpoint_meta, in one list for both
 * directions. */
typedef enum meta_type { META_INT, META_INT64, META_UINT64, META_TEXT } meta_type;

typedef struct meta_field {
    const char *name;
    meta_type type;
    size_t offset, size; /* of the member; size of a text's array */
} meta_field;

/* Whether a file may be without it, as those are that were written before it was known, or whose
 * text or number says nothing. */
bool is_optional(const meta_field *field);

extern const meta_field meta_fields[];
extern const int meta_field_count;

#define TW_CHECKPOINT_STEP_MAX INT64_C(999999999999)

/* The step of a file name as tw_checkpoint_name spells it; false for any other name. */
bool step_of_name(const char *name, int64_t *step);

/* Words of [A-Za-z0-9._-] that do not begin with a dot; with `path`, several joined by '/'. */
bool is_valid_name(const char *name, bool path);

/* The floats of an array, or an error naming it for impossible names or dims. `code` as the caller
 * judges where it came from. */
tw_status count_elements(int64_t *out, const tw_checkpoint_array *array, tw_status code);

/* Offsets and scales of the channels of samples, and of conditions. */
enum { UNITS_SAMPLE, UNITS_CONDITION, UNITS_COUNT };

/* How many channels the meta speaks of, and the datasets that hold their offsets and scales. */
int64_t unit_channels(const tw_checkpoint_meta *meta, int which);
extern const char *const unit_offset_names[UNITS_COUNT], *const unit_scale_names[UNITS_COUNT];

/* Borrowed; NULL where there are none. */
const float *unit_offsets(const tw_checkpoint_meta *meta, int which);
const float *unit_scales(const tw_checkpoint_meta *meta, int which);

/* A copy of the channels' offsets, then scales; NULL where there are none. */
tw_status copy_units(float **out, const tw_checkpoint_meta *meta, int which);

/* Makes such a copy the meta's own: tw_checkpoint_meta_clear frees it. */
void set_units(tw_checkpoint_meta *meta, int which, const float *units);

/* Says that there are none, without freeing any. */
void forget_units(tw_checkpoint_meta *meta);

/* The name of the first fact in which two metas differ, bit for bit; NULL where they are the same.
 */
const char *compare_meta(const tw_checkpoint_meta *a, const tw_checkpoint_meta *b);

/* Whether a dataset of the root belongs to the meta and is no array. */
bool is_meta_dataset(const char *name);

/* "ema:0.9999" for the group "ema/0.9999", "raw" for "params"; false for another group. */
bool weights_of_group(char *out, size_t size, const char *group);

/* fletcher32 works on chunks: of 1 MiB at most, by halving the outer dimensions. */
void choose_chunk(int64_t *chunk, int rank, const int64_t *dims);

/* How such chunks lie in an array. The dimensions before one are cut to 1 and those after it are
 * whole, so each chunk is one range of the array: chunk (o, g) holds the `inner` × `step` floats
 * (fewer at the end) from element (o × rows + g × step) × inner. */
typedef struct chunk_grid {
    int axis;
    int64_t outer, rows, step, inner; /* of the axes before, of the axis, of a chunk, behind */
    int64_t count;                    /* of chunks */
    int64_t bytes;                    /* of each in the file, with its checksum */
} chunk_grid;

enum { CHECKSUM_BYTES = 4 };

chunk_grid grid_of(int rank, const int64_t *dims);

/* The number of the chunk that begins at `at`; -1 where none does. */
int64_t grid_index(const chunk_grid *g, int rank, const int64_t *dims,
                   const unsigned long long *at);

/* "3 x 64 x 3 x 3" */
void describe_dims(char *out, size_t size, int rank, const int64_t *dims);

#endif
