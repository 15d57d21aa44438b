/* Which axis of an array is what. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "data/foreign.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

static void print_shape(char *out, size_t size, const tw_foreign *a, bool column_major)
{
    size_t n = 0;
    for (int i = 0; i < a->shape.rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "",
                              (long long)a->shape.dims[column_major ? a->shape.rank - 1 - i : i]);
}

/* What the number of axes says, where it leaves no doubt; NULL where it must be told. */
static const char *usual_layout(int rank, bool column_major)
{
    static const char *const rows[] = {NULL, "N", "ND", "NHW", NULL};
    static const char *const columns[] = {NULL, "N", "ND", "HWN", "HWCN"};
    return rank > 4 ? NULL : column_major ? columns[rank] : rows[rank];
}

/* Finds the layout's text: said, an attribute of the array, or the usual one. */
static tw_status find_layout(tw_foreign_axes *axes, const tw_foreign *a, const char *said)
{
    tw_status st = TW_OK;
    char text[64] = "", shape[256];
    bool found = false;
    const char *layout = said;
    if (!layout) TW_TRY(tw_foreign_text(&found, a->dataset, "layout", text, sizeof text));
    if (found && (int)strlen(text) == a->shape.rank && strspn(text, "NHWCDnhwcd") == strlen(text)) {
        layout = text;
    } else if (!layout) {
        layout = usual_layout(a->shape.rank, axes->column_major);
        axes->assumed = true;
    }
    print_shape(shape, sizeof shape, a, axes->column_major);
    TW_CHECK(layout || a->shape.rank == 4, TW_EDATA,
             "%s:%s has %d axes [%s]; 1 to 4 were expected, or --layout with a letter for each "
             "axis (N, H, W, C, D; 1 for one of length 1: N1HW)",
             a->path, a->object, a->shape.rank, shape);
    TW_CHECK(layout, TW_EUSAGE, "%s: %s is [%s]; say --layout NHWC or --layout NCHW", a->path,
             a->object, shape);
    TW_CHECK((int)strlen(layout) == a->shape.rank, TW_EUSAGE,
             "--layout %s: %s of %s has %d axes [%s]; a letter for each was expected", layout,
             a->object, a->path, a->shape.rank, shape);
    for (int i = 0; i < a->shape.rank; i++)
        axes->layout[i] = (char)toupper((unsigned char)layout[i]);
done:
    return st;
}

static tw_status assign(tw_foreign_axes *axes, const tw_foreign *a)
{
    tw_status st = TW_OK;
    static const char letters[] = "NHWCD";
    const int rank = a->shape.rank;
    for (int i = 0; i < rank; i++) {
        const int file_axis = axes->column_major ? rank - 1 - i : i;
        const int64_t extent = a->shape.dims[file_axis];
        const char letter = axes->layout[i];
        if (letter == '1') {
            TW_CHECK(extent == 1, TW_EUSAGE, "--layout %s: axis %d of %s has length %lld, not 1",
                     axes->layout, i, a->object, (long long)extent);
            continue;
        }
        const char *known = strchr(letters, letter);
        TW_CHECK(known, TW_EUSAGE, "--layout %s: '%c' is no axis; N, H, W, C, D or 1 were expected",
                 axes->layout, letter);
        const int which = letter == 'D' ? TW_AXIS_C : (int)(known - letters);
        TW_CHECK(axes->axis[which] < 0, TW_EUSAGE, "--layout %s: axis %c is there twice",
                 axes->layout, letter);
        axes->axis[which] = file_axis;
        axes->extent[which] = extent;
        if (letter == 'D') axes->points = true;
    }
done:
    return st;
}

tw_status tw_foreign_choose_axes(tw_foreign_axes *out, const tw_foreign *a, const char *layout,
                                 tw_import_order order)
{
    tw_status st = TW_OK;
    tw_foreign_axes axes = {.axis = {-1, -1, -1, -1}, .extent = {1, 1, 1, 1}};
    axes.column_major = order == TW_ORDER_COLUMNS || (order == TW_ORDER_AUTO && a->column_major);
    TW_TRY(find_layout(&axes, a, layout));
    char letters[12];
    memcpy(letters, axes.layout, sizeof letters);
    TW_CHECK(!(strchr(letters, 'D') && strpbrk(letters, "HWC")), TW_EUSAGE,
             "--layout %s: points have axes N and D, images N, H, W and C", letters);
    TW_TRY(assign(&axes, a));
    if (!strpbrk(letters, "HWC")) axes.points = true;
    if (axes.column_major && (axes.assumed || order == TW_ORDER_AUTO)) {
        char shape[256];
        print_shape(shape, sizeof shape, a, true);
        tw_log_info("%s:%s: taken as [%s] in column-major order%s, axes %s%s", a->path, a->object,
                    shape, order == TW_ORDER_AUTO ? ", since MATLAB wrote the file" : "", letters,
                    order == TW_ORDER_AUTO ? " (--order and --layout say otherwise)"
                                           : " (--layout says otherwise)");
    }
    *out = axes;
done:
    return st;
}
