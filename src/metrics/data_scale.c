/* The largest distance of two samples, and σ_data.
 *
 * With r = ‖x − m‖ no pair is farther apart than r_i + r_j, for any m. Samples are sorted by r, the
 * largest first, and compared block by block, ‖a‖² + ‖b‖² − 2 aᵀb with a matrix product for the
 * last term; a pair of blocks whose largest r together are not above what was found is passed over,
 * which leaves few. The float products only point at a pair: its distance is computed in double. */
#include <dnnl.h>
#include <math.h>
#include <stdlib.h>

#include "tweedie/memory.h"
#include "tweedie/noise_scales.h"

enum { BLOCK = 256 };

typedef struct ranked {
    double radius;
    int64_t index;
} ranked;

typedef struct measure {
    const tw_comm *comm;
    int rank, ranks;
    tw_sample_reader *read;
    void *self;
    int64_t count, dims;
    float *block;   /* [BLOCK][dims] */
    double *sums;   /* [dims + 1]: of each number, and of all squares */
    double *radius; /* [count] */
    ranked *order;  /* [count] */
    int64_t kept;
    float *x;       /* [kept][dims], about the mean, largest radius first */
    double *square; /* [kept]: ‖x‖² */
    float *product; /* [BLOCK][BLOCK] */
} measure;

static tw_status agree(const measure *m, tw_status st)
{
    return m->comm ? tw_comm_agree(m->comm, st) : st;
}

static tw_status sum(const measure *m, double *values, int64_t count)
{
    return m->comm ? tw_comm_sum(m->comm, values, count) : TW_OK;
}

/* This rank's blocks of the data: each `ranks`-th. */
static tw_status add_blocks(measure *m)
{
    tw_status st = TW_OK;
    for (int64_t at = (int64_t)m->rank * BLOCK; at < m->count; at += (int64_t)m->ranks * BLOCK) {
        const int64_t n = m->count - at < BLOCK ? m->count - at : BLOCK;
        TW_TRY(m->read(m->self, at, n, m->block));
        for (int64_t i = 0; i < n; i++)
            for (int64_t d = 0; d < m->dims; d++) {
                const double v = (double)m->block[i * m->dims + d];
                m->sums[d] += v;
                m->sums[m->dims] += v * v;
            }
    }
done:
    return st;
}

static tw_status find_radii(measure *m)
{
    tw_status st = TW_OK;
    for (int64_t at = (int64_t)m->rank * BLOCK; at < m->count; at += (int64_t)m->ranks * BLOCK) {
        const int64_t n = m->count - at < BLOCK ? m->count - at : BLOCK;
        TW_TRY(m->read(m->self, at, n, m->block));
        for (int64_t i = 0; i < n; i++) {
            double s = 0;
            for (int64_t d = 0; d < m->dims; d++) {
                const double v = (double)m->block[i * m->dims + d] - m->sums[d];
                s += v * v;
            }
            m->radius[at + i] = sqrt(s);
        }
    }
done:
    return st;
}

static int farther_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->radius != y->radius) return x->radius < y->radius ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static int earlier_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* The kept samples of a block of the file, about the mean; `place` is where sample `index` goes. */
static tw_status read_kept(measure *m)
{
    tw_status st = TW_OK;
    ranked *wanted = NULL; /* index: in the file; radius: its place in x */
    int64_t at = -1;
    TW_TRY(tw_alloc(&wanted, m->kept, sizeof *wanted, "samples"));
    for (int64_t k = 0; k < m->kept; k++)
        wanted[k] = (ranked){.radius = (double)k, .index = m->order[k].index};
    qsort(wanted, (size_t)m->kept, sizeof *wanted, earlier_first);
    for (int64_t k = 0; k < m->kept; k++) {
        const int64_t index = wanted[k].index, place = (int64_t)wanted[k].radius;
        if (index / BLOCK != at) {
            at = index / BLOCK;
            const int64_t left = m->count - at * BLOCK;
            TW_TRY(m->read(m->self, at * BLOCK, left < BLOCK ? left : BLOCK, m->block));
        }
        const float *from = m->block + index % BLOCK * m->dims;
        for (int64_t d = 0; d < m->dims; d++) {
            const double v = (double)from[d] - m->sums[d];
            m->x[place * m->dims + d] = (float)v;
            m->square[place] += v * v;
        }
    }
done:
    tw_free(&wanted);
    return st;
}

static double distance(const measure *m, int64_t i, int64_t j)
{
    double s = 0;
    for (int64_t d = 0; d < m->dims; d++) {
        const double v = (double)m->x[i * m->dims + d] - (double)m->x[j * m->dims + d];
        s += v * v;
    }
    return sqrt(s);
}

/* The farthest pair of two blocks. */
static tw_status compare(measure *m, int64_t a, int64_t b, double *best)
{
    tw_status st = TW_OK;
    const int64_t na = m->kept - a < BLOCK ? m->kept - a : BLOCK,
                  nb = m->kept - b < BLOCK ? m->kept - b : BLOCK;
    int64_t i_best = 0, j_best = 0;
    double most = -1;
    const dnnl_status_t done = dnnl_sgemm('N', 'T', na, nb, m->dims, 1, m->x + a * m->dims, m->dims,
                                          m->x + b * m->dims, m->dims, 0, m->product, BLOCK);
    TW_CHECK(done == dnnl_success, TW_EINTERNAL, "dnnl_sgemm failed (%d)", (int)done);
    for (int64_t i = 0; i < na; i++)
        for (int64_t j = 0; j < nb; j++) {
            const double d =
                m->square[a + i] + m->square[b + j] - 2 * (double)m->product[i * BLOCK + j];
            if (d > most) {
                most = d;
                i_best = a + i;
                j_best = b + j;
            }
        }
    *best = fmax(*best, distance(m, i_best, j_best));
done:
    return st;
}

/* Block rows are shared; the blocks of a row come with falling radius, so the first that is too
 * near ends it. A margin for float covers what rounding may have done to the radii. */
static tw_status search(measure *m, double *best)
{
    tw_status st = TW_OK;
    for (int64_t a = (int64_t)m->rank * BLOCK; a < m->kept; a += (int64_t)m->ranks * BLOCK)
        for (int64_t b = a; b < m->kept; b += BLOCK) {
            if ((m->order[a].radius + m->order[b].radius) * (1 + 1e-6) <= *best) break;
            TW_TRY(compare(m, a, b, best));
        }
done:
    return st;
}

static tw_status allocate(measure *m)
{
    tw_status st = TW_OK;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, m->kept, m->dims, "samples"));
    TW_TRY(tw_alloc(&m->block, BLOCK * m->dims, sizeof *m->block, "a block of samples"));
    TW_TRY(tw_alloc(&m->sums, m->dims + 1, sizeof *m->sums, "means"));
    TW_TRY(tw_alloc(&m->radius, m->count, sizeof *m->radius, "distances"));
    TW_TRY(tw_alloc(&m->order, m->count, sizeof *m->order, "distances"));
    TW_TRY(tw_alloc(&m->x, numbers, sizeof *m->x, "samples that are compared"));
    TW_TRY(tw_alloc(&m->square, m->kept, sizeof *m->square, "norms"));
    TW_TRY(tw_alloc(&m->product, BLOCK * BLOCK, sizeof *m->product, "products"));
done:
    return st;
}

/* Means into m->sums; returns the deviation of all numbers about their common mean. */
static double moments(measure *m)
{
    const double n = (double)m->count, numbers = n * (double)m->dims;
    double mean = 0;
    for (int64_t d = 0; d < m->dims; d++) {
        mean += m->sums[d] / numbers;
        m->sums[d] /= n;
    }
    return sqrt(fmax(0, m->sums[m->dims] / numbers - mean * mean));
}

static tw_status run(measure *m, tw_data_scale *out)
{
    tw_status st = TW_OK;
    double best = 0;
    TW_TRY(agree(m, allocate(m)));
    TW_TRY(agree(m, add_blocks(m)));
    TW_TRY(sum(m, m->sums, m->dims + 1));
    out->std = moments(m);
    TW_TRY(agree(m, find_radii(m)));
    TW_TRY(sum(m, m->radius, m->count));
    for (int64_t i = 0; i < m->count; i++)
        m->order[i] = (ranked){.radius = m->radius[i], .index = i};
    qsort(m->order, (size_t)m->count, sizeof *m->order, farther_first);
    TW_TRY(agree(m, read_kept(m)));
    TW_TRY(agree(m, search(m, &best)));
    if (m->comm) TW_TRY(tw_comm_max(m->comm, &best, 1));
    out->distance = out->most = best;
    if (m->kept < m->count) out->most = fmax(best, m->order[0].radius + m->order[m->kept].radius);
done:
    return st;
}

tw_status tw_data_scale_measure(tw_data_scale *out, const tw_comm *comm, tw_sample_reader *read,
                                void *self, int64_t count, int64_t dims, int64_t sample)
{
    tw_status st = TW_OK;
    measure m = {.comm = comm,
                 .rank = comm ? tw_comm_rank(comm) : 0,
                 .ranks = comm ? tw_comm_size(comm) : 1,
                 .read = read,
                 .self = self,
                 .count = count,
                 .dims = dims,
                 .kept = sample > 1 && sample < count ? sample : count};
    tw_data_scale found = {.count = count, .dims = dims, .compared = m.kept};
    TW_CHECK(count >= 2 && dims >= 1, TW_EDATA, "%lld samples have no distance; 2 were expected",
             (long long)count);
    TW_TRY(run(&m, &found));
    *out = found;
done:
    tw_free(&m.block);
    tw_free(&m.sums);
    tw_free(&m.radius);
    tw_free(&m.order);
    tw_free(&m.x);
    tw_free(&m.square);
    tw_free(&m.product);
    return st;
}
