/* score_sde's JAX checkpoints. */
#ifndef WEIGHTS_SDE_FLAX_H
#define WEIGHTS_SDE_FLAX_H

#include "weights/system.h"

tw_status sde_flax_read(tw_found *out, const tw_source *s, bool ema);
/* Gives the tensors PyTorch's names and layouts. */
tw_status sde_flax_arrange(tw_found *found, const tw_source *s, const tw_reference_names *names);

#endif
