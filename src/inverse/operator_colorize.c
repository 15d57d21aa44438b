/* y = (x_0 + x_1 + x_2) / 3: the grey of a picture in colour. V is the orthonormal transform of
 * each pixel whose first vector is grey (Song et al. 2021, appendix I.2):
 *
 *   (1, 1, 1) / √3,   (−2, 1, 1) / √6,   (0, 1, −1) / √2;   s = 1/√3 of the first. */
#include <math.h>

#include "inverse/operator.h"

extern const tw_operator_kind tw_operator_colorize;

static tw_status setup(tw_operator *a)
{
    tw_status st = TW_OK;
    TW_CHECK(!a->in.points && a->in.channels == 3, TW_ECONFIG,
             "task.kind: colorize is for images of 3 channels, not of %lld",
             (long long)a->in.channels);
    a->out.channels = 1;
    TW_TRY(operator_alloc_singular(a));
    for (int64_t i = 0; i < a->dims; i += 3) a->singular[i] = sqrt(1.0 / 3);
done:
    return st;
}

static void forward(const tw_operator *a, const double *x, double *y)
{
    for (int64_t i = 0; i < a->dims / 3; i++) y[i] = (x[3 * i] + x[3 * i + 1] + x[3 * i + 2]) / 3;
}

static void adjoint(const tw_operator *a, const double *y, double *x)
{
    for (int64_t i = 0; i < a->dims; i++) x[i] = y[i / 3] / 3;
}

static void to_basis(const tw_operator *a, const double *x, double *c)
{
    for (int64_t i = 0; i < a->dims; i += 3) {
        c[i] = (x[i] + x[i + 1] + x[i + 2]) * sqrt(1.0 / 3);
        c[i + 1] = (x[i + 1] + x[i + 2] - 2 * x[i]) * sqrt(1.0 / 6);
        c[i + 2] = (x[i + 1] - x[i + 2]) * M_SQRT1_2;
    }
}

static void from_basis(const tw_operator *a, const double *c, double *x)
{
    for (int64_t i = 0; i < a->dims; i += 3) {
        const double grey = c[i] * sqrt(1.0 / 3), b = c[i + 1] * sqrt(1.0 / 6);
        x[i] = grey - 2 * b;
        x[i + 1] = grey + b + c[i + 2] * M_SQRT1_2;
        x[i + 2] = grey + b - c[i + 2] * M_SQRT1_2;
    }
}

const tw_operator_kind tw_operator_colorize = {
    .kind = {"colorize", "the grey of a picture in colour"},
    .setup = setup,
    .forward = forward,
    .adjoint = adjoint,
    .to_basis = to_basis,
    .from_basis = from_basis,
};
