/* No corrector: a predictor alone. */
#include "sample/sampler.h"

const tw_corrector tw_corrector_none = {.kind = {"none", "none"}};
