/* Between a model's parameters and the arrays that published implementations name. */
#ifndef WEIGHTS_NAMES_H
#define WEIGHTS_NAMES_H

#include "tweedie/model.h"
#include "weights/system.h"

typedef struct tw_taken {
    int64_t tensors, values;
    tw_text unused; /* "sigmas, …"; tw_text_free */
} tw_taken;

/* Fills the model's parameters from what was found: all of them, and with all of the tensors but
 * those that the system ignores.
 * @return TW_EDATA with lists of what is missing, left over, or of another shape */
tw_status tw_names_take(tw_taken *out, tw_model *m, tw_found *found, const tw_source *source,
                        const tw_system *system);

/* One published array of a model, row by row. @param[out] out  tw_shape_count(e->shape) floats
 * @param plain  scratch of m->params->size floats */
void tw_names_give(const tw_model *m, const tw_published *e, float *plain, float *out);

#endif
