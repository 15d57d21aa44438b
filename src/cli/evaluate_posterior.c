/* Calibration and nearness of posterior samples: coverage of the stated intervals, CRPS, ranks,
 * PSNR, SSIM. Numbers that all samples agree on (known pixels of noiseless inpainting) have no
 * interval: they count for the errors, not for coverage, ranks and CRPS. */
#include "cli/evaluate_posterior.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h5/h5.h"
#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/metrics_posterior.h"

enum { LEVELS_MAX = 16, BINS_SHOWN = 20 };

/* Mean over measurements, each of which may be one number: Welford 1962. */
typedef struct sums {
    double mean, squares;
    int64_t n;
} sums;

typedef struct evaluation {
    const posterior_evaluation *o;
    tw_dataset *restored, *truth;
    hid_t file, std, quantiles, samples; /* arrays; samples may not be there */
    int64_t dims, rows, first, levels, per;
    double level[LEVELS_MAX], range;
    float *mean, *deviation, *quantile, *sample, *wanted; /* of one measurement */
    void *stored;
    double *sorted, *ranks;
    int64_t pairs, numbers, fixed;
    double outer[LEVELS_MAX]; /* what the interval of each pair says that it holds */
    sums covered[LEVELS_MAX], crps, psnr, ssim, square, variance;
} evaluation;

static void add(sums *s, double value)
{
    if (!isfinite(value)) return;
    const double off = value - s->mean;
    s->mean += off / (double)++s->n;
    s->squares += off * (value - s->mean);
}

static double mean_of(const sums *s)
{
    return s->n > 0 ? s->mean : NAN;
}

static double error_of(const sums *s)
{
    return s->n > 1 ? sqrt(s->squares / (double)s->n / (double)(s->n - 1)) : NAN;
}

/* ---- opening ---- */

/* An array [rows][count][…] of float32 beside the means. */
static tw_status open_array(hid_t *out, const evaluation *e, const char *name, int64_t *count)
{
    tw_status st = TW_OK;
    tw_h5_array shape;
    const char *path = e->o->restored;
    TW_TRY(tw_h5_open_dataset(out, e->file, path, name));
    TW_TRY(tw_h5_describe(&shape, *out, path, name));
    TW_CHECK(shape.class == H5T_FLOAT && shape.rank >= 2 && shape.dims[0] == e->rows &&
                 shape.elements % (e->rows * e->dims) == 0,
             TW_EDATA, "%s: %s does not fit the %lld means of %lld numbers", path, name,
             (long long)e->rows, (long long)e->dims);
    *count = shape.elements / (e->rows * e->dims);
done:
    return st;
}

static tw_status read_levels(evaluation *e)
{
    tw_status st = TW_OK;
    char text[512], range[64], *rest = NULL;
    TW_TRY(tw_dataset_get_text(e->restored, "quantile_levels", text, sizeof text));
    TW_CHECK(text[0], TW_EDATA, "%s: is no result of tweedie restore: it has no quantile_levels",
             e->o->restored);
    for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        TW_CHECK(e->levels < LEVELS_MAX && tw_text_to_double(w, &e->level[e->levels]), TW_EDATA,
                 "%s: quantile_levels holds '%s'", e->o->restored, w);
        e->levels++;
    }
    TW_TRY(tw_dataset_get_text(e->restored, "range", range, sizeof range));
    if (strchr(range, ' ')) *strchr(range, ' ') = '\0';
    TW_CHECK(tw_text_to_int64(range, &e->first), TW_EDATA, "%s: its range is '%s'", e->o->restored,
             range);
    for (int64_t i = 0; i < e->levels / 2; i++)
        if (fabs(e->level[i] + e->level[e->levels - 1 - i] - 1) < 1e-9)
            e->outer[e->pairs++] = e->level[e->levels - 1 - i] - e->level[i];
        else
            break;
done:
    return st;
}

static tw_status open_arrays(evaluation *e)
{
    tw_status st = TW_OK;
    bool kept;
    int64_t one, levels;
    /* as tw_dataset_open did: one file has one way of closing */
    TRY_H5(e->file = H5Fopen(e->o->restored, H5F_ACC_RDONLY, H5P_DEFAULT), TW_EDATA,
           "%s: cannot be opened as an HDF5 file", e->o->restored);
    TW_TRY(open_array(&e->std, e, "/standard_deviation", &one));
    TW_TRY(open_array(&e->quantiles, e, "/quantiles", &levels));
    TW_CHECK(one == 1 && levels == e->levels, TW_EDATA,
             "%s: %lld quantiles are stored, %lld levels named", e->o->restored, (long long)levels,
             (long long)e->levels);
    TW_TRY(tw_h5_has(&kept, e->file, e->o->restored, "samples"));
    if (kept) TW_TRY(open_array(&e->samples, e, "/samples", &e->per));
done:
    return st;
}

static tw_status check_truth(evaluation *e)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *a = tw_dataset_get_spec(e->restored), *b = tw_dataset_get_spec(e->truth);
    TW_CHECK((a->kind == TW_DATASET_POINTS) == (b->kind == TW_DATASET_POINTS) &&
                 a->height == b->height && a->width == b->width && a->channels == b->channels,
             TW_EDATA, "%s holds samples of %lld x %lld x %lld, %s of %lld x %lld x %lld",
             e->o->restored, (long long)a->height, (long long)a->width, (long long)a->channels,
             e->o->truth, (long long)b->height, (long long)b->width, (long long)b->channels);
    e->first += e->o->first;
    TW_CHECK(e->first + e->rows <= tw_dataset_count(e->truth), TW_EUSAGE,
             "%s: has the rows 0 to %lld; measurements %lld to %lld were restored, from row "
             "--first %lld on",
             e->o->truth, (long long)tw_dataset_count(e->truth) - 1,
             (long long)(e->first - e->o->first), (long long)(e->first - e->o->first + e->rows - 1),
             (long long)e->o->first);
done:
    return st;
}

static tw_status open_all(evaluation *e)
{
    tw_status st = TW_OK;
    const tw_dataset_options restored = {.path = e->o->restored, .split = "all"},
                             truth = {.path = e->o->truth,
                                      .split = *e->o->split ? e->o->split : "all"};
    TW_TRY(tw_dataset_open(&e->restored, NULL, &restored));
    TW_TRY(tw_dataset_open(&e->truth, NULL, &truth));
    e->dims = tw_dataset_elements(tw_dataset_get_spec(e->restored));
    e->rows = tw_dataset_count(e->restored);
    TW_TRY(read_levels(e));
    TW_TRY(open_arrays(e));
    TW_TRY(check_truth(e));
    TW_TRY(tw_alloc(&e->mean, e->dims, sizeof *e->mean, "a mean"));
    TW_TRY(tw_alloc(&e->deviation, e->dims, sizeof *e->deviation, "deviations"));
    TW_TRY(tw_alloc(&e->quantile, e->levels * e->dims, sizeof *e->quantile, "quantiles"));
    TW_TRY(tw_alloc(&e->sample, (e->per + 1) * e->dims, sizeof *e->sample, "samples"));
    TW_TRY(tw_alloc(&e->wanted, e->dims, sizeof *e->wanted, "a true sample"));
    TW_TRY(tw_alloc(&e->stored, 1, tw_dataset_sample_bytes(tw_dataset_get_spec(e->truth)),
                    "a true sample"));
    TW_TRY(tw_alloc(&e->sorted, e->per + 1, sizeof *e->sorted, "samples"));
    TW_TRY(tw_alloc(&e->ranks, e->per + 1, sizeof *e->ranks, "ranks"));
done:
    return st;
}

/* ---- reading ---- */

static tw_status read_truth(evaluation *e, int64_t row)
{
    tw_status st = TW_OK;
    const bool bytes = tw_dataset_get_spec(e->truth)->kind == TW_DATASET_UINT8;
    TW_TRY(tw_dataset_read_stored(e->truth, e->first + row, 1, e->stored, NULL));
    for (int64_t d = 0; d < e->dims; d++)
        e->wanted[d] =
            bytes ? (float)((const uint8_t *)e->stored)[d] : ((const float *)e->stored)[d];
done:
    return st;
}

/* 255 of bytes, else what the true samples span. */
static tw_status find_range(evaluation *e)
{
    tw_status st = TW_OK;
    float least = INFINITY, most = -INFINITY;
    e->range = 255;
    if (tw_dataset_get_spec(e->truth)->kind == TW_DATASET_UINT8) return TW_OK;
    for (int64_t row = 0; row < e->rows; row++) {
        TW_TRY(read_truth(e, row));
        for (int64_t d = 0; d < e->dims; d++) {
            least = fminf(least, e->wanted[d]);
            most = fmaxf(most, e->wanted[d]);
        }
    }
    e->range = (double)most - (double)least;
done:
    return st;
}

static tw_status read_row(evaluation *e, int64_t row)
{
    tw_status st = TW_OK;
    const char *path = e->o->restored;
    TW_TRY(tw_dataset_read_stored(e->restored, row, 1, e->mean, NULL));
    TW_TRY(tw_h5_read_rows(e->std, H5P_DEFAULT, H5T_NATIVE_FLOAT, row, 1, e->deviation, path,
                           "/standard_deviation"));
    TW_TRY(tw_h5_read_rows(e->quantiles, H5P_DEFAULT, H5T_NATIVE_FLOAT, row, 1, e->quantile, path,
                           "/quantiles"));
    if (e->per > 0)
        TW_TRY(tw_h5_read_rows(e->samples, H5P_DEFAULT, H5T_NATIVE_FLOAT, row, 1, e->sample, path,
                               "/samples"));
    TW_TRY(read_truth(e, row));
done:
    return st;
}

/* ---- scores ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Less than the rounding of float32 apart: all samples say the same. */
static bool is_fixed(const evaluation *e, int64_t d)
{
    return (double)e->deviation[d] <= 1e-5 * (fabs((double)e->mean[d]) + e->range * 1e-2);
}

static void score_row(evaluation *e)
{
    const tw_dataset_spec *s = tw_dataset_get_spec(e->restored);
    double covered[LEVELS_MAX] = {0}, crps = 0, square = 0, variance = 0, open = 0;
    for (int64_t d = 0; d < e->dims; d++) {
        const double truth = (double)e->wanted[d], off = truth - (double)e->mean[d];
        square += off * off / (double)e->dims;
        variance += (double)e->deviation[d] * (double)e->deviation[d] / (double)e->dims;
        e->numbers++;
        if (is_fixed(e, d)) {
            e->fixed++;
            continue;
        }
        open++;
        for (int64_t i = 0; i < e->pairs; i++)
            covered[i] += truth >= (double)e->quantile[i * e->dims + d] &&
                          truth <= (double)e->quantile[(e->levels - 1 - i) * e->dims + d];
        for (int64_t k = 0; k < e->per; k++) e->sorted[k] = (double)e->sample[k * e->dims + d];
        qsort(e->sorted, (size_t)e->per, sizeof *e->sorted, ascending);
        if (e->per > 0) {
            crps += tw_crps(e->sorted, e->per, truth);
            tw_rank_add(e->ranks, e->sorted, e->per, truth);
        }
    }
    for (int64_t i = 0; open > 0 && i < e->pairs; i++) add(&e->covered[i], covered[i] / open);
    if (open > 0 && e->per > 0) add(&e->crps, crps / open);
    add(&e->square, square);
    add(&e->variance, variance);
    add(&e->psnr, tw_psnr(e->mean, e->wanted, e->dims, e->range));
    if (s->kind != TW_DATASET_POINTS)
        add(&e->ssim, tw_ssim(e->mean, e->wanted, s->height, s->width, s->channels, e->range));
}

/* ---- printing ---- */

static tw_status print_json(const evaluation *e)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "measurements", e->rows);
    tw_json_int64(&json, "dimensions", e->dims);
    tw_json_int64(&json, "samples", e->per);
    tw_json_double(&json, "agreed", (double)e->fixed / (double)e->numbers);
    tw_json_list(&json, "intervals");
    for (int64_t i = 0; i < e->pairs; i++) {
        tw_json_object(&json, NULL);
        tw_json_double(&json, "stated", e->outer[i]);
        tw_json_double(&json, "covered", mean_of(&e->covered[i]));
        tw_json_double(&json, "standard_error", error_of(&e->covered[i]));
        tw_json_end(&json);
    }
    tw_json_end(&json);
    if (e->per > 0) {
        tw_json_double(&json, "crps", mean_of(&e->crps));
        tw_json_doubles(&json, "rank_histogram", e->ranks, e->per + 1);
    }
    tw_json_double(&json, "rmse", sqrt(mean_of(&e->square)));
    tw_json_double(&json, "deviation", sqrt(mean_of(&e->variance)));
    tw_json_double(&json, "psnr", mean_of(&e->psnr));
    tw_json_double(&json, "ssim", mean_of(&e->ssim));
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

/* The histogram of ranks in at most 20 bins, as parts of one. */
static void print_ranks(const evaluation *e)
{
    const int64_t ranks = e->per + 1, bins = ranks < BINS_SHOWN ? ranks : BINS_SHOWN;
    const double all = (double)(e->numbers - e->fixed);
    printf("ranks of the truth among %lld samples, in units of a flat histogram\n ",
           (long long)e->per);
    for (int64_t b = 0; b < bins; b++) {
        const int64_t from = b * ranks / bins, to = (b + 1) * ranks / bins;
        double sum = 0;
        for (int64_t k = from; k < to; k++) sum += e->ranks[k];
        printf(" %.2f", sum / all * (double)ranks / (double)(to - from));
    }
    printf("\n");
}

static void print_lines(const evaluation *e)
{
    printf("%lld measurements of %lld numbers, in the units of the data\n", (long long)e->rows,
           (long long)e->dims);
    if (e->fixed > 0)
        printf("%.1f %% of the numbers are the same in all samples, and have no interval\n",
               100 * (double)e->fixed / (double)e->numbers);
    for (int64_t i = 0; i < e->pairs; i++)
        printf("interval of %.4g %%           %.2f %% +- %.2f of the truth are inside\n",
               100 * e->outer[i], 100 * mean_of(&e->covered[i]), 100 * error_of(&e->covered[i]));
    if (e->per > 0) {
        printf("CRPS                       %.6g\n", mean_of(&e->crps));
        if (e->numbers > e->fixed) print_ranks(e);
    } else
        printf("no CRPS and no ranks: the samples were not kept (tweedie restore --keep)\n");
    printf("error of the means         %.6g (root mean square)\n", sqrt(mean_of(&e->square)));
    printf("deviation of the samples   %.6g (likewise)\n", sqrt(mean_of(&e->variance)));
    printf("PSNR of the means          %.2f dB (range %.6g)\n", mean_of(&e->psnr), e->range);
    if (e->ssim.n > 0) printf("SSIM of the means          %.4f\n", mean_of(&e->ssim));
}

static tw_status evaluate(evaluation *e)
{
    tw_status st = TW_OK;
    TW_TRY(open_all(e));
    TW_TRY(find_range(e));
    for (int64_t row = 0; row < e->rows; row++) {
        TW_TRY(read_row(e, row));
        score_row(e);
    }
    if (e->o->json)
        TW_TRY(print_json(e));
    else
        print_lines(e);
done:
    return st;
}

tw_status evaluate_posterior(const tw_comm *comm, const posterior_evaluation *o)
{
    tw_status st = TW_OK;
    evaluation e = {.o = o,
                    .file = H5I_INVALID_HID,
                    .std = H5I_INVALID_HID,
                    .quantiles = H5I_INVALID_HID,
                    .samples = H5I_INVALID_HID};
    if (tw_comm_rank(comm) == 0) st = evaluate(&e);
    tw_h5_close(&e.std);
    tw_h5_close(&e.quantiles);
    tw_h5_close(&e.samples);
    tw_h5_close(&e.file);
    tw_dataset_destroy(&e.restored);
    tw_dataset_destroy(&e.truth);
    tw_free(&e.mean);
    tw_free(&e.deviation);
    tw_free(&e.quantile);
    tw_free(&e.sample);
    tw_free(&e.wanted);
    tw_free(&e.stored);
    tw_free(&e.sorted);
    tw_free(&e.ranks);
    return tw_comm_agree(comm, st);
}
