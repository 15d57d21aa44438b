/* No guidance: the score as it is. */
#include "tweedie/guidance.h"

extern const tw_guidance tw_guidance_none;
const tw_guidance tw_guidance_none = {.kind = {"none", "the score as it is"}};
