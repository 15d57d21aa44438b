/* Errors of HDF5. */
#include "checkpoint/hdf5_try.h"

#include <stdio.h>
#include <string.h>

void h5_prepare(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

static herr_t innermost(unsigned n, const H5E_error2_t *record, void *out)
{
    if (n == 0 && record->desc) snprintf(out, 512, "%s", record->desc);
    return 0;
}

tw_status h5_error(tw_status code, const char *path, const char *call)
{
    char words[512] = "no details";
    /* "id = H5Dopen2(…)": the name alone */
    const char *name = strstr(call, "H5");
    int length = name ? (int)strcspn(name, "(") : 0;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, words);
    return tw_error_set(code, "%s: %.*s failed: %s", path, length, name ? name : "", words);
}
