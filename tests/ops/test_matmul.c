/* Matrix products against slow loops in double, in f32 and bf16: flat, batched, transposed, with
 * bias, of parameters and of values.
 *
 * A sum of K terms errs by about 2^-24 of the sum of their sizes (see test_conv.c); four times that
 * are allowed. */
#include "ops/ops.h"
#include "ops/reference.h"

extern const tw_op tw_op_matmul;

enum { TRANSPOSE_A = 0, TRANSPOSE_B = 1, FLAT = 2, F32_OUT = 3 };

typedef struct problem {
    int rank_a, rank_b;
    int64_t a[4], b[4];
    bool ta, tb, flat, bias;
} problem;

static const problem problems[] = {
    {2, 2, {1, 1}, {1, 1}, false, false, true, true},
    {2, 2, {3, 5}, {5, 4}, false, false, true, false},
    {2, 2, {5, 3}, {4, 5}, true, true, true, true},
    {2, 2, {7, 3}, {7, 11}, true, false, true, false},
    {2, 2, {64, 128}, {512, 128}, false, true, true, true}, /* a layer of the time embedding */
    {3, 2, {2, 3, 5}, {4, 5}, false, true, true, true},
    {4, 2, {2, 3, 5, 17}, {17, 33}, false, false, true, true},
    {3, 3, {2, 5, 17}, {2, 5, 3}, true, false, true, false}, /* the gradient of weights: both as one
                                                                matrix */
    {3, 3, {2, 3, 5}, {2, 5, 1}, false, false, false, false},
    {3, 3, {3, 5, 3}, {3, 5, 4}, true, false, false, true},
    {3, 3, {2, 17, 31}, {2, 19, 31}, false, true, false, false},
    {4, 4, {2, 3, 7, 5}, {2, 3, 9, 7}, true, true, false, false},
    {4, 4, {1, 2, 64, 33}, {1, 2, 33, 65}, false, false, false, true},
    /* cut into pieces: of rows and columns, of long sums, of all three */
    {2, 2, {301, 70}, {140, 70}, false, true, true, true},
    {2, 2, {16, 5001}, {24, 5001}, false, true, true, true},
    {2, 2, {2100, 129}, {2100, 131}, true, false, true, false},
    {3, 3, {2, 17, 3001}, {2, 3001, 33}, false, false, false, true},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

/* Rows and columns of one matrix of an operand, and how many there are. */
typedef struct matrices {
    int64_t count, rows, columns;
} matrices;

static matrices matrices_of(tw_shape s, bool flat)
{
    const int64_t columns = s.dims[s.rank - 1],
                  rows = flat ? tw_shape_count(s) / columns : s.dims[s.rank - 2];
    return (matrices){tw_shape_count(s) / (rows * columns), rows, columns};
}

static double at(const double *x, const matrices *m, bool transposed, int64_t matrix, int64_t i,
                 int64_t j)
{
    return x[matrix * m->rows * m->columns +
             (transposed ? j * m->columns + i : i * m->columns + j)];
}

/* y and the sum of the sizes of its terms. */
static void multiply(const problem *p, double *const *in, double *y, double *size)
{
    const matrices a = matrices_of(tw_shape_make(p->a, p->rank_a), p->flat),
                   b = matrices_of(tw_shape_make(p->b, p->rank_b), p->flat);
    const int64_t rows = p->ta ? a.columns : a.rows, inner = p->ta ? a.rows : a.columns,
                  columns = p->tb ? b.rows : b.columns;
    for (int64_t matrix = 0; matrix < a.count; matrix++)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++, y++, size++) {
                *y = in[2] ? in[2][j] : 0;
                *size = fabs(*y);
                for (int64_t k = 0; k < inner; k++) {
                    const double term =
                        at(in[0], &a, p->ta, matrix, i, k) * at(in[1], &b, p->tb, matrix, k, j);
                    *y += term;
                    *size += fabs(term);
                }
            }
}

static tw_value *operand(tw_graph *g, const char *name, const int64_t *dims, int rank, bool param,
                         tw_type type)
{
    const tw_shape s = tw_shape_make(dims, rank);
    return param ? tw_param(g, name, s, tw_init_ones) : tw_input(g, name, type, s);
}

/* What a product is of. */
typedef struct kinds {
    const char *what;
    bool b_param;
    tw_type a, b;
    bool f32_out;
} kinds;

static const kinds all_kinds[] = {
    {"of two values", false, TW_ACT, TW_ACT, false},
    {"of a value and a parameter", true, TW_ACT, TW_F32, false},
    {"of f32", true, TW_F32, TW_F32, false},
    {"of f32 and a value", false, TW_F32, TW_ACT, false},
    {"of two values, in f32", false, TW_ACT, TW_ACT, true},
};

static void round_to(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (double)tw_from_bf16(tw_to_bf16((float)x[i]));
}

static void solve(const problem *p, const kinds *k, tw_dtype act)
{
    const tw_run run = {0};
    tw_graph *g = new_graph();
    const tw_attr attr = {.i = {p->ta, p->tb, p->flat, k->f32_out}};
    tw_value *a = operand(g, "a", p->a, p->rank_a, false, k->a),
             *b = operand(g, "b", p->b, p->rank_b, k->b_param, k->b);
    const int64_t columns =
        p->tb ? b->shape.dims[b->shape.rank - 2] : b->shape.dims[b->shape.rank - 1];
    tw_value *bias = p->bias ? tw_param(g, "bias", TW_SHAPE(columns), tw_init_ones) : NULL;
    tw_value *y = tw_emit_optional(g, &tw_op_matmul, (tw_value *[]){a, b, bias}, 3, 1u << 2, &attr);
    if (!y) fail_msg("%s", tw_error_message());
    single s;
    single_create(&s, y, act, 0);
    fill_inputs(&s, 1);
    double *in[TW_OP_IN_MAX] = {0};
    for (int i = 0; i < 3; i++) in[i] = read_input(&s, i);
    const bool narrow =
        act == TW_DTYPE_BF16 &&
        (k->a == TW_ACT || k->b == TW_ACT); /* operands are rounded before the product */
    for (int i = 0; narrow && i < 2; i++)
        round_to(in[i], tw_shape_count(s.task.node->in[i]->shape));
    const int64_t n = tw_shape_count(y->shape);
    double *want = malloc((size_t)n * sizeof *want), *size = malloc((size_t)n * sizeof *size);
    float *got = malloc((size_t)n * sizeof *got);
    multiply(p, in, want, size);
    single_run(&s, &run);
    single_get(&s, 0, got);
    const bool half = tw_task_dtype(&s.task, y) == TW_DTYPE_BF16;
    for (int64_t j = 0; j < n; j++) {
        const double tolerance = half ? 0x1p-8 * fabs(want[j]) + 0x1p-20 * size[j]
                                      : (narrow ? 0x1p-20 : 0x1p-22) * size[j];
        if (!(fabs((double)got[j] - want[j]) <= tolerance))
            fail_msg("product %d %s (%s, %s): element %lld is %.9g, wanted %.9g",
                     (int)(p - problems), k->what, s.task.implementation,
                     act == TW_DTYPE_BF16 ? "bf16" : "f32", (long long)j, (double)got[j], want[j]);
    }
    for (int i = 0; i < 3; i++) free(in[i]);
    free(want);
    free(size);
    free(got);
    single_destroy(&s);
    tw_graph_destroy(&g);
}

static void solve_all(tw_dtype act)
{
    for (int i = 0; i < PROBLEMS; i++)
        for (size_t k = 0; k < sizeof all_kinds / sizeof *all_kinds; k++)
            solve(&problems[i], &all_kinds[k], act);
}

static void products_are_those_of_slow_loops(void **state)
{
    (void)state;
    solve_all(TW_DTYPE_F32);
}

static void products_in_bf16_are_those_of_slow_loops(void **state)
{
    (void)state;
    solve_all(TW_DTYPE_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_slow_loops),
        cmocka_unit_test(products_in_bf16_are_those_of_slow_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
