/* The table of continuous processes. */
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/sde.h"

tw_status tw_sde_find(const tw_sde **out, const char *name)
{
    tw_status st = TW_OK;
    char known[128] = "";
    for (int i = 0; i < tw_sde_count; i++) {
        if (strcmp(tw_sde_table[i]->name, name) == 0) {
            *out = tw_sde_table[i];
            return TW_OK;
        }
        const size_t length = strlen(known);
        TW_TRY(tw_format(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                         tw_sde_table[i]->name));
    }
    TW_FAIL(TW_ECONFIG, "unknown SDE \"%s\": it is one of %s", name, known);
done:
    return st;
}
