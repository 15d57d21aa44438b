/* Group normalisation and its fused form against slow loops in double, against the composition of
 * primitives, and against themselves. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "ops/norm_problems.h"
#include "ops/ops.h"

/* f32: a few roundings. bf16: y is rounded once (2^-9) after a sigmoid good to 2e-4; gx has g and
 * itself rounded. */
static void agrees_with_double(tw_dtype act, double forward_tolerance, double gradient_tolerance)
{
    for (int i = 0; i < PROBLEMS; i++) {
        numbers s = numbers_of(&problems[i], act);
        draw_mask(&s, &problems[i], LAYER);
        forward(&s, &problems[i], epsilon);
        backward(&s, &problems[i]);
        pair q = pair_of(&problems[i], &s, act);
        pair_run(&q, &training);
        compare_all(&q, &s, forward_tolerance, gradient_tolerance);
        pair_destroy(&q);
        numbers_free(&s);
    }
}

static void f32_agrees_with_double_forward_and_backward(void **state)
{
    (void)state;
    agrees_with_double(TW_DTYPE_F32, 1e-6, 4e-6);
}

static void bf16_agrees_with_double_up_to_its_rounding(void **state)
{
    (void)state;
    agrees_with_double(TW_DTYPE_BF16, 0x1p-8, 0x1.8p-8);
}

static void a_mean_of_a_thousand_deviations_costs_no_accuracy_forward(void **state)
{
    (void)state;
    problem k = {.rank = 4, .x = {2, 16, 16, 24}, .groups = 6, .activation = true, .offset = 2000};
    numbers s = numbers_of(&k, TW_DTYPE_F32);
    forward(&s, &k, epsilon);
    backward(&s, &k);
    pair q = pair_of(&k, &s, TW_DTYPE_F32);
    pair_run(&q, &training);
    compare("y", &q.forward, 0, s.y, 1e-6);
    compare("gx", &q.backward, 0, s.gx,
            2e-4); /* the mean comes to the backward pass as f32: 6e-5 of a deviation */
    pair_destroy(&q);
    numbers_free(&s);
}

/* (L(x + h v) - L(x - h v)) / 2h = <gx, v> with L = Σ gy y, in double for L and with the
 * operation's gx. */
static void gradients_are_slopes(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        const problem *k = &problems[i];
        if (k->add) continue;
        numbers s = numbers_of(k, TW_DTYPE_F32);
        draw_mask(&s, k, LAYER);
        pair q = pair_of(k, &s, TW_DTYPE_F32);
        pair_run(&q, &training);
        float *gx = take(&q.backward, 0), *gt = take(&q.backward, 3),
              *ggamma = take(&q.backward, 1), *gbeta = take(&q.backward, 2);
        double loss[2] = {0}, expected = 0;
        const double h = 1e-4;
        const int64_t nx = s.n * s.p * s.c, nt = k->embedding ? s.n * s.c : 0;
        for (int64_t j = 0; j < nx; j++) expected += (double)gx[j] * (double)noise(20, j);
        for (int64_t j = 0; j < nt; j++) expected += (double)gt[j] * (double)noise(21, j);
        for (int64_t j = 0; j < s.affine; j++)
            expected +=
                (double)ggamma[j] * (double)noise(22, j) + (double)gbeta[j] * (double)noise(23, j);
        for (int sign = 0; sign < 2; sign++) {
            const double step = sign ? -2 * h : h;
            for (int64_t j = 0; j < nx; j++) s.x[j] += step * (double)noise(20, j);
            for (int64_t j = 0; j < nt; j++) s.t[j] += step * (double)noise(21, j);
            for (int64_t j = 0; j < s.affine; j++) s.gamma[j] += step * (double)noise(22, j);
            for (int64_t j = 0; j < s.affine; j++) s.beta[j] += step * (double)noise(23, j);
            forward(&s, k, epsilon);
            for (int64_t j = 0; j < s.n * s.p * s.c; j++) loss[sign] += s.gy[j] * s.y[j];
        }
        const double met = (loss[0] - loss[1]) / (2 * h);
        if (!(fabs(met - expected) <= 1e-4 * (1 + fabs(met))))
            fail_msg("problem %d: slope %.9g, gradient %.9g", i, met, expected);
        free(gx);
        free(gt);
        free(ggamma);
        free(gbeta);
        pair_destroy(&q);
        numbers_free(&s);
    }
}

/* ---- the composition of primitives ---- */

/* Runs one primitive on the outputs of others; the result is owned by the caller. */
static float *apply(tw_value *v, int output, const float *const *in)
{
    single s;
    single_create(&s, v, TW_DTYPE_F32, 0);
    for (int i = 0; i < s.task.node->nin; i++) single_set(&s, i, in[i]);
    single_run(&s, &training);
    float *y = take(&s, output);
    single_destroy(&s);
    return y;
}

static float *as_float(const double *v, int64_t n)
{
    float *f = malloc((size_t)n * sizeof *f);
    for (int64_t i = 0; i < n; i++) f[i] = (float)v[i];
    return f;
}

static void check(const char *what, const single *s, int k, const float *want)
{
    const int64_t n = tw_shape_count(s->task.node->out[k].shape);
    double *d = malloc((size_t)n * sizeof *d);
    for (int64_t i = 0; i < n; i++) d[i] = (double)want[i];
    compare(what, s, k, d, 4e-6);
    free(d);
}

static void the_fused_operation_is_the_composition_of_primitives(void **state)
{
    (void)state;
    const problem k = {.rank = 4,
                       .x = {3, 6, 5, 20},
                       .groups = 5,
                       .embedding = true,
                       .activation = true,
                       .add = true,
                       .rate = 0.25};
    const int64_t count = 3 * 6 * 5 * 20, c = 20;
    numbers s = numbers_of(&k, TW_DTYPE_F32);
    pair q = pair_of(&k, &s, TW_DTYPE_F32);
    pair_run(&q, &training);

    tw_graph *g = new_graph();
    const tw_shape shape = TW_SHAPE(3, 6, 5, 20);
    tw_value *x = tw_input(g, "x", TW_ACT, shape), *gy = tw_input(g, "gy", TW_ACT, shape),
             *add = tw_input(g, "add", TW_ACT, shape);
    tw_value *t = tw_input(g, "t", TW_ACT, TW_SHAPE(3, 1, 1, 20));
    tw_value *gamma = tw_input(g, "gamma", TW_F32, TW_SHAPE(c)),
             *beta = tw_input(g, "beta", TW_F32, TW_SHAPE(c));
    for (int i = 0; i < LAYER; i++) tw_dropout(g, x, k.rate); /* so that the next is layer LAYER */
    tw_value *h = tw_add(g, x, t), *norm = tw_group_norm(g, h, gamma, beta, k.groups, epsilon),
             *a = tw_silu(g, norm);
    tw_value *y = tw_dropout(g, a, k.rate), *gh = NULL, *gparams[2] = {0};
    tw_value *wrt[3] = {h, gamma, beta}, *gradient[3];
    tw_graph_gradient(g, y, gy, wrt, 3, gradient);
    gh = gradient[0];
    gparams[0] = gradient[1];
    gparams[1] = gradient[2];
    assert_int_equal(tw_graph_status(g), TW_OK);

    float *fx = as_float(s.x, count), *ft = as_float(s.t, 3 * c), *fgamma = as_float(s.gamma, c),
          *fbeta = as_float(s.beta, c);
    float *fgy = as_float(s.gy, count), *fadd = as_float(s.add, count);
    float *fh = apply(h, 0, (const float *[]){fx, ft});
    float *fnorm = apply(norm, 0, (const float *[]){fh, fgamma, fbeta}),
          *fstats = apply(norm, 1, (const float *[]){fh, fgamma, fbeta});
    float *fa = apply(a, 0, (const float *[]){fnorm}), *fy = apply(y, 0, (const float *[]){fa});
    tw_node *norm_grad = gh->node, *act_grad = norm_grad->in[3]->node,
            *drop_grad = act_grad->in[1]->node;
    float *fga = apply(&drop_grad->out[0], 0, (const float *[]){fgy}),
          *fgn = apply(&act_grad->out[0], 0, (const float *[]){fnorm, fga});
    const float *const in[] = {fh, fgamma, fstats, fgn};
    float *fgh = apply(gh, 0, in), *fggamma = apply(gparams[0], 1, in),
          *fgbeta = apply(gparams[1], 2, in);
    float *fgx = apply(tw_add(g, gh, add), 0, (const float *[]){fgh, fadd});
    float *fgt = apply(tw_sum_to(g, gh, TW_SHAPE(3, 1, 1, 20)), 0, (const float *[]){fgh});

    check("y", &q.forward, 0, fy);
    check("stats", &q.forward, 1, fstats);
    check("gx", &q.backward, 0, fgx);
    check("ggamma", &q.backward, 1, fggamma);
    check("gbeta", &q.backward, 2, fgbeta);
    check("gembedding", &q.backward, 3, fgt);
    float *all[] = {fx, ft, fgamma, fbeta, fgy, fadd,    fh,     fnorm, fstats,
                    fa, fy, fga,    fgn,   fgh, fggamma, fgbeta, fgx,   fgt};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    tw_graph_destroy(&g);
    pair_destroy(&q);
    numbers_free(&s);
}

static void without_training_nothing_is_dropped(void **state)
{
    (void)state;
    const problem *k = &problems[2];
    numbers s = numbers_of(k, TW_DTYPE_F32);
    forward(&s, k, epsilon); /* its mask is still one everywhere */
    backward(&s, k);
    pair q = pair_of(k, &s, TW_DTYPE_F32);
    pair_run(&q, &(tw_run){.seed = 77, .training = false});
    compare_all(&q, &s, 1e-6, 4e-6);
    pair_destroy(&q);
    numbers_free(&s);
}

/* ---- invariance ---- */

static bool same_bits(const pair *a, const pair *b)
{
    bool same = true;
    for (int k = 0; k < 6; k++) {
        const single *x = k < 2 ? &a->forward : &a->backward,
                     *y = k < 2 ? &b->forward : &b->backward;
        const int n = k < 2 ? k : k - 2;
        same = same &&
               memcmp(x->task.out[n], y->task.out[n], single_bytes(x, &x->task.node->out[n])) == 0;
    }
    return same;
}

static void results_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    for (int i = 0; i < PROBLEMS; i++)
        for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
            numbers s = numbers_of(&problems[i], (tw_dtype)act);
            omp_set_num_threads(1);
            pair one = pair_of(&problems[i], &s, (tw_dtype)act);
            pair_run(&one, &training);
            for (int threads = 2; threads <= 4; threads++) {
                omp_set_num_threads(threads);
                pair many = pair_of(&problems[i], &s, (tw_dtype)act);
                pair_run(&many, &training);
                if (!same_bits(&one, &many))
                    fail_msg("problem %d differs with %d threads", i, threads);
                pair_destroy(&many);
            }
            pair_destroy(&one);
            numbers_free(&s);
        }
    omp_set_num_threads(before);
}

static void an_image_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    problem many = {.rank = 4, .x = {3, 32, 32, 48}, .groups = 16, .activation = true}, one = many;
    one.x[0] = 1;
    numbers s = numbers_of(&many, TW_DTYPE_F32), s1 = numbers_of(&one, TW_DTYPE_F32);
    pair a = pair_of(&many, &s, TW_DTYPE_F32), b = pair_of(&one, &s1, TW_DTYPE_F32);
    pair_run(&a, &training);
    pair_run(&b, &training);
    assert_memory_equal(a.forward.task.out[0], b.forward.task.out[0], 32 * 32 * 48 * sizeof(float));
    assert_memory_equal(a.backward.task.out[0], b.backward.task.out[0],
                        32 * 32 * 48 * sizeof(float));
    pair_destroy(&a);
    pair_destroy(&b);
    numbers_free(&s);
    numbers_free(&s1);
}

/* Plans a problem for another instruction set than this processor's best. */
static void use(single *s, const tw_kern_norm *kernel)
{
    tw_norm *p = s->task.state;
    p->kernel = kernel;
    if (p->stored == TW_STORED_BF16_NATIVE) p->stored = TW_STORED_BF16;
}

static void every_instruction_set_agrees_with_double(void **state)
{
    (void)state;
    const tw_kern_norm *const kernels[] = {&tw_kern_norm_baseline, &tw_kern_norm_avx2,
                                           &tw_kern_norm_avx512};
    for (int isa = TW_ISA_BASELINE; isa <= (int)tw_isa_get(); isa++)
        for (int i = 0; i < PROBLEMS; i++)
            for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
                numbers s = numbers_of(&problems[i], (tw_dtype)act);
                draw_mask(&s, &problems[i], LAYER);
                forward(&s, &problems[i], epsilon);
                backward(&s, &problems[i]);
                pair q = pair_of(&problems[i], &s, (tw_dtype)act);
                use(&q.forward, kernels[isa]);
                use(&q.backward, kernels[isa]);
                pair_run(&q, &training);
                compare_all(&q, &s, act == TW_DTYPE_F32 ? 1e-6 : 0x1p-8,
                            act == TW_DTYPE_F32 ? 4e-6 : 0x1.8p-8);
                pair_destroy(&q);
                numbers_free(&s);
            }
}

static void outputs_may_lie_in_the_memory_that_the_operation_allows(void **state)
{
    (void)state;
    const problem k = {.rank = 4,
                       .x = {2, 9, 7, 40},
                       .groups = 8,
                       .activation = true,
                       .rate = 0.2,
                       .embedding = true};
    for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
        numbers s = numbers_of(&k, (tw_dtype)act);
        pair q = pair_of(&k, &s, (tw_dtype)act);
        pair_run(&q, &training);
        float *y = take(&q.forward, 0), *gx = take(&q.backward, 0);
        const int64_t n = s.n * s.p * s.c;
        void *keep[2] = {q.forward.task.out[0], q.backward.task.out[0]};
        q.forward.task.out[0] = q.forward.task.in[0];
        q.backward.task.out[0] = q.backward.task.in[4];
        tw_op_norm_act.run(&q.forward.task, &training);
        tw_op_norm_act_grad.run(&q.backward.task, &training);
        float *y2 = take(&q.forward, 0), *gx2 = take(&q.backward, 0);
        assert_memory_equal(y, y2, (size_t)n * sizeof *y);
        assert_memory_equal(gx, gx2, (size_t)n * sizeof *gx);
        q.forward.task.out[0] = keep[0];
        q.backward.task.out[0] = keep[1];
        free(y);
        free(gx);
        free(y2);
        free(gx2);
        pair_destroy(&q);
        numbers_free(&s);
    }
}

static void gradients_that_nobody_reads_are_left_out(void **state)
{
    (void)state;
    const problem *k = &problems[4];
    numbers s = numbers_of(k, TW_DTYPE_F32);
    draw_mask(&s, k, LAYER);
    forward(&s, k, epsilon);
    backward(&s, k);
    pair q = pair_of(k, &s, TW_DTYPE_F32);
    pair_run(&q, &training);
    for (int skipped = 0; skipped < 4; skipped++) {
        void *keep = q.backward.task.out[skipped];
        q.backward.task.out[skipped] = NULL;
        tw_op_norm_act_grad.run(&q.backward.task, &training);
        q.backward.task.out[skipped] = keep;
        compare_all(&q, &s, 1e-6, 4e-6);
    }
    pair_destroy(&q);
    numbers_free(&s);
}

static void a_nan_stays_in_its_image_and_group(void **state)
{
    (void)state;
    const problem k = {.rank = 4, .x = {2, 5, 5, 32}, .groups = 4, .activation = true};
    for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
        numbers s = numbers_of(&k, (tw_dtype)act);
        s.x[25 * 32 + 9] = (double)NAN; /* image 1, group 1 */
        pair q = pair_of(&k, &s, (tw_dtype)act);
        pair_run(&q, &training);
        float *y = take(&q.forward, 0), *gx = take(&q.backward, 0);
        for (int64_t i = 0; i < 2 * 25 * 32; i++) {
            const bool poisoned = i >= 25 * 32 && i % 32 / 8 == 1;
            if ((isnan(y[i]) != 0) != poisoned || (isnan(gx[i]) != 0) != poisoned)
                fail_msg("element %lld: y %g, gx %g", (long long)i, (double)y[i], (double)gx[i]);
        }
        free(y);
        free(gx);
        pair_destroy(&q);
        numbers_free(&s);
    }
}

static void wrong_shapes_are_refused_by_name(void **state)
{
    (void)state;
    const struct {
        int64_t channels, groups;
        double eps;
        const char *message;
    } cases[] = {
        {8, 3, 1e-5, "group_norm: 3 groups do not divide 8 channels"},
        {8, 0, 1e-5, "group_norm: 0 groups do not divide 8 channels"},
        {7, 1, 1e-5, "group_norm of [2, 3, 8] [7] [7]: gamma and beta must both be [8], or [2, 8]"},
        {8, 2, 0, "group_norm: epsilon is 0, not positive"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_graph *g = new_graph();
        tw_value *gamma = tw_param(g, "gamma", TW_SHAPE(cases[i].channels), tw_init_ones);
        tw_value *beta = tw_param(g, "beta", TW_SHAPE(cases[i].channels), tw_init_zeros);
        assert_null(tw_group_norm(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 8)), gamma, beta,
                                  cases[i].groups, cases[i].eps));
        assert_int_not_equal(tw_graph_status(g), TW_OK);
        assert_string_equal(tw_error_message(), cases[i].message);
        tw_graph_destroy(&g);
    }
}

static void a_second_derivative_is_refused_by_name(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 8));
    tw_value *y = tw_group_norm(g, x, tw_param(g, "gamma", TW_SHAPE(8), tw_init_ones),
                                tw_param(g, "beta", TW_SHAPE(8), tw_init_zeros), 2, 1e-5);
    tw_value *gx = NULL, *ggx = NULL;
    tw_graph_gradient(g, y, NULL, &x, 1, &gx);
    assert_non_null(gx);
    tw_graph_gradient(g, gx, NULL, &x, 1, &ggx);
    assert_int_equal(tw_graph_status(g), TW_EUNSUPPORTED);
    assert_non_null(strstr(tw_error_message(), "group_norm_grad"));
    tw_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_agrees_with_double_forward_and_backward),
        cmocka_unit_test(bf16_agrees_with_double_up_to_its_rounding),
        cmocka_unit_test(a_mean_of_a_thousand_deviations_costs_no_accuracy_forward),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(the_fused_operation_is_the_composition_of_primitives),
        cmocka_unit_test(without_training_nothing_is_dropped),
        cmocka_unit_test(results_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(an_image_does_not_depend_on_its_batch),
        cmocka_unit_test(every_instruction_set_agrees_with_double),
        cmocka_unit_test(outputs_may_lie_in_the_memory_that_the_operation_allows),
        cmocka_unit_test(gradients_that_nobody_reads_are_left_out),
        cmocka_unit_test(a_nan_stays_in_its_image_and_group),
        cmocka_unit_test(wrong_shapes_are_refused_by_name),
        cmocka_unit_test(a_second_derivative_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
