/* Matrix products of feature rows. */
#include "metrics/dots.h"

#include <dnnl.h>
#include <omp.h>
#include <string.h>

#include "metrics/kern_gram.h"
#include "tweedie/memory.h"

bool metrics_dots(float *out, int64_t stride, const float *a, int64_t m, const float *b, int64_t n,
                  int64_t dims)
{
    return dnnl_sgemm('N', 'T', m, n, dims, 1, a, dims, b, dims, 0, out, stride) == dnnl_success;
}

tw_status metrics_dots_check(bool failed)
{
    return failed ? tw_error_set(TW_EINTERNAL, "dnnl_sgemm failed") : TW_OK;
}

/* ---- in double ---- */

/* A side of an output tile, and rows that are summed at once: two panels of 256 x 64 doubles are
 * 256 KiB, within a second-level cache. */
enum { TILE = 64, ROWS = 256, PANEL = ROWS * TILE };

static double element(const metrics_matrix *m, int64_t row, int64_t column)
{
    if (column >= m->columns) return 0;
    if (m->d) return m->d[row * m->columns + column];
    return (double)m->f[row * m->columns + column] - (m->mean ? m->mean[column] : 0);
}

/* Rows first … first + rows − 1 of the columns from `column`, as TILE / width panels of `width`
 * columns. */
static void pack(double *out, const metrics_matrix *m, int64_t first, int64_t rows, int64_t column,
                 int width)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < TILE; k++)
            out[k / width * width * rows + r * width + k % width] =
                element(m, first + r, column + k);
}

typedef struct gram {
    double *out;
    const metrics_matrix *a, *b;
    int64_t across, down; /* tiles */
    bool symmetric;
} gram;

static void store(const gram *g, const double *tile, int64_t row, int64_t column)
{
    for (int64_t i = 0; i < TILE && row + i < g->a->columns; i++)
        for (int64_t k = 0; k < TILE && column + k < g->b->columns; k++) {
            g->out[(row + i) * g->b->columns + column + k] = tile[i * TILE + k];
            if (g->symmetric) g->out[(column + k) * g->b->columns + row + i] = tile[i * TILE + k];
        }
}

/* One tile of the output. @param panels  2 PANEL + TILE² doubles */
static void compute_tile(const gram *g, int64_t row, int64_t column, double *panels)
{
    double *left = panels, *right = panels + PANEL, *tile = panels + 2 * PANEL;
    const gram_kernels *kernels = TW_ISA_SELECT(gram_kernels);
    memset(tile, 0, TILE * TILE * sizeof *tile);
    for (int64_t first = 0; first < g->a->rows; first += ROWS) {
        const int64_t rows = g->a->rows - first < ROWS ? g->a->rows - first : ROWS;
        pack(left, g->a, first, rows, row, GRAM_M);
        pack(right, g->b, first, rows, column, GRAM_N);
        for (int64_t k = 0; k < TILE; k += GRAM_N)
            for (int64_t i = 0; i < TILE; i += GRAM_M)
                kernels->tile(tile + i * TILE + k, TILE, left + i * rows, right + k * rows, rows);
    }
    store(g, tile, row, column);
}

/* This rank's tiles: each `ranks`-th. */
static tw_status compute_share(const gram *g, int rank, int ranks)
{
    tw_status st = TW_OK;
    double *panels = NULL;
    const int64_t threads = omp_get_max_threads(), room = 2 * PANEL + TILE * TILE;
    TW_TRY(tw_alloc(&panels, threads * room, sizeof *panels, "panels of a product"));
#pragma omp parallel num_threads(threads)
    {
        double *mine = panels + omp_get_thread_num() * room;
#pragma omp for schedule(dynamic)
        for (int64_t t = rank; t < g->across * g->down; t += ranks) {
            const int64_t row = t / g->across, column = t % g->across;
            if (!g->symmetric || column >= row) compute_tile(g, row * TILE, column * TILE, mine);
        }
    }
done:
    tw_free(&panels);
    return st;
}

tw_status metrics_gram(double *out, const tw_comm *comm, const metrics_matrix *a,
                       const metrics_matrix *b, bool symmetric)
{
    tw_status st = TW_OK;
    const gram g = {.out = out,
                    .a = a,
                    .b = b,
                    .across = (b->columns + TILE - 1) / TILE,
                    .down = (a->columns + TILE - 1) / TILE,
                    .symmetric = symmetric};
    memset(out, 0, (size_t)(a->columns * b->columns) * sizeof *out);
    st = compute_share(&g, comm ? tw_comm_rank(comm) : 0, comm ? tw_comm_size(comm) : 1);
    if (!comm) return st;
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_sum(comm, out, a->columns * b->columns)); /* zeros where others computed */
done:
    return st;
}
