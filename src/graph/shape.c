/* Shapes. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

tw_shape tw_shape_make(const int64_t *dims, int rank)
{
    tw_shape s = {.rank = rank};
    for (int d = 0; d < rank; d++) s.dims[d] = dims[d];
    return s;
}

int64_t tw_shape_count(tw_shape s)
{
    int64_t n = 1;
    for (int d = 0; d < s.rank; d++) n *= s.dims[d];
    return n;
}

int64_t tw_shape_channels(tw_shape s)
{
    return s.rank ? s.dims[s.rank - 1] : 1;
}

bool tw_shape_equal(tw_shape a, tw_shape b)
{
    return a.rank == b.rank && memcmp(a.dims, b.dims, (size_t)a.rank * sizeof *a.dims) == 0;
}

const char *tw_shape_text(tw_shape s, char out[64])
{
    int n = snprintf(out, 64, "[");
    for (int d = 0; d < s.rank && n < 64; d++)
        n += snprintf(out + n, (size_t)(64 - n), "%s%" PRId64, d ? ", " : "", s.dims[d]);
    if (n < 63) snprintf(out + n, (size_t)(64 - n), "]");
    return out;
}

tw_status tw_op_shape_error(const tw_node *n, const char *format, ...)
{
    char shapes[512] = "", what[256], one[64];
    for (int i = 0, used = 0; i < n->nin && used < (int)sizeof shapes; i++)
        used += snprintf(shapes + used, sizeof shapes - (size_t)used, "%s%s", i ? " " : "",
                         n->in[i] ? tw_shape_text(n->in[i]->shape, one) : "-");
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return tw_error_set(TW_ESHAPE, "%s of %s: %s", n->op->name, shapes, what);
}
