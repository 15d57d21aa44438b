/* The picture of a restoration: a row for each measurement. */
#include <math.h>

#include "job/restore_job_internal.h"
#include "tweedie/memory.h"
#include "tweedie/png.h"

enum { GRID_SAMPLES = 3 };

/* Row i of it is what measurement i was made of. */
tw_status restore_picture_check(restoring *r)
{
    tw_status st = TW_OK;
    const char *split = r->o->truth_split;
    if (!r->o->truth || !*r->o->truth) return TW_OK;
    const tw_dataset_options opening = {.path = r->o->truth,
                                        .split = split && *split ? split : "all"};
    TW_TRY(tw_dataset_open(&r->truth, NULL, &opening));
    const tw_dataset_spec *met = tw_dataset_get_spec(r->truth), *want = r->spec;
    TW_CHECK(met->kind == want->kind && met->height == want->height && met->width == want->width &&
                 met->channels == want->channels && tw_dataset_count(r->truth) >= r->job.rows,
             TW_EDATA,
             "--truth %s: holds %lld %s of %lld x %lld x %lld; one for each of %lld measurements, "
             "%s of %lld x %lld x %lld, was expected",
             opening.path, (long long)tw_dataset_count(r->truth), tw_dataset_kind_name(met->kind),
             (long long)met->height, (long long)met->width, (long long)met->channels,
             (long long)r->job.rows, tw_dataset_kind_name(want->kind), (long long)want->height,
             (long long)want->width, (long long)want->channels);
done:
    return st;
}

/* Model units of one number in the units of the data. */
static float model_units(const restoring *r, float v, int64_t d, bool deviation)
{
    const tw_dataset_spec *s = r->spec;
    const double scale = fabs(restore_scale(s, d % s->channels));
    if (deviation) return (float)(2 * (double)v / scale - 1);
    return (float)(((double)v - restore_offset(s, d % s->channels)) /
                   restore_scale(s, d % s->channels));
}

/* What the measurement says by itself, A⁺ y; Aᵀ y where there is no basis. */
static tw_status picture_measurement(restoring *r, int64_t row, float *tile)
{
    tw_status st = TW_OK;
    tw_operator *a = r->task.a;
    double *x = NULL, *c = NULL;
    TW_TRY(tw_alloc(&x, a->dims, sizeof *x, "a picture"));
    TW_TRY(tw_alloc(&c, a->dims, sizeof *c, "a picture"));
    TW_TRY(restore_read_measurements(r, row, 1));
    tw_operator_adjoint(a, r->y, x);
    if (a->singular) {
        tw_operator_to_basis(a, x, c);
        for (int64_t k = 0; k < a->dims; k++) {
            const double s = a->singular[k], noise = r->task.config.noise / fabs(r->task.scale);
            c[k] = s > 0 ? c[k] / (s * s + noise * noise) : 0;
        }
        tw_operator_from_basis(a, c, x);
    }
    for (int64_t k = 0; k < a->dims; k++) tile[k] = (float)x[k];
done:
    tw_free(&x);
    tw_free(&c);
    return st;
}

static tw_status picture_truth(const restoring *r, int64_t row, float *tile)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *s = r->spec;
    void *stored = NULL;
    TW_TRY(tw_alloc(&stored, 1, tw_dataset_sample_bytes(s), "a picture"));
    TW_TRY(tw_dataset_read_stored(r->truth, row, 1, stored, NULL));
    tw_dataset_normalise(s, 1, stored, tile);
done:
    tw_free(&stored);
    return st;
}

/* A row: measurement, samples where they are kept, mean, twice the deviation, truth where given. */
tw_status restore_picture_row(restoring *r, int64_t i, int64_t row)
{
    tw_status st = TW_OK;
    const row_job *j = &r->job;
    const tw_dataset_spec *s = r->spec;
    const int64_t dims = r->dims;
    float *tile = NULL;
    if (!r->pixels || r->pictured == r->o->grid_rows) return TW_OK;
    TW_TRY(tw_alloc(&tile, dims, sizeof *tile, "a picture"));
    const int64_t tiles = r->tiles - (r->truth != NULL);
    for (int64_t t = 0; t < r->tiles; t++) {
        const bool deviation = t == tiles - 1;
        const float *from = deviation            ? (float *)j->values[RESTORE_STD] + i * dims
                            : t == tiles - 2     ? (float *)j->values[RESTORE_MEAN] + i * dims
                            : t > 0 && t < tiles ? (float *)j->values[RESTORE_SAMPLES] +
                                                       (i * r->o->per + t - 1) * dims
                                                 : NULL;
        if (t == 0) TW_TRY(picture_measurement(r, row, tile));
        if (t == tiles) TW_TRY(picture_truth(r, row, tile));
        for (int64_t d = 0; from && d < dims; d++) tile[d] = model_units(r, from[d], d, deviation);
        tw_dataset_pixels(s, 1, tile, r->pixels + (r->pictured * r->tiles + t) * dims);
    }
    r->pictured++;
done:
    tw_free(&tile);
    return st;
}

tw_status restore_picture_begin(restoring *r)
{
    tw_status st = TW_OK;
    int64_t all;
    const int64_t kept = r->o->per < GRID_SAMPLES ? r->o->per : GRID_SAMPLES;
    if (!r->o->grid || !*r->o->grid) return TW_OK;
    r->tiles = 3 + (r->o->keep ? kept : 0) + (r->truth != NULL);
    TW_TRY(tw_multiply(&all, r->o->grid_rows * r->tiles, r->dims, "a picture"));
    TW_TRY(tw_alloc(&r->pixels, all, 1, "a picture"));
done:
    return st;
}

tw_status restore_picture_end(const restoring *r)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *s = r->spec;
    tw_output out = {.part = ""};
    if (!r->pixels) return TW_OK;
    TW_TRY(tw_output_begin(&out, r->o->grid,
                           r->job.options->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_SAME));
    TW_TRY(tw_png_write_grid(out.part, r->pixels, r->pictured * r->tiles, s->height, s->width,
                             s->channels, r->tiles));
    TW_TRY(tw_output_publish(&out));
done:
    tw_output_discard(&out);
    return st;
}
