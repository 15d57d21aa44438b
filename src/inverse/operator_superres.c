/* y = the averages of blocks of factor × factor pixels. V is a reflection in each block that takes
 * the first pixel's unit vector e to u = (1, …, 1) / factor:
 *
 *   I − (e − u)(e − u)ᵀ / (1 − eᵀu);   s = 1 / factor of the first. */
#include <stddef.h>

#include "inverse/operator.h"

extern const tw_operator_kind tw_operator_superres;

typedef struct superres_config {
    int64_t factor;
} superres_config;

static const tw_config_field fields[] = {
    {NULL, "factor", TW_CONFIG_INT64, offsetof(superres_config, factor), "4", 2, 1024,
     .help = "pixels of a block's side"},
};

static int64_t factor_of(const tw_operator *a)
{
    return ((const superres_config *)a->config)->factor;
}

/* Block (by, bx) begins at this element. */
static int64_t corner(const tw_operator *a, int64_t block)
{
    const int64_t f = factor_of(a), columns = a->in.width / f;
    return ((block / columns) * f * a->in.width + block % columns * f) * a->in.channels;
}

static tw_status setup(tw_operator *a)
{
    tw_status st = TW_OK;
    const int64_t f = factor_of(a);
    TW_CHECK(!a->in.points && a->in.height % f == 0 && a->in.width % f == 0, TW_ECONFIG,
             "task.factor: samples of %lld x %lld are not made of blocks of %lld x %lld",
             (long long)a->in.height, (long long)a->in.width, (long long)f, (long long)f);
    a->out.height = a->in.height / f;
    a->out.width = a->in.width / f;
    TW_TRY(operator_alloc_singular(a));
    for (int64_t b = 0; b < a->out.height * a->out.width; b++)
        for (int64_t c = 0; c < a->in.channels; c++) a->singular[corner(a, b) + c] = 1 / (double)f;
done:
    return st;
}

static void forward(const tw_operator *a, const double *x, double *y)
{
    const int64_t f = factor_of(a), ch = a->in.channels, row = a->in.width * ch;
    for (int64_t b = 0; b < a->out.height * a->out.width; b++)
        for (int64_t c = 0; c < ch; c++) {
            const double *from = x + corner(a, b) + c;
            double sum = 0;
            for (int64_t i = 0; i < f * f; i++) sum += from[i / f * row + i % f * ch];
            y[b * ch + c] = sum / (double)(f * f);
        }
}

static void adjoint(const tw_operator *a, const double *y, double *x)
{
    const int64_t f = factor_of(a), ch = a->in.channels, row = a->in.width * ch;
    for (int64_t b = 0; b < a->out.height * a->out.width; b++)
        for (int64_t c = 0; c < ch; c++)
            for (int64_t i = 0; i < f * f; i++)
                x[corner(a, b) + c + i / f * row + i % f * ch] = y[b * ch + c] / (double)(f * f);
}

/* Its own inverse. */
static void reflect(const tw_operator *a, const double *x, double *c_out)
{
    const int64_t f = factor_of(a), ch = a->in.channels, row = a->in.width * ch;
    const double u = 1 / (double)f;
    for (int64_t b = 0; b < a->out.height * a->out.width; b++)
        for (int64_t c = 0; c < ch; c++) {
            const int64_t at = corner(a, b) + c;
            double sum = 0;
            for (int64_t i = 0; i < f * f; i++) sum += x[at + i / f * row + i % f * ch];
            const double along = (x[at] - u * sum) / (1 - u);
            for (int64_t i = 0; i < f * f; i++) {
                const int64_t k = at + i / f * row + i % f * ch;
                c_out[k] = x[k] - along * ((i == 0) - u);
            }
        }
}

const tw_operator_kind tw_operator_superres = {
    .kind = {"superres", "averages of blocks", fields, sizeof fields / sizeof *fields,
             sizeof(superres_config)},
    .setup = setup,
    .forward = forward,
    .adjoint = adjoint,
    .to_basis = reflect,
    .from_basis = reflect,
    .channelwise = true,
};
