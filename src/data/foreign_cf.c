/* The attributes of netCDF arrays: packing, missing values, valid ranges, units.
 *
 * Conventions: "NetCDF Climate and Forecast (CF) Metadata Conventions" 1.10, sections 2.5.1
 * and 8.1; "NetCDF Users Guide", attribute conventions (_Unsigned, valid_range and their packed
 * types). */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "data/foreign.h"
#include "tweedie/memory.h"

/* A numeric attribute of 1 to `most` values. *count is 0 where there is none. */
static tw_status read_numbers(const tw_foreign *a, const char *name, int most, double *out,
                              int *count, bool *is_float)
{
    tw_status st = TW_OK;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID, space = H5I_INVALID_HID;
    *count = 0;
    if (H5Aexists(a->dataset, name) <= 0) goto done;
    TRY_H5(attribute = H5Aopen(a->dataset, name, H5P_DEFAULT), TW_EDATA,
           "%s: attribute \"%s\" of %s cannot be opened", a->path, name, a->object);
    TRY_H5(type = H5Aget_type(attribute), TW_EDATA, "%s: attribute \"%s\" of %s cannot be read",
           a->path, name, a->object);
    TRY_H5(space = H5Aget_space(attribute), TW_EDATA, "%s: attribute \"%s\" of %s cannot be read",
           a->path, name, a->object);
    const H5T_class_t class = H5Tget_class(type);
    TW_CHECK(class == H5T_INTEGER || class == H5T_FLOAT, TW_EDATA,
             "%s: attribute \"%s\" of %s is not a number", a->path, name, a->object);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    TW_CHECK(n >= 1 && n <= most, TW_EDATA,
             "%s: attribute \"%s\" of %s has %lld values; 1 to %d were expected", a->path, name,
             a->object, (long long)n, most);
    TRY_H5(H5Aread(attribute, H5T_NATIVE_DOUBLE, out), TW_EDATA,
           "%s: attribute \"%s\" of %s cannot be read", a->path, name, a->object);
    *count = (int)n;
    *is_float = class == H5T_FLOAT;
done:
    tw_h5_close(&space);
    tw_h5_close(&type);
    tw_h5_close(&attribute);
    return st;
}

/* What a stored integer is once its sign is read as _Unsigned says. */
static double rewrap(const tw_foreign_cf *cf, double v)
{
    if (cf->wrap > 0 && v < cf->wrap_below) return v + cf->wrap;
    if (cf->wrap < 0 && v >= cf->wrap_below) return v + cf->wrap;
    return v;
}

/* As the array's own type would hold it: 1e20 of an attribute is not 1e20 of a float32. */
static double as_stored(const tw_foreign_cf *cf, const tw_foreign *a, double v)
{
    if (a->shape.class == H5T_FLOAT && a->shape.size == sizeof(float) && fabs(v) <= FLT_MAX)
        return (double)(float)v;
    return a->shape.class == H5T_INTEGER ? rewrap(cf, v) : v;
}

static tw_status read_packing(tw_foreign_cf *cf, const tw_foreign *a)
{
    tw_status st = TW_OK;
    int scales, offsets;
    bool is_float;
    TW_TRY(read_numbers(a, "scale_factor", 1, &cf->scale, &scales, &is_float));
    TW_TRY(read_numbers(a, "add_offset", 1, &cf->offset, &offsets, &is_float));
    TW_CHECK(isfinite(cf->scale) && cf->scale != 0 && isfinite(cf->offset), TW_EDATA,
             "%s: scale_factor and add_offset of %s are %g and %g; finite numbers were expected, "
             "and a scale that is not 0",
             a->path, a->object, cf->scale, cf->offset);
    cf->packed = cf->scale != 1 || cf->offset != 0;
done:
    return st;
}

static tw_status read_sign(tw_foreign_cf *cf, const tw_foreign *a)
{
    tw_status st = TW_OK;
    char text[16];
    bool found;
    TW_TRY(tw_foreign_text(&found, a->dataset, "_Unsigned", text, sizeof text));
    if (!found || a->shape.class != H5T_INTEGER) goto done;
    const double range = ldexp(1, 8 * (int)a->shape.size);
    if (strcasecmp(text, "true") == 0 && a->shape.is_signed)
        *cf = (tw_foreign_cf){.scale = 1, .wrap = range, .wrap_below = 0};
    if (strcasecmp(text, "false") == 0 && !a->shape.is_signed)
        *cf = (tw_foreign_cf){.scale = 1, .wrap = -range, .wrap_below = range / 2};
done:
    return st;
}

/* What netCDF leaves where nothing was written and no _FillValue was said. */
static bool default_fill(const tw_foreign *a, double *out)
{
    if (H5Aexists(a->file, "_NCProperties") <= 0 || a->shape.size < 2) return false;
    if (a->shape.class == H5T_FLOAT) {
        *out = 9.9692099683868690e+36;
        return a->shape.size >= 4;
    }
    const double range = ldexp(1, 8 * (int)a->shape.size);
    *out = a->shape.is_signed   ? a->shape.size == 8 ? -range / 2 + 2 : -range / 2 + 1
           : a->shape.size == 8 ? range - 2
                                : range - 1;
    return true;
}

static tw_status read_missing(tw_foreign_cf *cf, const tw_foreign *a)
{
    static const char *const names[] = {"_FillValue", "missing_value"};
    tw_status st = TW_OK;
    bool is_float, filled = false;
    double fill;
    for (int k = 0; k < 2; k++) {
        const int before = cf->missing_count;
        int count;
        TW_TRY(read_numbers(a, names[k], TW_FOREIGN_MISSING_MAX - 1 - before, cf->missing + before,
                            &count, &is_float));
        filled = filled || (k == 0 && count > 0);
        for (int i = before; i < before + count; i++) {
            cf->missing[i] = as_stored(cf, a, cf->missing[i]);
            cf->missing_name[i] = names[k];
        }
        cf->missing_count += count;
    }
    if (!filled && default_fill(a, &fill)) {
        cf->missing[cf->missing_count] = as_stored(cf, a, fill);
        cf->missing_name[cf->missing_count++] = "default fill value of netCDF";
    }
done:
    return st;
}

/* A bound whose type is that of unpacked values bounds these. */
static void bound(tw_foreign_cf *cf, const tw_foreign *a, double v, bool is_float, bool upper)
{
    const bool unpacked = cf->packed && is_float && a->shape.class == H5T_INTEGER;
    if (!unpacked) v = as_stored(cf, a, v);
    double *least = unpacked ? &cf->lowest : &cf->least;
    double *most = unpacked ? &cf->highest : &cf->most;
    if (upper)
        *most = v;
    else
        *least = v;
}

static tw_status read_valid(tw_foreign_cf *cf, const tw_foreign *a)
{
    tw_status st = TW_OK;
    double v[2];
    int count;
    bool is_float;
    cf->least = cf->lowest = -INFINITY;
    cf->most = cf->highest = INFINITY;
    TW_TRY(read_numbers(a, "valid_range", 2, v, &count, &is_float));
    TW_CHECK(count != 1, TW_EDATA,
             "%s: attribute \"valid_range\" of %s has one value; two were expected", a->path,
             a->object);
    if (count == 2) {
        bound(cf, a, v[0], is_float, false);
        bound(cf, a, v[1], is_float, true);
    }
    TW_TRY(read_numbers(a, "valid_min", 1, v, &count, &is_float));
    if (count) bound(cf, a, v[0], is_float, false);
    TW_TRY(read_numbers(a, "valid_max", 1, v, &count, &is_float));
    if (count) bound(cf, a, v[0], is_float, true);
done:
    return st;
}

tw_status tw_foreign_read_cf(tw_foreign_cf *out, const tw_foreign *a)
{
    tw_status st = TW_OK;
    tw_foreign_cf cf = {.scale = 1};
    bool found;
    TW_TRY(read_sign(&cf, a));
    TW_TRY(read_packing(&cf, a));
    TW_TRY(read_missing(&cf, a));
    TW_TRY(read_valid(&cf, a));
    TW_TRY(tw_foreign_text(&found, a->dataset, "units", cf.units, sizeof cf.units));
    TW_TRY(tw_foreign_text(&found, a->dataset, "long_name", cf.long_name, sizeof cf.long_name));
    if (!found)
        TW_TRY(tw_foreign_text(&found, a->dataset, "standard_name", cf.long_name,
                               sizeof cf.long_name));
    TW_TRY(
        tw_foreign_text(&found, a->dataset, "coordinates", cf.coordinates, sizeof cf.coordinates));
    cf.trivial = !cf.packed && cf.missing_count == 0 && cf.wrap == 0 && isinf(cf.least) &&
                 isinf(cf.most) && isinf(cf.lowest) && isinf(cf.highest);
    *out = cf;
done:
    return st;
}

double tw_foreign_unpack(const tw_foreign_cf *cf, double stored, const char **why)
{
    const double v = rewrap(cf, stored);
    *why = NULL;
    for (int i = 0; i < cf->missing_count; i++)
        if (v == cf->missing[i]) *why = cf->missing_name[i];
    if (!*why && v < cf->least) *why = "value below valid_min";
    if (!*why && v > cf->most) *why = "value above valid_max";
    const double unpacked = cf->packed ? v * cf->scale + cf->offset : v;
    if (!*why && unpacked < cf->lowest) *why = "value below valid_min";
    if (!*why && unpacked > cf->highest) *why = "value above valid_max";
    if (isnan(v)) *why = "NaN";
    return unpacked;
}
