/* Products in fixed point, of every instruction set: as close to products in double as their scales
 * say, without an overflow at the most terms, and no numbers where a row has one that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/kern_short.h"
#include "ops/reference.h"

enum { ROWS = 12, BLOCK = 16 };

/* x [ROWS][terms] times y [terms][16]. */
typedef struct problem {
    int64_t terms; /* a multiple of 16 */
    float *x, *y;
} problem;

static problem problem_of(int64_t terms, bool random)
{
    problem p = {.terms = terms};
    p.x = malloc((size_t)(ROWS * terms) * sizeof *p.x);
    p.y = malloc((size_t)(terms * BLOCK) * sizeof *p.y);
    for (int64_t i = 0; i < ROWS * terms; i++)
        p.x[i] = random ? (float)noise(1, i) * exp2f((float)(i / terms)) : 1;
    for (int64_t i = 0; i < terms * BLOCK; i++)
        p.y[i] = random ? (float)noise(2, i) * exp2f((float)(-i % BLOCK)) : 1;
    return p;
}

static void problem_free(problem *p)
{
    free(p->x);
    free(p->y);
}

/* The right side in panels of `columns`, and its inverse scales. */
static int16_t *right_side(float column[BLOCK], const problem *p, int columns)
{
    int16_t *b = calloc((size_t)(p->terms * TW_PANEL_COLUMNS_MAX), sizeof *b);
    for (int j = 0; j < BLOCK; j++) {
        float squares = 0;
        for (int64_t i = 0; i < p->terms; i++) {
            const float y = p->y[i * BLOCK + j] * TW_SHORT_UNIT;
            squares += y * y;
        }
        const float scale = tw_short_scale(squares, 0, TW_SHORT_RIGHT, &column[j]);
        int16_t *to = b + j / columns * columns * p->terms + 2 * (j % columns);
        for (int64_t i = 0; i < p->terms; i++)
            to[i / 2 * 2 * columns + i % 2] = (int16_t)rintf(p->y[i * BLOCK + j] * scale);
    }
    return b;
}

/* c[ROWS][16], by `rows` rows at a time. */
static void solve(float *c, const problem *p, const tw_kern_short *k, int columns, int native,
                  int rows)
{
    const int64_t panel = p->terms * columns;
    int16_t *a = malloc((size_t)(ROWS * p->terms) * sizeof *a);
    float row[ROWS], column[TW_PANEL_COLUMNS_MAX] = {0}, out[ROWS * TW_PANEL_COLUMNS_MAX];
    int16_t *b = right_side(column, p, columns);
    for (int r = 0; r < ROWS; r++)
        row[r] = k->left(a + r * p->terms, p->x + r * p->terms, p->terms);
    for (int j = 0; j < BLOCK; j += columns)
        for (int r = 0; r < ROWS; r += rows) {
            const tw_short_product product = {.a = a + r * p->terms,
                                              .b = b + j / columns * panel,
                                              .row = row + r,
                                              .column = column + j,
                                              .c = out,
                                              .pairs = p->terms / 2,
                                              .a_stride = p->terms};
            k->product[native](&product, rows);
            for (int q = 0; q < rows; q++)
                memcpy(c + (r + q) * BLOCK + j, out + q * columns,
                       (size_t)(columns < BLOCK ? columns : BLOCK) * sizeof *c);
        }
    free(a);
    free(b);
}

typedef struct form {
    const tw_kern_short *kern;
    const tw_kern_panel *panel;
    int native;
} form;

/* Those that this processor runs. */
static int forms_of(form out[4])
{
    const tw_processor p = tw_processor_get();
    int n = 0;
    out[n++] = (form){&tw_kern_short_baseline, &tw_kern_panel_baseline, 0};
    if (p.isa >= TW_ISA_AVX2) out[n++] = (form){&tw_kern_short_avx2, &tw_kern_panel_avx2, 0};
    if (p.isa >= TW_ISA_AVX512) out[n++] = (form){&tw_kern_short_avx512, &tw_kern_panel_avx512, 0};
    if (p.avx512_vnni) out[n++] = (form){&tw_kern_short_avx512, &tw_kern_panel_avx512, 1};
    return n;
}

/* Roundings are independent: a sum errs by (|x| / s_y + |y| / s_x) / √12, s being 32500 / |y| and
 * 65000 / |x|, or less where one number is above half of |x|. */
static void products_are_those_of_double(void **state)
{
    (void)state;
    static const int64_t terms[] = {16, 32, 240, 1024};
    form f[4];
    const int n = forms_of(f);
    for (int t = 0; t < 4; t++) {
        problem p = problem_of(terms[t], true);
        for (int i = 0; i < n; i++)
            for (int rows = 1; rows <= f[i].kern->rows_max; rows++) {
                float c[ROWS * BLOCK];
                if (ROWS % rows) continue;
                solve(c, &p, f[i].kern, f[i].panel->columns, f[i].native, rows);
                for (int r = 0; r < ROWS; r++)
                    for (int j = 0; j < BLOCK; j++) {
                        double want = 0, xx = 0, yy = 0;
                        for (int64_t k = 0; k < p.terms; k++) {
                            const double x = (double)p.x[r * p.terms + k],
                                         y = (double)p.y[k * BLOCK + j];
                            want += x * y;
                            xx += x * x;
                            yy += y * y;
                        }
                        const double error = sqrt(xx * yy * (double)p.terms / 12) / 20000;
                        if (!(fabs((double)c[r * BLOCK + j] - want) <= 5 * error))
                            fail_msg("%lld terms, form %d, row %d, column %d: %g, wanted %g",
                                     (long long)p.terms, i, r, j, (double)c[r * BLOCK + j], want);
                    }
            }
        problem_free(&p);
    }
}

/* Sums are at their bound where all numbers are equal. */
static void the_most_terms_do_not_overflow(void **state)
{
    (void)state;
    problem p = problem_of(TW_SHORT_TERMS_MAX, false);
    form f[4];
    const int n = forms_of(f);
    for (int i = 0; i < n; i++) {
        float c[ROWS * BLOCK];
        solve(c, &p, f[i].kern, f[i].panel->columns, f[i].native, f[i].kern->rows_max);
        for (int j = 0; j < ROWS * BLOCK; j++)
            assert_true(fabs((double)c[j] / TW_SHORT_TERMS_MAX - 1) < 0.01);
    }
    problem_free(&p);
}

/* And nothing else: other rows stay as they are. A row of zeros gives zeros. */
static void what_is_no_number_stays_none(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    problem p = problem_of(48, true);
    form f[4];
    const int n = forms_of(f);
    memset(p.x + p.terms, 0, (size_t)p.terms * sizeof *p.x);
    for (int b = 0; b < 3; b++)
        for (int i = 0; i < n; i++) {
            float c[ROWS * BLOCK];
            p.x[2 * p.terms + 7] = bad[b];
            solve(c, &p, f[i].kern, f[i].panel->columns, f[i].native, f[i].kern->rows_max);
            for (int j = 0; j < ROWS * BLOCK; j++)
                if (j / BLOCK == 1)
                    assert_true(c[j] == 0);
                else
                    assert_int_equal(isfinite(c[j]) != 0, j / BLOCK != 2);
        }
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_are_those_of_double),
                                       cmocka_unit_test(the_most_terms_do_not_overflow),
                                       cmocka_unit_test(what_is_no_number_stays_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
