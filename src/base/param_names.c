/* Names of parameters that mean something to several modules. */
#include "tweedie/param_names.h"

#include <string.h>

bool tw_name_is_of_objective(const char *name)
{
    return strncmp(name, TW_NAME_OBJECTIVE, strlen(TW_NAME_OBJECTIVE)) == 0;
}
