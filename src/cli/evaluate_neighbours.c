/* Nearest training images: a picture, and whether samples lie nearer to training images than new
 * data do (Meehan, Chaudhuri and Dasgupta 2020): with d the distance to the nearest training image,
 * the share of pairs (sample s, held-out image h) with d(s) < d(h) is 1/2 for a sampler of the
 * data's distribution, and above for one that repeats what it was trained with. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/evaluate_metrics.h"
#include "tweedie/memory.h"
#include "tweedie/png.h"

enum { ROWS = 10, NEIGHBOURS = 7 };

typedef struct finding {
    const tw_comm *comm;
    const evaluate_features *f;
    evaluate_set training, held_out; /* files alone; held_out.file NULL: there is none */
    float *features, *others;        /* of them */
    double *distances2, *others2;
    int64_t *indices; /* [samples][NEIGHBOURS] */
    int64_t count;    /* of samples */
} finding;

static bool has_split(tw_dataset *file, const char *name)
{
    const tw_dataset_spec *spec = tw_dataset_get_spec(file);
    for (int i = 0; i < spec->split_count; i++)
        if (strcmp(spec->splits[i].name, name) == 0) return true;
    return false;
}

static tw_status open_split(evaluate_set *out, const tw_comm *comm, const evaluate_set *data,
                            const char *split)
{
    tw_status st = TW_OK;
    const tw_dataset_options o = {.path = data->path, .split = split};
    TW_TRY(tw_dataset_open(&out->file, comm, &o));
    out->path = data->path;
    out->count = tw_dataset_count(out->file);
    out->dims = data->dims;
done:
    return st;
}

/* Where no network makes features, the numbers of the samples do. */
static tw_status read_numbers(evaluate_set *s)
{
    tw_status st = TW_OK;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, s->count, s->dims, "samples"));
    TW_TRY(tw_alloc(&s->x, numbers, sizeof *s->x, "samples"));
    TW_TRY(tw_dataset_read(s->file, 0, s->count, s->x, NULL));
done:
    return st;
}

static tw_status open_sets(finding *k, const evaluate_set *data)
{
    tw_status st = TW_OK;
    const bool train = has_split(data->file, "train"), test = has_split(data->file, "test");
    TW_TRY(open_split(&k->training, k->comm, data,
                      train ? "train" : tw_dataset_get_split(data->file)->name));
    if (train && test) TW_TRY(open_split(&k->held_out, k->comm, data, "test"));
    if (k->f->network) goto done;
    st = read_numbers(&k->training);
    if (st == TW_OK && k->held_out.file) st = read_numbers(&k->held_out);
    st = tw_comm_agree(k->comm, st);
done:
    return st;
}

/* Each sample's nearest training images, and each held-out image's nearest one. */
static tw_status search(finding *k)
{
    tw_status st = TW_OK;
    const evaluate_features *f = k->f;
    TW_TRY(evaluate_features_of(&k->features, f, k->comm, &k->training, k->training.count));
    st = tw_alloc(&k->distances2, k->count * NEIGHBOURS, sizeof *k->distances2, "distances");
    if (st == TW_OK)
        st = tw_alloc(&k->indices, k->count * NEIGHBOURS, sizeof *k->indices, "neighbours");
    TW_TRY(tw_comm_agree(k->comm, st));
    TW_TRY(tw_nearest(k->distances2, k->indices, k->comm, f->samples, k->count, k->features,
                      k->training.count, f->dims, NEIGHBOURS, false));
    if (!k->held_out.file) goto done;
    TW_TRY(evaluate_features_of(&k->others, f, k->comm, &k->held_out, k->held_out.count));
    TW_TRY(tw_comm_agree(
        k->comm, tw_alloc(&k->others2, k->held_out.count, sizeof *k->others2, "distances")));
    TW_TRY(tw_nearest(k->others2, NULL, k->comm, k->others, k->held_out.count, k->features,
                      k->training.count, f->dims, 1, false));
done:
    return st;
}

/* ---- what it says ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *sorted, int64_t n)
{
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

/* Pairs with a[i] < b[k], those of equals by half; both sorted. */
static double share_below(const double *a, int64_t n, const double *b, int64_t m)
{
    double pairs = 0;
    for (int64_t i = 0, low = 0, high = 0; i < n; i++) {
        while (low < m && b[low] < a[i]) low++;
        if (high < low) high = low;
        while (high < m && b[high] <= a[i]) high++;
        pairs += (double)(m - high) + 0.5 * (double)(high - low);
    }
    return pairs / ((double)n * (double)m);
}

static tw_status summarise(evaluate_neighbours *out, const finding *k)
{
    tw_status st = TW_OK;
    double *own = NULL, *other = NULL;
    const int64_t n = k->count, m = k->held_out.file ? k->held_out.count : 0;
    evaluate_neighbours a = {.training = k->training.count, .held_out = m};
    TW_TRY(tw_alloc(&own, n, sizeof *own, "distances"));
    TW_TRY(tw_alloc(&other, m, sizeof *other, "distances"));
    for (int64_t i = 0; i < n; i++) own[i] = sqrt(k->distances2[i * NEIGHBOURS]);
    for (int64_t i = 0; i < m; i++) other[i] = sqrt(k->others2[i]);
    qsort(own, (size_t)n, sizeof *own, ascending);
    qsort(other, (size_t)m, sizeof *other, ascending);
    a.median = median(own, n);
    if (m) {
        a.held_out_median = median(other, m);
        a.closer = share_below(own, n, other, m);
        while (a.closer_than_all < n && own[a.closer_than_all] < other[0]) a.closer_than_all++;
    }
    *out = a;
done:
    tw_free(&own);
    tw_free(&other);
    return st;
}

/* ---- the picture ---- */

typedef struct near_one {
    double distance2;
    int64_t sample;
} near_one;

static int nearer(const void *a, const void *b)
{
    const near_one *x = a, *y = b;
    if (x->distance2 != y->distance2) return x->distance2 < y->distance2 ? -1 : 1;
    return (x->sample > y->sample) - (x->sample < y->sample);
}

/* One image as pixels. */
static tw_status put(uint8_t *pixels, tw_dataset *file, int64_t index, float *x)
{
    tw_status st = TW_OK;
    TW_TRY(tw_dataset_read(file, index, 1, x, NULL));
    tw_dataset_pixels(tw_dataset_get_spec(file), 1, x, pixels);
done:
    return st;
}

/* A row for each of the samples that lie nearest: the sample, then its neighbours. */
static tw_status draw(const finding *k, const char *path, const evaluate_set *samples)
{
    tw_status st = TW_OK;
    near_one *order = NULL;
    uint8_t *pixels = NULL;
    float *x = NULL;
    const tw_dataset_spec *s = tw_dataset_get_spec(k->training.file);
    const int64_t rows = k->count < ROWS ? k->count : ROWS, each = tw_dataset_elements(s);
    const int64_t columns = NEIGHBOURS + 1;
    TW_TRY(tw_alloc(&order, k->count, sizeof *order, "nearest samples"));
    TW_TRY(tw_alloc(&pixels, rows * columns * each, 1, "a picture"));
    TW_TRY(tw_alloc(&x, each, sizeof *x, "a sample"));
    for (int64_t i = 0; i < k->count; i++) order[i] = (near_one){k->distances2[i * NEIGHBOURS], i};
    qsort(order, (size_t)k->count, sizeof *order, nearer);
    for (int64_t r = 0; r < rows; r++) {
        uint8_t *row = pixels + r * columns * each;
        TW_TRY(put(row, samples->file, order[r].sample, x));
        for (int64_t c = 0; c < NEIGHBOURS; c++)
            TW_TRY(put(row + (c + 1) * each, k->training.file,
                       k->indices[order[r].sample * NEIGHBOURS + c], x));
    }
    TW_TRY(
        tw_png_write_grid(path, pixels, rows * columns, s->height, s->width, s->channels, columns));
done:
    tw_free(&order);
    tw_free(&pixels);
    tw_free(&x);
    return st;
}

static tw_status check(const evaluate_set *data, const evaluate_features *f)
{
    tw_status st = TW_OK;
    TW_CHECK(tw_dataset_get_spec(data->file)->kind != TW_DATASET_POINTS, TW_EUSAGE,
             "--neighbours: points have no picture; images were expected");
    TW_CHECK(f->dims, TW_EUSAGE,
             "--neighbours: there are no features to find neighbours in; --features RUN, or "
             "--features samples for distances of pixels");
done:
    return st;
}

tw_status evaluate_neighbours_find(evaluate_neighbours *out, const tw_comm *comm, const char *grid,
                                   const evaluate_features *f, const evaluate_set *samples,
                                   const evaluate_set *data)
{
    tw_status st = TW_OK;
    finding k = {.comm = comm, .f = f, .count = samples->count};
    TW_TRY(check(data, f));
    TW_TRY(open_sets(&k, data));
    TW_TRY(search(&k));
    st = summarise(out, &k);
    if (st == TW_OK && tw_comm_rank(comm) == 0) st = draw(&k, grid, samples);
    TW_TRY(tw_comm_agree(comm, st));
done:
    tw_dataset_destroy(&k.training.file);
    tw_dataset_destroy(&k.held_out.file);
    tw_free(&k.training.x);
    tw_free(&k.held_out.x);
    tw_free(&k.features);
    tw_free(&k.others);
    tw_free(&k.distances2);
    tw_free(&k.others2);
    tw_free(&k.indices);
    return st;
}

void evaluate_neighbours_json(tw_json *json, const evaluate_neighbours *n)
{
    if (!n->training) return;
    tw_json_int64(json, "training", n->training);
    tw_json_double(json, "nearest_median", n->median);
    if (!n->held_out) return;
    tw_json_int64(json, "held_out", n->held_out);
    tw_json_double(json, "nearest_median_held_out", n->held_out_median);
    tw_json_double(json, "closer_than_held_out", n->closer);
    tw_json_int64(json, "closer_than_all_held_out", n->closer_than_all);
}

void evaluate_neighbours_print(const evaluate_neighbours *n)
{
    if (!n->training) return;
    printf("nearest of %lld training images: median distance %.5f\n", (long long)n->training,
           n->median);
    if (!n->held_out) return;
    printf("  of %lld held-out images      %.5f\n", (long long)n->held_out, n->held_out_median);
    printf("closer than held-out images  %.4f of pairs (0.5: like new data; above: memorised)\n",
           n->closer);
    printf("closer than all of them      %lld samples\n", (long long)n->closer_than_all);
}
