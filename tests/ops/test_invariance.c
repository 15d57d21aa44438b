/* What no operation's result may depend on: the number of threads, bit for bit; and, to rounding,
 * the instruction set. */
#include <omp.h>
#include <pthread.h>

#include "ops/ops.h"
#include "ops/reference.h"

static const tw_run training = {.seed = 3, .step = 2, .position = 9, .training = true};

/* Output 0 of the node that made `value`, stored as it is. */
static void *result(tw_value *value, tw_dtype act, size_t *bytes)
{
    single s;
    single_create(&s, value, act, 0);
    *bytes = single_bytes(&s, value);
    void *copy = malloc(*bytes);
    fill_inputs(&s, 1);
    single_run(&s, &training);
    memcpy(copy, s.task.out[0], *bytes);
    single_destroy(&s);
    return copy;
}

/* Large enough for several jobs, and of sizes that leave remainders: case 0, 1, …, NULL at the end.
 */
static tw_value *big_case(tw_graph *g, int k)
{
    const tw_shape image = TW_SHAPE(3, 33, 31, 19);
    tw_value *x = tw_input(g, "x", TW_ACT, image), *y = tw_input(g, "y", TW_ACT, image);
    switch (k) {
    case 0:
        return tw_add(g, x, y);
    case 1:
        return tw_mul(g, x, tw_input(g, "b", TW_ACT, TW_SHAPE(3, 1, 1, 19)));
    case 2:
        return tw_sub(g, x, tw_input(g, "b", TW_F32, TW_SHAPE(3, 1, 1, 1)));
    case 3:
        return tw_affine(g, x, 1.5, -0.1);
    case 4:
        return tw_cast(g, x, TW_F32);
    case 5:
        return tw_broadcast(g, tw_input(g, "b", TW_ACT, TW_SHAPE(19)), image);
    case 6:
        return tw_sum_to(g, x, TW_SHAPE(19));
    case 7:
        return tw_sum_to(g, x, TW_SHAPE(3, 1, 1, 1));
    case 8:
        return tw_sum_to(g, tw_input(g, "z", TW_ACT, TW_SHAPE(2, 100001)), (tw_shape){.rank = 0});
    case 9:
        return tw_sum_to_as(g, tw_input(g, "z", TW_ACT, TW_SHAPE(5000, 200)), TW_SHAPE(200),
                            TW_F32);
    case 10:
        return tw_silu(g, x);
    case 11:
        return tw_activation_grad(g, x, y, TW_TANH, 2);
    case 12:
        return tw_softmax(g, tw_input(g, "z", TW_ACT, TW_SHAPE(2, 130, 130)), 0.3);
    case 13:
        return tw_softmax_grad(g, tw_input(g, "z", TW_ACT, TW_SHAPE(2, 130, 130)),
                               tw_input(g, "g", TW_ACT, TW_SHAPE(2, 130, 130)), 0.3);
    case 14:
        return tw_concat(g, x, y);
    case 15:
        return tw_slice(g, x, 3, 7);
    case 16:
        return tw_pad_channels(g, x, 3, 30);
    case 17:
        return tw_upsample_nearest(g, x, 2);
    case 18:
        return tw_average_pool(g, tw_input(g, "z", TW_ACT, TW_SHAPE(3, 32, 34, 19)), 2);
    case 19:
        return tw_dropout(g, x, 0.2);
    case 20:
        return tw_squared_error(g, x, y, NULL);
    case 21:
        return tw_embed_table_grad(g, tw_input(g, "g", TW_F32, TW_SHAPE(64, 9001)),
                                   tw_input(g, "i", TW_I32, TW_SHAPE(64)), 5);
    case 22:
        return tw_fir(g, x, &(tw_fir_geometry){2, 1, 2, 1, 4, {0.25, 0.75, 0.75, 0.25}});
    default:
        return NULL;
    }
}

static void results_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    for (int k = 0;; k++) {
        tw_graph *g = new_graph();
        tw_value *v = big_case(g, k);
        for (int act = TW_DTYPE_F32; v && act <= TW_DTYPE_BF16; act++) {
            void *first = NULL;
            for (int threads = 1; threads <= 3; threads++) {
                size_t bytes;
                omp_set_num_threads(threads);
                void *y = result(v, (tw_dtype)act, &bytes);
                if (!first) first = y;
                if (memcmp(first, y, bytes) != 0)
                    fail_msg("case %d (%s), %d threads", k, v->node->op->name, threads);
                if (first != y) free(y);
            }
            free(first);
        }
        assert_int_equal(tw_graph_status(g), TW_OK);
        tw_graph_destroy(&g);
        if (!v) break;
    }
    omp_set_num_threads(2);
}

typedef struct pass {
    tw_value *value;
    tw_dtype act;
    float *y;
    char implementation[TW_IMPLEMENTATION_MAX];
} pass;

/* In a thread of its own, which asks for the instruction set anew. */
static void *run_pass(void *arg)
{
    pass *p = arg;
    single s;
    single_create(&s, p->value, p->act, 0);
    fill_inputs(&s, 1);
    single_run(&s, &training);
    single_get(&s, 0, p->y);
    memcpy(p->implementation, s.task.implementation, sizeof p->implementation);
    single_destroy(&s);
    return NULL;
}

static void compare_isas(tw_value *v, tw_dtype act)
{
    static const char *const isas[] = {"baseline", "avx2", "avx512"};
    const int64_t n = tw_shape_count(v->shape);
    pass p[3];
    for (int k = 0; k < 3; k++) {
        pthread_t thread;
        p[k] = (pass){.value = v, .act = act, .y = malloc((size_t)n * sizeof(float))};
        setenv("TWEEDIE_ISA", isas[k], 1);
        assert_int_equal(pthread_create(&thread, NULL, run_pass, &p[k]), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    unsetenv("TWEEDIE_ISA");
    for (int k = 1; k < 3; k++)
        for (int64_t j = 0; j < n; j++) {
            const double a = (double)p[0].y[j], b = (double)p[k].y[j],
                         size = fabs(a) > 1 ? fabs(a) : 1;
            const bool half = act == TW_DTYPE_BF16;
            if (!(fabs(a - b) <= (half ? 0x1p-7 : 1e-5) * size))
                fail_msg("%s: element %lld is %.9g (%s) and %.9g (%s)", v->node->op->name,
                         (long long)j, a, p[0].implementation, b, p[k].implementation);
        }
    for (int k = 0; k < 3; k++) free(p[k].y);
}

static void instruction_sets_agree_for_every_operation(void **state)
{
    (void)state;
    for (int k = 0; k < tw_op_count; k++)
        for (int variant = 0;; variant++) {
            tw_graph *g = new_graph();
            tw_value *v = tw_op_table[k]->example ? tw_op_table[k]->example(g, variant) : NULL;
            if (v && v->role == TW_ROLE_NODE && !v->node->op->alias)
                for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++)
                    compare_isas(v, (tw_dtype)act);
            tw_graph_destroy(&g);
            if (!v) break;
        }
    for (int k = 0;; k++) {
        tw_graph *g = new_graph();
        tw_value *v = big_case(g, k);
        for (int act = TW_DTYPE_F32; v && act <= TW_DTYPE_BF16; act++)
            compare_isas(v, (tw_dtype)act);
        tw_graph_destroy(&g);
        if (!v) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(instruction_sets_agree_for_every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
