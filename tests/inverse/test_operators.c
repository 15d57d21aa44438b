/* Operators: each is linear, has the adjoint that it says, and the singular values and right
 * vectors that it says, at odd shapes; and each is what its definition says, by slow loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inverse/inverse_fixture.h"

static char folder[192];

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

/* A [rows][columns] of numbers that differ, as FILE:/a. */
static void write_array(const char *file, const char *name, int rank, const hsize_t *dims,
                        hid_t type, const void *values, bool fresh)
{
    const hid_t f = fresh ? H5Fcreate(file, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)
                          : H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(rank, dims, NULL);
    const hid_t d = H5Dcreate2(f, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Fclose(f);
}

/* ---- identities ---- */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Everything that an operator promises. */
static void hold_to_its_word(tw_operator *a, const char *what)
{
    const int64_t n = a->dims, m = a->outputs;
    double *x = numbers(n, 1), *y = numbers(m, 2), *ax = numbers(m, 0), *aty = numbers(n, 0),
           *c = numbers(n, 0), *back = numbers(n, 0);
    tw_operator_forward(a, x, ax);
    tw_operator_adjoint(a, y, aty);
    near_to(dot(ax, y, m), dot(x, aty, n), 1e-11 * sqrt((double)n), what);
    assert_int_equal(tw_operator_need_basis(a), TW_OK);
    /* V is orthogonal … */
    tw_operator_to_basis(a, x, c);
    tw_operator_from_basis(a, c, back);
    for (int64_t i = 0; i < n; i++) near_to(back[i], x[i], 1e-10, what);
    near_to(dot(c, c, n), dot(x, x, n), 1e-9, what);
    /* … and AᵀA = V S² Vᵀ */
    tw_operator_adjoint(a, ax, aty);
    for (int64_t i = 0; i < n; i++) c[i] *= a->singular[i] * a->singular[i];
    tw_operator_from_basis(a, c, back);
    for (int64_t i = 0; i < n; i++) near_to(back[i], aty[i], 1e-9, what);
    free(x), free(y), free(ax), free(aty), free(c), free(back);
}

static void hold(tw_extent in, const char *name, int count, const char *const *keys)
{
    tw_operator *a = make_operator(in, name, count, keys);
    hold_to_its_word(a, name);
    const double unit[3] = {2, 0.5, -3};
    if (a->in.channels <= 3) {
        tw_operator_destroy(&a);
        a = make_operator(in, name, count, keys);
        assert_int_equal(tw_operator_set_units(a, unit), TW_OK);
        hold_to_its_word(a, name);
    }
    tw_operator_destroy(&a);
}

#define KEYS(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define HOLD(in, name, ...)                                                                        \
    hold((in), name, (int)(sizeof KEYS(__VA_ARGS__) / sizeof(char *)), KEYS(__VA_ARGS__))

static const tw_extent odd = {9, 6, 2, false}, prime = {7, 5, 1, false}, colour = {5, 3, 3, false},
                       point = {1, 1, 5, true};

static void adjoints_and_singular_values_are_what_they_say(void **state)
{
    (void)state;
    hold(odd, "denoise", 0, NULL);
    hold(point, "denoise", 0, NULL);
    HOLD(odd, "inpaint", "box=1,2,3,4");
    HOLD(odd, "inpaint", "half=left");
    HOLD(prime, "inpaint", "half=bottom");
    HOLD(point, "inpaint", "coordinates=0,3");
    hold(colour, "colorize", 0, NULL);
    HOLD(odd, "superres", "factor=3");
    HOLD(odd, "deblur", "width=1.3");
    HOLD(prime, "deblur", "kernel=motion", "width=3", "angle=30");
    HOLD(prime, "deblur", "kernel=box", "width=2.5", "border=zero");
    HOLD(odd, "deblur", "width=2", "border=zero");
    HOLD(odd, "compressed", "fraction=0.3");
    HOLD(odd, "compressed", "fraction=1");
    HOLD(point, "compressed", "fraction=0.4");
    HOLD(odd, "compressed", "transform=fourier", "fraction=0.3");
    HOLD(prime, "compressed", "transform=dct", "fraction=0.5");
}

/* ---- definitions ---- */

static void averages_are_those_of_blocks(void **state)
{
    (void)state;
    tw_operator *a = make_operator(odd, "superres", 1, KEYS("factor=3"));
    double *x = numbers(a->dims, 3), *y = numbers(a->outputs, 0);
    tw_operator_forward(a, x, y);
    assert_int_equal(a->out.height, 3);
    assert_int_equal(a->out.width, 2);
    for (int64_t by = 0; by < 3; by++)
        for (int64_t bx = 0; bx < 2; bx++)
            for (int64_t c = 0; c < 2; c++) {
                double sum = 0;
                for (int64_t i = 0; i < 3; i++)
                    for (int64_t j = 0; j < 3; j++)
                        sum += x[((3 * by + i) * 6 + 3 * bx + j) * 2 + c];
                near_to(y[(by * 2 + bx) * 2 + c], sum / 9, 1e-14, "average");
            }
    free(x), free(y);
    tw_operator_destroy(&a);
}

/* Both borders, by four loops, of a kernel from a file that is neither square nor symmetric. */
static void a_blur_is_a_convolution(void **state)
{
    (void)state;
    enum { KH = 3, KW = 4 };
    const hsize_t dims[2] = {KH, KW};
    double *k = numbers(KH * KW, 5);
    char key[300];
    write_array(in_folder("k.h5"), "/k", 2, dims, H5T_NATIVE_DOUBLE, k, true);
    snprintf(key, sizeof key, "kernel_file=%s:/k", in_folder("k.h5"));
    for (int zero = 0; zero < 2; zero++) {
        tw_operator *a =
            make_operator(odd, "deblur", 2, KEYS(key, zero ? "border=zero" : "border=periodic"));
        double *x = numbers(a->dims, 6), *y = numbers(a->outputs, 0);
        tw_operator_forward(a, x, y);
        for (int64_t i = 0; i < 9; i++)
            for (int64_t j = 0; j < 6; j++)
                for (int64_t c = 0; c < 2; c++) {
                    double sum = 0;
                    for (int64_t u = 0; u < KH; u++)
                        for (int64_t v = 0; v < KW; v++) {
                            const int64_t p = i - (u - KH / 2), q = j - (v - KW / 2);
                            if (zero && (p < 0 || p >= 9 || q < 0 || q >= 6)) continue;
                            sum += k[u * KW + v] * x[((p + 9) % 9 * 6 + (q + 6) % 6) * 2 + c];
                        }
                    near_to(y[(i * 6 + j) * 2 + c], sum, 1e-12, zero ? "zero" : "periodic");
                }
        hold_to_its_word(a, "kernel of a file");
        free(x), free(y);
        tw_operator_destroy(&a);
    }
    free(k);
}

static void shapes_keep_the_mean(void **state)
{
    (void)state;
    static const char *const shapes[] = {"kernel=gaussian", "kernel=box", "kernel=motion"};
    for (int i = 0; i < 3; i++) {
        tw_operator *a = make_operator(odd, "deblur", 2, KEYS(shapes[i], "width=2.2"));
        double *x = numbers(a->dims, 0), *y = numbers(a->outputs, 0);
        for (int64_t k = 0; k < a->dims; k++) x[k] = 0.7;
        tw_operator_forward(a, x, y);
        for (int64_t k = 0; k < a->dims; k++) near_to(y[k], 0.7, 1e-12, shapes[i]);
        free(x), free(y);
        tw_operator_destroy(&a);
    }
}

static void grey_is_the_mean_of_the_channels(void **state)
{
    (void)state;
    tw_operator *a = make_operator(colour, "colorize", 0, NULL);
    double *x = numbers(a->dims, 4), *y = numbers(a->outputs, 0);
    tw_operator_forward(a, x, y);
    for (int64_t i = 0; i < a->outputs; i++)
        near_to(y[i], (x[3 * i] + x[3 * i + 1] + x[3 * i + 2]) / 3, 1e-15, "grey");
    free(x), free(y);
    tw_operator_destroy(&a);
}

static void modes_are_those_of_the_transform(void **state)
{
    (void)state;
    tw_operator *a = make_operator(prime, "compressed", 2, KEYS("transform=fourier", "fraction=1"));
    double *x = numbers(a->dims, 4), *y = numbers(a->outputs, 0), mean = 0;
    assert_int_equal(a->outputs, a->dims);
    tw_operator_forward(a, x, y);
    for (int64_t i = 0; i < a->dims; i++) mean += x[i];
    near_to(y[0], mean / sqrt(35), 1e-12, "the mean");
    double re = 0, im = 0; /* mode (1, 2) and its partner (6, 3) */
    for (int64_t i = 0; i < 35; i++) {
        const double angle = 2 * M_PI * ((double)(i / 5) / 7 + 2 * (double)(i % 5) / 5);
        re += x[i] * cos(angle) * sqrt(2.0 / 35);
        im -= x[i] * sin(angle) * sqrt(2.0 / 35);
    }
    near_to(y[1 * 5 + 2], re, 1e-12, "real part");
    near_to(y[6 * 5 + 3], im, 1e-12, "imaginary part");
    free(x), free(y);
    tw_operator_destroy(&a);
}

/* A matrix of one's own, dense and as sparse rows, is that matrix. */
static void a_matrix_is_read_dense_and_sparse(void **state)
{
    (void)state;
    enum { M = 4, D = 5 };
    double dense[M * D] = {0}, data[7], x[D], y[M], z[M];
    int32_t indices[7] = {0, 3, 1, 2, 4, 0, 4};
    int64_t indptr[M + 1] = {0, 2, 2, 5, 7};
    const hsize_t dims[2] = {M, D}, n = 7, p = M + 1;
    for (int i = 0; i < M; i++)
        for (int64_t k = indptr[i]; k < indptr[i + 1]; k++)
            dense[i * D + indices[k]] = data[k] = 0.3 * (double)(k + 1) - 1;
    const char *file = in_folder("m.h5");
    write_array(file, "/a", 2, dims, H5T_NATIVE_DOUBLE, dense, true);
    const hid_t f = H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(f, "/s", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(f);
    write_array(file, "/s/data", 1, &n, H5T_NATIVE_DOUBLE, data, false);
    write_array(file, "/s/indices", 1, &n, H5T_NATIVE_INT32, indices, false);
    write_array(file, "/s/indptr", 1, &p, H5T_NATIVE_INT64, indptr, false);
    char of_dense[300], of_sparse[300];
    snprintf(of_dense, sizeof of_dense, "matrix=%s:/a", file);
    snprintf(of_sparse, sizeof of_sparse, "matrix=%s:/s", file);
    tw_operator *a = make_operator(point, "linear", 1, KEYS(of_dense)),
                *b = make_operator(point, "linear", 2, KEYS(of_sparse, "format=csr"));
    for (int i = 0; i < D; i++) x[i] = i * i - 2.5;
    tw_operator_forward(a, x, y);
    tw_operator_forward(b, x, z);
    for (int i = 0; i < M; i++) {
        near_to(y[i], dot(dense + i * D, x, D), 1e-15, "dense");
        near_to(z[i], y[i], 1e-15, "sparse");
    }
    hold_to_its_word(a, "dense");
    hold_to_its_word(b, "sparse");
    tw_text text = {0};
    assert_int_equal(tw_operator_describe(&text, a), TW_OK);
    assert_non_null(strstr(text.data, "matrix_digest="));
    tw_text_free(&text);
    tw_operator_destroy(&a);
    tw_operator_destroy(&b);
}

static void refused(tw_extent in, const char *name, int count, const char *const *keys,
                    tw_status wanted, const char *word)
{
    tw_operator *a = NULL;
    assert_int_equal(tw_operator_make(&a, &in, name, count, keys), wanted);
    assert_null(a);
    if (!strstr(tw_error_message(), word)) fail_msg("no '%s' in: %s", word, tw_error_message());
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    char key[300];
    const hsize_t dims[2] = {2, 3};
    double bad[6] = {1, 2, NAN, 4, 5, 6};
    refused(odd, "inpaint", 0, NULL, TW_ECONFIG, "task.mask");
    refused(odd, "inpaint", 2, KEYS("half=left", "box=0,0,1,1"), TW_ECONFIG, "one of task.mask");
    refused(odd, "inpaint", 1, KEYS("box=8,0,2,2"), TW_ECONFIG, "9 x 6");
    refused(odd, "superres", 1, KEYS("factor=4"), TW_ECONFIG, "9 x 6");
    refused(odd, "colorize", 0, NULL, TW_ECONFIG, "3 channels");
    refused(point, "deblur", 0, NULL, TW_ECONFIG, "images");
    refused(odd, "linear", 0, NULL, TW_ECONFIG, "task.matrix");
    refused(odd, "blur", 0, NULL, TW_ECONFIG, "deblur");
    write_array(in_folder("bad.h5"), "/a", 2, dims, H5T_NATIVE_DOUBLE, bad, true);
    snprintf(key, sizeof key, "matrix=%s:/a", in_folder("bad.h5"));
    refused(point, "linear", 1, KEYS(key), TW_EDATA, "not finite");
    bad[2] = 3;
    write_array(in_folder("short.h5"), "/a", 2, dims, H5T_NATIVE_DOUBLE, bad, true);
    snprintf(key, sizeof key, "matrix=%s:/a", in_folder("short.h5"));
    refused(point, "linear", 1, KEYS(key), TW_EDATA, "[2, 3]");
    snprintf(key, sizeof key, "matrix=%s:/b", in_folder("short.h5"));
    refused(point, "linear", 1, KEYS(key), TW_EDATA, "/b");
}

static void noise_is_a_function_of_seed_and_row(void **state)
{
    (void)state;
    tw_operator *a = make_operator(odd, "denoise", 0, NULL);
    double *x = numbers(a->dims, 3), *y = numbers(a->dims, 0), *z = numbers(a->dims, 0), square = 0;
    tw_operator_simulate(a, x, 0.5, 7, 11, y);
    tw_operator_simulate(a, x, 0.5, 7, 11, z);
    assert_memory_equal(y, z, (size_t)a->dims * sizeof *y);
    tw_operator_simulate(a, x, 0.5, 7, 12, z);
    for (int64_t i = 0; i < a->dims; i++) {
        square += (y[i] - x[i]) * (y[i] - x[i]) / (double)a->dims;
        assert_true(y[i] != z[i]);
    }
    near_to(sqrt(square), 0.5, 0.2, "noise");
    free(x), free(y), free(z);
    tw_operator_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adjoints_and_singular_values_are_what_they_say),
        cmocka_unit_test(averages_are_those_of_blocks),
        cmocka_unit_test(a_blur_is_a_convolution),
        cmocka_unit_test(shapes_keep_the_mean),
        cmocka_unit_test(grey_is_the_mean_of_the_channels),
        cmocka_unit_test(modes_are_those_of_the_transform),
        cmocka_unit_test(a_matrix_is_read_dense_and_sparse),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(noise_is_a_function_of_seed_and_row),
    };
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tweedie-operators-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 || failed;
}
