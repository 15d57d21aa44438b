/* What all operators share: choosing, units, a computed basis, simulation. */
#include <math.h>
#include <string.h>

#include "inverse/basis.h"
#include "inverse/operator.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

enum { DENSE_MOST = 2048, DIMS_MOST = 8192 };

static const tw_config_field seed_field = {
    NULL,
    "seed",
    TW_CONFIG_INT64,
    0,
    "0",
    0,
    9e18,
    .help = "of what is random in the task: which projections, and the noise of --simulate"};

/* ---- making ---- */

tw_status tw_operator_bind(tw_operator **out, tw_config *config)
{
    tw_status st = TW_OK;
    tw_operator *a = NULL;
    int64_t seed = 0;
    const tw_choice_rule of_task = {.section = "task",
                                    .key = "kind",
                                    .default_name = "denoise",
                                    .help = "what was measured of a sample",
                                    .kinds = tw_operator_kinds};
    TW_TRY(tw_alloc(&a, 1, sizeof *a, "an operator"));
    TW_TRY(tw_choice_bind(&a->choice, config, &of_task));
    TW_TRY(tw_config_bind_in(config, "task", &seed_field, 1, &seed));
    a->seed = (uint64_t)seed;
    a->kind = (const tw_operator_kind *)a->choice.kind;
    a->config = a->choice.config;
    *out = a;
    a = NULL;
done:
    tw_operator_destroy(&a);
    return st;
}

tw_status tw_operator_prepare(tw_operator *a, const tw_extent *in)
{
    tw_status st = TW_OK;
    a->in = a->out = *in;
    a->dims = tw_extent_count(in);
    TW_CHECK(a->kind, TW_EINTERNAL, "an operator of no kind");
    TW_TRY(a->kind->setup(a));
    a->made = true;
    a->outputs = tw_extent_count(&a->out);
    TW_CHECK(a->outputs >= 1, TW_ECONFIG, "task: nothing is measured");
    TW_TRY(tw_alloc(&a->work, a->dims, sizeof *a->work, "a sample"));
done:
    return st;
}

tw_status tw_operator_make(tw_operator **out, const tw_extent *in, const char *name, int count,
                           const char *const *assignments)
{
    tw_status st = TW_OK;
    tw_operator *a = NULL;
    tw_config *config = NULL;
    char text[256], *one = text;
    TW_TRY(tw_config_create(&config));
    for (int i = -1; i < count; i++) {
        TW_TRY(tw_format(text, sizeof text, "task.%s%s", i < 0 ? "kind=" : "",
                         i < 0 ? name : assignments[i]));
        TW_TRY(tw_config_override(config, 1, &one));
    }
    TW_TRY(tw_operator_bind(&a, config));
    TW_TRY(tw_config_finish(config));
    a->bound = config;
    config = NULL;
    TW_TRY(tw_operator_prepare(a, in));
    *out = a;
    a = NULL;
done:
    tw_operator_destroy(&a);
    tw_config_destroy(&config);
    return st;
}

void tw_operator_destroy(tw_operator **operator)
{
    tw_operator *a = *operator;
    if (!a) return;
    if (a->own && a->kind && a->kind->release) a->kind->release(a);
    tw_free(&a->own);
    tw_free(&a->singular);
    tw_free(&a->unit);
    tw_free(&a->dense);
    tw_free(&a->work);
    tw_text_free(&a->files);
    tw_choice_free(&a->choice);
    tw_config_destroy(&a->bound);
    tw_free(operator);
}

tw_status tw_operator_set_units(tw_operator *a, const double *unit)
{
    tw_status st = TW_OK;
    const int64_t channels = a->in.channels;
    TW_TRY(tw_alloc(&a->unit, channels, sizeof *unit, "units of channels"));
    memcpy(a->unit, unit, (size_t)channels * sizeof *unit);
    if (!a->singular) goto done;
    if (a->kind->channelwise)
        for (int64_t i = 0; i < a->dims; i++) a->singular[i] *= fabs(unit[i % channels]);
    else
        tw_free(&a->singular); /* V is another one now */
done:
    return st;
}

/* ---- applying ---- */

static const double *in_units(const tw_operator *a, const double *x)
{
    if (!a->unit) return x;
    for (int64_t i = 0; i < a->dims; i++) a->work[i] = x[i] * a->unit[i % a->in.channels];
    return a->work;
}

void tw_operator_forward(const tw_operator *a, const double *x, double *y)
{
    a->kind->forward(a, in_units(a, x), y);
}

void tw_operator_adjoint(const tw_operator *a, const double *y, double *x)
{
    a->kind->adjoint(a, y, x);
    for (int64_t i = 0; a->unit && i < a->dims; i++) x[i] *= a->unit[i % a->in.channels];
}

void tw_operator_to_basis(const tw_operator *a, const double *x, double *c)
{
    if (!a->dense) {
        a->kind->to_basis(a, x, c);
        return;
    }
    memset(c, 0, (size_t)a->dims * sizeof *c);
    for (int64_t j = 0; j < a->dims; j++) {
        const double *row = a->dense + j * a->dims;
        for (int64_t i = 0; i < a->dims; i++) c[i] += x[j] * row[i];
    }
}

void tw_operator_from_basis(const tw_operator *a, const double *c, double *x)
{
    if (!a->dense) {
        a->kind->from_basis(a, c, x);
        return;
    }
    for (int64_t j = 0; j < a->dims; j++) {
        const double *row = a->dense + j * a->dims;
        double sum = 0;
        for (int64_t i = 0; i < a->dims; i++) sum += row[i] * c[i];
        x[j] = sum;
    }
}

/* ---- a basis that is computed ---- */

/* The columns of A as rows: at [dims][outputs]. */
static tw_status columns(const tw_operator *a, double *at)
{
    tw_status st = TW_OK;
    double *unit = NULL;
    TW_TRY(tw_alloc(&unit, a->dims, sizeof *unit, "a unit vector"));
    for (int64_t j = 0; j < a->dims; j++) {
        unit[j] = 1;
        tw_operator_forward(a, unit, at + j * a->outputs);
        unit[j] = 0;
    }
done:
    tw_free(&unit);
    return st;
}

/* Completes the first `rank` columns of v [n][n], orthonormal, to a basis: unit vectors made
 * orthogonal to what is there, twice, those that are nearly inside of it left out. */
static void complete(int64_t n, int64_t rank, double *v, double *work)
{
    int64_t have = rank;
    for (int64_t e = 0; e < n && have < n; e++) {
        memset(work, 0, (size_t)n * sizeof *work);
        work[e] = 1;
        double norm = 0;
        for (int twice = 0; twice < 2; twice++) {
            for (int64_t k = 0; k < have; k++) {
                double dot = 0;
                for (int64_t j = 0; j < n; j++) dot += v[j * n + k] * work[j];
                for (int64_t j = 0; j < n; j++) work[j] -= dot * v[j * n + k];
            }
            norm = 0;
            for (int64_t j = 0; j < n; j++) norm += work[j] * work[j];
            /* n − have unit vectors at least keep 1 / n of their length, squared */
            if (twice == 0 && norm * (double)n < 0.5) break;
        }
        if (norm * (double)n < 0.5) continue;
        norm = sqrt(norm);
        for (int64_t j = 0; j < n; j++) v[j * n + have] = work[j] / norm;
        have++;
    }
}

/* Eigenvectors of AAᵀ, descending, give those of V: Aᵀ u / s. gram [m][m] becomes the u. */
static void from_left(const tw_operator *a, const double *at, const double *u, const double *values,
                      double *v, double *s)
{
    const int64_t n = a->dims, m = a->outputs;
    for (int64_t r = 0; r < m && r < n; r++) {
        const int64_t column = m - 1 - r;
        s[r] = sqrt(fmax(values[column], 0));
        if (!(s[r] > 1e-7 * sqrt(fmax(values[m - 1], 0)))) s[r] = 0;
        for (int64_t j = 0; s[r] > 0 && j < n; j++) {
            double sum = 0;
            for (int64_t i = 0; i < m; i++) sum += at[j * m + i] * u[i * m + column];
            v[j * n + r] = sum / s[r];
        }
    }
}

static void gram_of_rows(int64_t n, int64_t m, const double *at, bool left, double *gram)
{
    const int64_t side = left ? m : n;
    memset(gram, 0, (size_t)(side * side) * sizeof *gram);
    for (int64_t j = 0; left && j < n; j++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t k = 0; k < m; k++) gram[i * m + k] += at[j * m + i] * at[j * m + k];
    for (int64_t i = 0; !left && i < n; i++)
        for (int64_t k = 0; k <= i; k++) {
            double sum = 0;
            for (int64_t l = 0; l < m; l++) sum += at[i * m + l] * at[k * m + l];
            gram[i * n + k] = gram[k * n + i] = sum;
        }
}

static tw_status decompose(tw_operator *a, double *v, double *s)
{
    tw_status st = TW_OK;
    const int64_t n = a->dims, m = a->outputs, side = m < n ? m : n;
    double *at = NULL, *gram = NULL, *values = NULL;
    TW_TRY(tw_alloc(&at, n * m, sizeof *at, "an operator as a matrix"));
    TW_TRY(tw_alloc(&gram, side * side, sizeof *gram, "an operator as a matrix"));
    TW_TRY(tw_alloc(&values, n, sizeof *values, "singular values"));
    TW_TRY(columns(a, at));
    gram_of_rows(n, m, at, m < n, gram);
    TW_TRY(tw_eigen(side, gram, values));
    if (m < n) {
        from_left(a, at, gram, values, v, s);
        int64_t rank = 0;
        while (rank < m && s[rank] > 0) rank++;
        complete(n, rank, v, values);
        goto done;
    }
    memcpy(v, gram, (size_t)(n * n) * sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        s[i] = sqrt(fmax(values[i], 0));
        if (!(s[i] > 1e-7 * sqrt(fmax(values[n - 1], 0)))) s[i] = 0;
    }
done:
    tw_free(&at);
    tw_free(&gram);
    tw_free(&values);
    return st;
}

tw_status tw_operator_need_basis(tw_operator *a)
{
    tw_status st = TW_OK;
    double *v = NULL, *s = NULL;
    if (a->singular) return TW_OK;
    const int64_t side = a->dims < a->outputs ? a->dims : a->outputs;
    TW_CHECK(side <= DENSE_MOST && a->dims <= DIMS_MOST, TW_ECONFIG,
             "task.kind: %s of %lld numbers, %lld measured, has no cheap singular value "
             "decomposition, which the method needs (computed up to %d of %d); restore.method = "
             "dps does without",
             a->kind->kind.name, (long long)a->dims, (long long)a->outputs, DENSE_MOST, DIMS_MOST);
    TW_TRY(tw_alloc(&v, a->dims * a->dims, sizeof *v, "a basis"));
    TW_TRY(tw_alloc(&s, a->dims, sizeof *s, "singular values"));
    TW_TRY(decompose(a, v, s));
    a->dense = v;
    a->singular = s;
    v = s = NULL;
done:
    tw_free(&v);
    tw_free(&s);
    return st;
}

/* ---- the rest ---- */

tw_status tw_operator_describe(tw_text *out, const tw_operator *a)
{
    tw_status st = TW_OK;
    TW_TRY(tw_text_add(out, "task="));
    TW_TRY(tw_choice_describe(out, &a->choice));
    if (a->files.length > 0) TW_TRY(tw_text_add(out, "%s", a->files.data));
    TW_TRY(tw_text_add(out, " task_seed=%llu", (unsigned long long)a->seed));
done:
    return st;
}

void tw_operator_simulate(const tw_operator *a, const double *x, double sigma, uint64_t seed,
                          int64_t row, double *y)
{
    enum { PIECE = 256 };
    float noise[PIECE];
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_MEASUREMENT, .position = row};
    tw_operator_forward(a, x, y);
    for (int64_t first = 0; sigma > 0 && first < a->outputs; first += PIECE) {
        const int64_t n = a->outputs - first < PIECE ? a->outputs - first : PIECE;
        tw_rng_normal(noise, &stream, first, n);
        for (int64_t i = 0; i < n; i++) y[first + i] += sigma * (double)noise[i];
    }
}
