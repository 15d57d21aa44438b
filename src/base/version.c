/* The build says what it built (scripts/cmake/Version.cmake). */
#include "tweedie/version.h"

const char *tw_version(void)
{
    return TWEEDIE_VERSION;
}
