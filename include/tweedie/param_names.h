/* Names of parameters that mean something to several modules. */
#ifndef TWEEDIE_PARAM_NAMES_H
#define TWEEDIE_PARAM_NAMES_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an objective has of its own (a discriminator, statistics of training) is named so: it is
 * trained, saved and resumed with the network, and is no part of the network's weights: who loads
 * or exports those does without. */
#define TW_NAME_OBJECTIVE "objective."

bool tw_name_is_of_objective(const char *name);

#ifdef __cplusplus
}
#endif

#endif
