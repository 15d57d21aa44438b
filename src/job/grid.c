/* Samples as pictures. */
#include "job/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/png.h"

enum { HEATMAP_PIXELS = 512, BOUND_LEAST = 2 };

/* Whole batches first … last of `total` that rank r of R generates. */
static void share(int64_t *first, int64_t *last, int64_t total, int r, int ranks)
{
    *first = total * r / ranks;
    *last = total * (r + 1) / ranks;
}

/* Rank zero joins the shares, which come in rank order and so in the samples' order. */
static tw_status gather(const tw_comm *comm, const float *mine, int64_t count, float *x)
{
    tw_status st = TW_OK;
    void *all = NULL;
    int64_t *sizes = NULL, bytes = 0;
    const int ranks = tw_comm_size(comm), rank = tw_comm_rank(comm);
    if (rank == 0) st = tw_alloc(&sizes, ranks, sizeof *sizes, "sizes of shares");
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_gather_texts(comm, mine, (size_t)count * sizeof *mine, &all, sizes));
    if (rank == 0) {
        for (int r = 0; r < ranks; r++) bytes += sizes[r];
        memcpy(x, all, (size_t)bytes);
    }
done:
    tw_free(&all);
    tw_free(&sizes);
    return st;
}

tw_status tw_grid_make(const tw_comm *comm, tw_sampler *sampler, int64_t dims, int64_t batch,
                       int64_t first, int64_t count, float *x)
{
    tw_status st = TW_OK;
    float *mine = NULL;
    int64_t from, to;
    if (!comm) return tw_sampler_run(sampler, first, count, x);
    share(&from, &to, (count + batch - 1) / batch, tw_comm_rank(comm), tw_comm_size(comm));
    from = from * batch;
    to = to * batch < count ? to * batch : count;
    const int64_t n = to > from ? to - from : 0;
    st = tw_alloc(&mine, n * dims, sizeof *mine, "samples of a grid");
    if (st == TW_OK && n > 0) st = tw_sampler_run(sampler, first + from, n, mine);
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(gather(comm, mine, n * dims, x));
done:
    tw_free(&mine);
    return st;
}

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The picture's bound: a tenth more than what 99.5 % of all coordinates keep to, so that a few
 * strays do not shrink the rest; but no less than where data of unit size lie, so that pictures can
 * be compared and a heap at the origin looks like one. */
static tw_status find_bound(double *out, const float *points, int64_t numbers)
{
    tw_status st = TW_OK;
    float *size = NULL;
    TW_TRY(tw_alloc(&size, numbers, sizeof *size, "sizes of coordinates"));
    for (int64_t i = 0; i < numbers; i++) size[i] = fabsf(points[i]);
    qsort(size, (size_t)numbers, sizeof *size, ascending);
    const double bound = 1.1 * (double)size[(int64_t)(0.995 * (double)(numbers - 1))];
    *out = bound > BOUND_LEAST && isfinite(bound) ? bound : BOUND_LEAST;
done:
    tw_free(&size);
    return st;
}

static tw_status write_points(const char *path, const tw_dataset_spec *spec, int64_t count,
                              const float *x)
{
    tw_status st = TW_OK;
    double bound,
        blur = 0.5 * HEATMAP_PIXELS /
               sqrt((double)count); /* half of the distance between points that fill the picture */
    blur = fmin(fmax(blur, 1), 12);
    TW_CHECK(spec->channels == 2, TW_EUNSUPPORTED,
             "%s: points of %lld coordinates have no picture; 2 were expected", path,
             (long long)spec->channels);
    TW_TRY(find_bound(&bound, x, 2 * count));
    TW_TRY(tw_png_write_heatmap(path, x, count, (const double[]){-bound, bound, -bound, bound},
                                HEATMAP_PIXELS, blur));
done:
    return st;
}

tw_status tw_grid_write(const char *path, const tw_dataset_spec *spec, int64_t count,
                        const float *x, int64_t columns)
{
    tw_status st = TW_OK;
    uint8_t *pixels = NULL;
    if (spec->kind == TW_DATASET_POINTS) return write_points(path, spec, count, x);
    TW_TRY(tw_alloc(&pixels, count * tw_dataset_elements(spec), 1, "pixels of a grid"));
    tw_dataset_pixels(spec, count, x, pixels);
    TW_TRY(
        tw_png_write_grid(path, pixels, count, spec->height, spec->width, spec->channels, columns));
done:
    tw_free(&pixels);
    return st;
}
