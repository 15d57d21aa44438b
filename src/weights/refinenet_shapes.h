/* What NCSN's and NCSNv2's files have in common. */
#ifndef WEIGHTS_REFINENET_SHAPES_H
#define WEIGHTS_REFINENET_SHAPES_H

#include "weights/system.h"

/* A list whose first entry has the names of a RefineNet, with scales for each noise level or not.
 */
bool refinenet_looks(const tw_source *s, bool conditional);

/* The configuration in model units, -1 to 1: noise levels are twice those for samples in 0 to 1,
 * and scores half. */
tw_status refinenet_configure(tw_found *out, const char *variant, int64_t levels, double sigma_max,
                              double sigma_min);

#endif
