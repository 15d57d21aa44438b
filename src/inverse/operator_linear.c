/* y = A x, A from the user's own HDF5 file: dense [m][D], or compressed sparse rows as scipy writes
 * them (`data`, `indices`, `indptr` of a group). Columns are the numbers of a sample in the order
 * of its file, [H][W][C]. */
#include <stddef.h>
#include <string.h>

#include "inverse/operator.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"

extern const tw_operator_kind tw_operator_linear;

enum { DENSE, CSR };
enum { ELEMENTS_MOST = 1 << 26 };

typedef struct linear_config {
    const char *matrix;
    int format;
} linear_config;

static const tw_config_field fields[] = {
    {NULL, "matrix", TW_CONFIG_STRING, offsetof(linear_config, matrix), "",
     .help = "FILE.h5:/path of A [measurements, numbers of a sample]; of csr: of the group that "
             "holds data, indices and indptr"},
    {NULL, "format", TW_CONFIG_CHOICE, offsetof(linear_config, format), "dense",
     .choices = "dense|csr", .help = "how A is stored"},
};

typedef struct matrix {
    int64_t rows;
    double *value;           /* dense: [rows][dims]; csr: [first[rows]] */
    int64_t *column, *first; /* csr; NULL: dense */
} matrix;

static tw_status read_dense(tw_operator *a, matrix *m, const char *path)
{
    tw_status st = TW_OK;
    int64_t dims[2];
    int rank;
    TW_TRY(operator_read_array(&m->value, &rank, dims, "task.matrix", path, ELEMENTS_MOST));
    TW_CHECK(rank == 2 && dims[1] == a->dims, TW_EDATA,
             "task.matrix: %s has the shape [%lld, %lld]; [measurements, %lld] was expected, a "
             "column for each number of a sample of %lld x %lld x %lld",
             path, (long long)dims[0], (long long)dims[1], (long long)a->dims,
             (long long)a->in.height, (long long)a->in.width, (long long)a->in.channels);
    m->rows = dims[0];
    TW_TRY(operator_add_digest(a, "matrix_digest", m->value,
                               (size_t)(m->rows * a->dims) * sizeof *m->value));
done:
    return st;
}

/* An array of the group, as integers where asked. */
static tw_status read_part(const char *group, const char *name, double **values, int64_t *n)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX + 64];
    int64_t dims[2];
    int rank;
    TW_TRY(tw_format(path, sizeof path, "%s/%s", group, name));
    TW_TRY(operator_read_array(values, &rank, dims, "task.matrix", path, ELEMENTS_MOST));
    TW_CHECK(rank == 1, TW_EDATA, "task.matrix: %s has two axes; one was expected", path);
    *n = dims[0];
done:
    return st;
}

static tw_status to_integers(int64_t **out, const double *x, int64_t n, double most,
                             const char *group, const char *name)
{
    tw_status st = TW_OK;
    int64_t *whole = NULL;
    TW_TRY(tw_alloc(&whole, n, sizeof *whole, "a sparse matrix"));
    for (int64_t i = 0; i < n; i++) {
        TW_CHECK(x[i] >= 0 && x[i] <= most && x[i] == (double)(int64_t)x[i], TW_EDATA,
                 "task.matrix: %s/%s: entry %lld is %g; an integer from 0 to %.0f was expected",
                 group, name, (long long)i, x[i], most);
        whole[i] = (int64_t)x[i];
    }
    *out = whole;
    whole = NULL;
done:
    tw_free(&whole);
    return st;
}

static tw_status read_csr(tw_operator *a, matrix *m, const char *group)
{
    tw_status st = TW_OK;
    double *columns = NULL, *first = NULL;
    int64_t values, indices, pointers;
    TW_TRY(read_part(group, "data", &m->value, &values));
    TW_TRY(read_part(group, "indices", &columns, &indices));
    TW_TRY(read_part(group, "indptr", &first, &pointers));
    TW_CHECK(
        indices == values && pointers >= 2, TW_EDATA,
        "task.matrix: %s: %lld data, %lld indices and %lld indptr are no matrix of sparse rows",
        group, (long long)values, (long long)indices, (long long)pointers);
    TW_TRY(to_integers(&m->column, columns, indices, (double)(a->dims - 1), group, "indices"));
    TW_TRY(to_integers(&m->first, first, pointers, (double)values, group, "indptr"));
    m->rows = pointers - 1;
    TW_CHECK(m->first[0] == 0 && m->first[m->rows] == values, TW_EDATA,
             "task.matrix: %s/indptr goes from %lld to %lld; 0 to %lld was expected", group,
             (long long)m->first[0], (long long)m->first[m->rows], (long long)values);
    for (int64_t i = 0; i < m->rows; i++)
        TW_CHECK(m->first[i] <= m->first[i + 1], TW_EDATA, "task.matrix: %s/indptr falls at %lld",
                 group, (long long)i);
    TW_TRY(operator_add_digest(a, "data_digest", m->value, (size_t)values * sizeof *m->value));
    TW_TRY(operator_add_digest(a, "indices_digest", m->column, (size_t)values * sizeof(int64_t)));
    TW_TRY(operator_add_digest(a, "indptr_digest", m->first, (size_t)pointers * sizeof(int64_t)));
done:
    tw_free(&columns);
    tw_free(&first);
    return st;
}

static void release(tw_operator *a)
{
    matrix *m = a->own;
    tw_free(&m->value);
    tw_free(&m->column);
    tw_free(&m->first);
}

static tw_status setup(tw_operator *a)
{
    tw_status st = TW_OK;
    const linear_config *c = a->config;
    matrix *m = NULL;
    TW_CHECK(*c->matrix, TW_ECONFIG,
             "task.matrix: which A? FILE.h5:/path of a matrix with a column for each number of a "
             "sample");
    TW_TRY(tw_alloc(&m, 1, sizeof *m, "a matrix"));
    a->own = m;
    TW_TRY(c->format == DENSE ? read_dense(a, m, c->matrix) : read_csr(a, m, c->matrix));
    a->out = (tw_extent){1, 1, m->rows, true};
done:
    return st;
}

static void forward(const tw_operator *a, const double *x, double *y)
{
    const matrix *m = a->own;
    for (int64_t i = 0; i < m->rows; i++) {
        const int64_t from = m->first ? m->first[i] : i * a->dims,
                      to = m->first ? m->first[i + 1] : from + a->dims;
        y[i] = 0;
        for (int64_t k = from; k < to; k++)
            y[i] += m->value[k] * x[m->column ? m->column[k] : k - from];
    }
}

static void adjoint(const tw_operator *a, const double *y, double *x)
{
    const matrix *m = a->own;
    memset(x, 0, (size_t)a->dims * sizeof *x);
    for (int64_t i = 0; i < m->rows; i++) {
        const int64_t from = m->first ? m->first[i] : i * a->dims,
                      to = m->first ? m->first[i + 1] : from + a->dims;
        for (int64_t k = from; k < to; k++)
            x[m->column ? m->column[k] : k - from] += m->value[k] * y[i];
    }
}

const tw_operator_kind tw_operator_linear = {
    .kind = {"linear", "a matrix of one's own", fields, sizeof fields / sizeof *fields,
             sizeof(linear_config)},
    .setup = setup,
    .forward = forward,
    .adjoint = adjoint,
    .release = release,
};
