/* Products in fixed point, of every instruction set: as close to products in double as their scales
 * say, without an overflow at the most terms, and no numbers where a row has one that is none. The
 * same of those with rows of f32 below each other (`turned`). */
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

/* ---- turned ---- */

enum { WIDE = 32 };

/* x [terms][16] and y [terms][WIDE] as both sides, [pair][…][2], y in panels; c [16][WIDE]. */
typedef struct turned {
    const form *f;
    int64_t terms;
    int16_t *a, *b;
    float row[TW_PANEL], column[WIDE], *c;
} turned;

static turned turned_of(const form *f, int64_t terms)
{
    turned t = {.f = f, .terms = terms};
    t.a = calloc((size_t)((terms + 1) * TW_PANEL), sizeof *t.a);
    t.b = calloc((size_t)((terms + 1) * WIDE), sizeof *t.b);
    t.c = calloc((size_t)TW_PANEL * WIDE, sizeof *t.c);
    return t;
}

static void turned_free(turned *t)
{
    free(t->a);
    free(t->b);
    free(t->c);
}

static int16_t *turned_panel(const turned *t, int64_t column)
{
    return t->b + (t->terms + 1) / 2 * 2 * column;
}

static void turned_quantise(turned *t, const float *x, const float *y)
{
    const int columns = t->f->panel->columns;
    float *panel = malloc((size_t)(t->terms * columns) * sizeof *panel);
    t->f->kern->pairs(t->a, t->row, x, t->terms, TW_PANEL);
    for (int j = 0; j < WIDE; j += columns) {
        for (int64_t k = 0; k < t->terms; k++)
            memcpy(panel + k * columns, y + k * WIDE + j, (size_t)columns * sizeof *panel);
        t->f->kern->pairs(turned_panel(t, j), t->column + j, panel, t->terms, columns);
    }
    free(panel);
}

static void turned_solve(turned *t, int rows, bool add)
{
    const int columns = t->f->panel->columns;
    float out[TW_PANEL * WIDE];
    for (int j = 0; j < WIDE; j += columns)
        for (int r = 0; r < TW_PANEL; r += rows) {
            const int count = rows < TW_PANEL - r ? rows : TW_PANEL - r;
            const tw_short_product product = {.a = t->a + 2 * r,
                                              .b = turned_panel(t, j),
                                              .row = t->row + r,
                                              .column = t->column + j,
                                              .c = out,
                                              .pairs = (t->terms + 1) / 2,
                                              .add = add};
            for (int q = 0; q < count; q++)
                memcpy(out + q * columns, t->c + (r + q) * WIDE + j, (size_t)columns * sizeof *out);
            t->f->kern->turned[t->f->native](&product, count);
            for (int q = 0; q < count; q++)
                memcpy(t->c + (r + q) * WIDE + j, out + q * columns, (size_t)columns * sizeof *out);
        }
}

/* Whole numbers and scales of powers of two: nothing is rounded but the sum, and that once. */
static void turned_sums_are_exact(void **state)
{
    (void)state;
    form f[4];
    const int n = forms_of(f);
    for (int i = 0; i < n; i++)
        for (int rows = 1; rows <= f[i].kern->rows_max; rows++) {
            turned t = turned_of(&f[i], 64);
            for (int k = 0; k < 64; k++) {
                for (int r = 0; r < TW_PANEL; r++)
                    t.a[k / 2 * 2 * TW_PANEL + 2 * r + k % 2] =
                        (int16_t)(5700 * noise(3, k * TW_PANEL + r));
                for (int j = 0; j < WIDE; j++)
                    turned_panel(&t,
                                 j / f[i].panel->columns *
                                     f[i].panel->columns)[k / 2 * 2 * f[i].panel->columns +
                                                          2 * (j % f[i].panel->columns) + k % 2] =
                        (int16_t)(5700 * noise(4, k * WIDE + j));
            }
            for (int r = 0; r < TW_PANEL; r++) t.row[r] = exp2f((float)(r - 8));
            for (int j = 0; j < WIDE; j++) t.column[j] = exp2f((float)-j);
            turned_solve(&t, rows, false);
            for (int add = 0; add < 2; add++)
                for (int e = 0; e < TW_PANEL * WIDE; e++) {
                    const int r = e / WIDE, j = e % WIDE;
                    int64_t sum = 0;
                    for (int k = 0; k < 64; k++)
                        sum += (int16_t)(5700 * noise(3, k * TW_PANEL + r)) *
                               (int64_t)(int16_t)(5700 * noise(4, k * WIDE + j));
                    assert_true(llabs(sum) <= INT32_MAX);
                    assert_true(t.c[e] == ldexpf((float)sum, r - 8 - j) * (float)(1 + add));
                    if (add == 0 && e + 1 == TW_PANEL * WIDE) turned_solve(&t, rows, true);
                }
            turned_free(&t);
        }
}

/* Numbers of channels, and some terms of each, are larger than others by powers of ten. */
static float *turned_noise(int which, int64_t terms, int width)
{
    float *x = malloc((size_t)(terms * width) * sizeof *x);
    for (int64_t k = 0; k < terms; k++)
        for (int j = 0; j < width; j++)
            x[k * width + j] = (float)noise(which, k * width + j) * exp2f((float)(j - 8)) *
                               (k % 7 == 3 ? 1000.0f : 1.0f) * (k == terms / 2 ? 30.0f : 1.0f);
    return x;
}

/* As above: a sum errs by |x| |y| (1 / s² / 6)^½, s |x| being 46250, or 32767 where one number is
 * most of |x|. */
static void turned_products_are_those_of_double(void **state)
{
    (void)state;
    static const int64_t terms[] = {1, 2, 15, 64, 257};
    form f[4];
    const int n = forms_of(f);
    for (int s = 0; s < 5; s++) {
        float *x = turned_noise(5, terms[s], TW_PANEL), *y = turned_noise(6, terms[s], WIDE);
        for (int i = 0; i < n; i++) {
            turned t = turned_of(&f[i], terms[s]);
            turned_quantise(&t, x, y);
            turned_solve(&t, f[i].kern->rows_max, false);
            for (int e = 0; e < TW_PANEL * WIDE; e++) {
                double want = 0, xx = 0, yy = 0;
                for (int64_t k = 0; k < terms[s]; k++) {
                    const double p = (double)x[k * TW_PANEL + e / WIDE],
                                 q = (double)y[k * WIDE + e % WIDE];
                    want += p * q;
                    xx += p * p;
                    yy += q * q;
                }
                if (!(fabs((double)t.c[e] - want) <= 5 * sqrt(xx * yy / 6) / 32767))
                    fail_msg("%lld terms, form %d, element %d: %g, wanted %g", (long long)terms[s],
                             i, e, (double)t.c[e], want);
            }
            turned_free(&t);
        }
        free(x);
        free(y);
    }
}

/* Where all numbers are equal, and where one of them is all but everything. */
static void the_most_turned_terms_do_not_overflow(void **state)
{
    (void)state;
    enum { TERMS = TW_SHORT_TURNED_TERMS_MAX };
    float *x = malloc(sizeof *x * TERMS * TW_PANEL), *y = malloc(sizeof *y * TERMS * WIDE);
    form f[4];
    const int n = forms_of(f);
    for (int spike = 0; spike < 2; spike++) {
        for (int k = 0; k < TERMS * TW_PANEL; k++) x[k] = spike && k >= TW_PANEL ? 1e-6f : -3;
        for (int k = 0; k < TERMS * WIDE; k++) y[k] = spike && k >= WIDE ? 1e-6f : 7;
        for (int i = 0; i < n; i++) {
            turned t = turned_of(&f[i], TERMS);
            turned_quantise(&t, x, y);
            turned_solve(&t, 4, false);
            for (int e = 0; e < TW_PANEL * WIDE; e++)
                assert_true(fabs((double)t.c[e] / (spike ? -21 : -21 * TERMS) - 1) < 0.01);
            turned_free(&t);
        }
    }
    free(x);
    free(y);
}

static void what_is_no_number_stays_none_when_turned(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    enum { TERMS = 10, ROW = 2, COLUMN = 5 };
    form f[4];
    const int n = forms_of(f);
    for (int b = 0; b < 6; b++)
        for (int i = 0; i < n; i++) {
            float *x = turned_noise(5, TERMS, TW_PANEL), *y = turned_noise(6, TERMS, WIDE);
            turned t = turned_of(&f[i], TERMS);
            for (int k = 0; k < TERMS; k++) x[k * TW_PANEL + 1] = 0;
            *(b < 3 ? &x[4 * TW_PANEL + ROW] : &y[7 * WIDE + COLUMN]) = bad[b % 3];
            turned_quantise(&t, x, y);
            turned_solve(&t, f[i].kern->rows_max, false);
            turned_solve(&t, f[i].kern->rows_max, true);
            for (int e = 0; e < TW_PANEL * WIDE; e++) {
                const bool none = b < 3 ? e / WIDE == ROW : e % WIDE == COLUMN;
                assert_int_equal(isfinite(t.c[e]) != 0, !none);
                if (e / WIDE == 1 && !none) assert_true(t.c[e] == 0);
            }
            turned_free(&t);
            free(x);
            free(y);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_are_those_of_double),
                                       cmocka_unit_test(the_most_terms_do_not_overflow),
                                       cmocka_unit_test(what_is_no_number_stays_none),
                                       cmocka_unit_test(turned_sums_are_exact),
                                       cmocka_unit_test(turned_products_are_those_of_double),
                                       cmocka_unit_test(the_most_turned_terms_do_not_overflow),
                                       cmocka_unit_test(what_is_no_number_stays_none_when_turned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
