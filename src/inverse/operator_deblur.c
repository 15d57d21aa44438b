/* y = k * x, a convolution with a kernel whose middle is at (height / 2, width / 2) of it.
 *
 * With periodic borders A is diagonal in the Fourier basis, so V is its real form and s = |k̂|. With
 * zeros beyond the borders it has no cheap decomposition. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "inverse/basis.h"
#include "inverse/operator.h"
#include "tweedie/memory.h"

extern const tw_operator_kind tw_operator_deblur;

enum { GAUSSIAN, BOX, MOTION };
enum { PERIODIC, ZERO };

typedef struct deblur_config {
    int kernel, border;
    double width, angle;
    const char *file;
} deblur_config;

static const tw_config_field fields[] = {
    {NULL, "kernel", TW_CONFIG_CHOICE, offsetof(deblur_config, kernel), "gaussian",
     .choices = "gaussian|box|motion", .help = "its shape"},
    {NULL, "width", TW_CONFIG_DOUBLE, offsetof(deblur_config, width), "2", TW_CONFIG_ABOVE_ZERO,
     1000, .help = "pixels: standard deviation of gaussian, side of box, length of motion"},
    {NULL, "angle", TW_CONFIG_DOUBLE, offsetof(deblur_config, angle), "0", -360, 360,
     .help = "motion: degrees from the right, counterclockwise"},
    {NULL, "kernel_file", TW_CONFIG_STRING, offsetof(deblur_config, file), "",
     .help = "FILE.h5:/path of a kernel [height, width], used as it is, in place of a shape"},
    {NULL, "border", TW_CONFIG_CHOICE, offsetof(deblur_config, border), "periodic",
     .choices = "periodic|zero", .help = "what is beyond the picture"},
};

typedef struct blur {
    int64_t h, w; /* of the kernel, odd where it was made from a shape */
    double *kernel;
    tw_fourier *fourier;
    tw_complex *modes, *response; /* [H][W]; response the modes of the kernel, not scaled */
} blur;

/* ---- the kernel ---- */

static double shape_at(const deblur_config *c, double y, double x)
{
    const double half = c->width / 2, angle = c->angle * M_PI / 180;
    const double along = x * cos(angle) - y * sin(angle), across = x * sin(angle) + y * cos(angle);
    if (c->kernel == GAUSSIAN) return exp(-(x * x + y * y) / (2 * c->width * c->width));
    /* what of the pixel is inside, to first order */
    const double in_x = fmin(fmax(half - fabs(x) + 0.5, 0), 1),
                 in_y = fmin(fmax(half - fabs(y) + 0.5, 0), 1);
    if (c->kernel == BOX) return in_x * in_y;
    return fmin(fmax(half - fabs(along) + 0.5, 0), 1) * fmax(1 - fabs(across), 0);
}

static tw_status make_kernel(blur *b, const deblur_config *c)
{
    tw_status st = TW_OK;
    double sum = 0;
    const int64_t reach = (int64_t)ceil(c->kernel == GAUSSIAN ? 4 * c->width : c->width / 2 + 0.5);
    b->h = b->w = 2 * reach + 1;
    TW_TRY(tw_alloc(&b->kernel, b->h * b->w, sizeof *b->kernel, "a kernel"));
    for (int64_t i = 0; i < b->h * b->w; i++) {
        b->kernel[i] = shape_at(c, (double)(i / b->w - reach), (double)(i % b->w - reach));
        sum += b->kernel[i];
    }
    for (int64_t i = 0; i < b->h * b->w; i++) b->kernel[i] /= sum;
done:
    return st;
}

static tw_status read_kernel(tw_operator *a, blur *b, const char *file)
{
    tw_status st = TW_OK;
    int64_t dims[2];
    int rank;
    TW_TRY(operator_read_array(&b->kernel, &rank, dims, "task.kernel_file", file, 1 << 24));
    TW_CHECK(rank == 2, TW_EDATA, "task.kernel_file: %s has one axis; [height, width] was expected",
             file);
    b->h = dims[0];
    b->w = dims[1];
    TW_TRY(operator_add_digest(a, "kernel_digest", b->kernel,
                               (size_t)(b->h * b->w) * sizeof *b->kernel));
done:
    return st;
}

/* ---- in the Fourier basis ---- */

static int64_t wrapped(int64_t i, int64_t n)
{
    return ((i % n) + n) % n;
}

static tw_status use_fourier(tw_operator *a, blur *b)
{
    tw_status st = TW_OK;
    const int64_t h = a->in.height, w = a->in.width, pixels = h * w;
    double *image = NULL;
    TW_TRY(tw_fourier_create(&b->fourier, h, w));
    TW_TRY(tw_alloc(&image, pixels, sizeof *image, "a kernel"));
    TW_TRY(tw_alloc(&b->modes, pixels, sizeof *b->modes, "a spectrum"));
    TW_TRY(tw_alloc(&b->response, pixels, sizeof *b->response, "a spectrum"));
    for (int64_t i = 0; i < b->h * b->w; i++)
        image[wrapped(i / b->w - b->h / 2, h) * w + wrapped(i % b->w - b->w / 2, w)] +=
            b->kernel[i];
    tw_fourier_forward(b->fourier, image, 1, b->response);
    TW_TRY(operator_alloc_singular(a));
    for (int64_t i = 0; i < pixels; i++) {
        b->response[i].re *= sqrt((double)pixels);
        b->response[i].im *= sqrt((double)pixels);
        for (int64_t c = 0; c < a->in.channels; c++)
            a->singular[i * a->in.channels + c] = hypot(b->response[i].re, b->response[i].im);
    }
    /* Of a pair both have the same |k̂|, but for rounding: made equal, as AᵀA is the one of both. */
    for (int64_t i = 0; i < a->dims; i++) {
        const int64_t ch = a->in.channels, j = tw_fourier_partner(h, w, i / ch) * ch + i % ch;
        if (j < i) a->singular[i] = a->singular[j];
    }
done:
    tw_free(&image);
    return st;
}

static void release(tw_operator *a)
{
    blur *b = a->own;
    tw_free(&b->kernel);
    tw_free(&b->modes);
    tw_free(&b->response);
    tw_fourier_destroy(&b->fourier);
}

static tw_status setup(tw_operator *a)
{
    tw_status st = TW_OK;
    const deblur_config *c = a->config;
    blur *b = NULL;
    TW_CHECK(!a->in.points, TW_ECONFIG, "task.kind: deblur is for images, not for points");
    TW_TRY(tw_alloc(&b, 1, sizeof *b, "a blur"));
    a->own = b;
    TW_TRY(*c->file ? read_kernel(a, b, c->file) : make_kernel(b, c));
    if (c->border == PERIODIC) TW_TRY(use_fourier(a, b));
done:
    return st;
}

/* ---- applying ---- */

static void filter(const tw_operator *a, const double *x, bool adjoint, double *y)
{
    const blur *b = a->own;
    for (int64_t c = 0; c < a->in.channels; c++) {
        tw_fourier_forward(b->fourier, x + c, a->in.channels, b->modes);
        for (int64_t i = 0; i < a->in.height * a->in.width; i++) {
            const tw_complex k = b->response[i], m = b->modes[i];
            const double im = adjoint ? -k.im : k.im;
            b->modes[i] = (tw_complex){k.re * m.re - im * m.im, k.re * m.im + im * m.re};
        }
        tw_fourier_backward(b->fourier, b->modes, y + c, a->in.channels);
    }
}

static void convolve(const tw_operator *a, const double *x, bool adjoint, double *y)
{
    const blur *b = a->own;
    const int64_t h = a->in.height, w = a->in.width, ch = a->in.channels;
    memset(y, 0, (size_t)a->dims * sizeof *y);
    for (int64_t k = 0; k < b->h * b->w; k++) {
        int64_t dy = k / b->w - b->h / 2, dx = k % b->w - b->w / 2;
        if (adjoint) {
            dy = -dy;
            dx = -dx;
        }
        for (int64_t row = dy > 0 ? dy : 0; row < h + (dy < 0 ? dy : 0); row++)
            for (int64_t col = dx > 0 ? dx : 0; col < w + (dx < 0 ? dx : 0); col++)
                for (int64_t c = 0; c < ch; c++)
                    y[(row * w + col) * ch + c] +=
                        b->kernel[k] * x[((row - dy) * w + col - dx) * ch + c];
    }
}

static void forward(const tw_operator *a, const double *x, double *y)
{
    const blur *b = a->own;
    (b->fourier ? filter : convolve)(a, x, false, y);
}

static void adjoint(const tw_operator *a, const double *y, double *x)
{
    const blur *b = a->own;
    (b->fourier ? filter : convolve)(a, y, true, x);
}

static void to_basis(const tw_operator *a, const double *x, double *c)
{
    const blur *b = a->own;
    for (int64_t k = 0; k < a->in.channels; k++) {
        tw_fourier_forward(b->fourier, x + k, a->in.channels, b->modes);
        tw_fourier_pack(a->in.height, a->in.width, b->modes, c + k, a->in.channels);
    }
}

static void from_basis(const tw_operator *a, const double *c, double *x)
{
    const blur *b = a->own;
    for (int64_t k = 0; k < a->in.channels; k++) {
        tw_fourier_unpack(a->in.height, a->in.width, c + k, a->in.channels, b->modes);
        tw_fourier_backward(b->fourier, b->modes, x + k, a->in.channels);
    }
}

const tw_operator_kind tw_operator_deblur = {
    .kind = {"deblur", "a convolution with a kernel", fields, sizeof fields / sizeof *fields,
             sizeof(deblur_config)},
    .setup = setup,
    .forward = forward,
    .adjoint = adjoint,
    .to_basis = to_basis,
    .from_basis = from_basis,
    .release = release,
    .channelwise = true,
};
