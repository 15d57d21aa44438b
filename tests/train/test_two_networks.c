/* ranks: 1 2 4 */
/* An autoencoder and its discriminator in the steps of training: the statistics that λ is made of
 * are those of the whole batch, wherever the ranks are, and so both networks have the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/pretend_nodes.h"
#include "train/stepper.h"
#include "tweedie/log.h"
#include "tweedie/rng.h"
#include "tweedie/setup.h"

enum { STEPS = 3, BATCH = 4, DIMS = 8 * 8 * 2 };

static const char text[] =
    "[data]\nshape = 8, 8, 2\n[network]\nkind = autoencoder\nblock_out_channels = 8, 16\n"
    "layers_per_block = 1\nlatent_channels = 2\nnorm_num_groups = 4\n"
    "[objective]\nkind = autoencoder\nadversarial_weight = 0.5\nadversarial_start = 1\n"
    "[discriminator]\nlayers = 1\nchannels = 8\ngroups = 4\n"
    "[train]\nsteps = 8\nbatch = 4\nmicrobatch = 1\n"
    "[optimizer]\nlearning_rate = 0.001\nclip = 1\n[ema]\nrates = 0.5\n"
    "[compute]\nprecision = f32\nthreads = 1\n";

/* All ranks on one node; nodes of one rank; of two; dealt out over two nodes; each rank alone. */
enum { ONE_NODE, NODES_OF_1, NODES_OF_2, ROUND_ROBIN, ALONE, PLACES };
static tw_comm *comms[PLACES];
static char path[512];

static void ok(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

static tw_status read_samples(void *self, int64_t step, int64_t first, int64_t count, float *x0,
                              int32_t *label, float *condition)
{
    const tw_stepper *s = self;
    (void)label, (void)condition;
    for (int64_t i = 0; i < count; i++) {
        const tw_rng_stream r = {.seed = 1,
                                 .purpose = TW_RNG_TEST,
                                 .step = step,
                                 .position = s->first_position + first + i};
        tw_rng_normal(x0 + i * DIMS, &r, 0, DIMS);
    }
    return TW_OK;
}

static void open_stepper(tw_stepper *s, const tw_setup *setup, const tw_comm *comm)
{
    const int64_t own = BATCH / tw_comm_size(comm);
    *s = (tw_stepper){.comm = comm,
                      .c = &setup->run->train,
                      .optimizer = (const tw_optimizer *)setup->run->optimizer.kind,
                      .optimizer_config = setup->run->optimizer.config,
                      .model = setup->model,
                      .precision = setup->precision,
                      .convolution = setup->convolution,
                      .threads = 1,
                      .first_position = own * tw_comm_rank(comm),
                      .positions = own,
                      .micro = 1,
                      .micro_count = own,
                      .hooks = {.read = read_samples, .self = s}};
    ok(tw_objective_add_params(setup->objective, setup->model, 0));
    ok(tw_stepper_make_memory(s));
    ok(tw_stepper_plan(s, setup->objective, false));
    tw_objective_refresh(s->objective);
}

static float last_of(const tw_params *p, const char *name)
{
    const tw_param_view *v = tw_params_find(p, name);
    assert_non_null(v);
    return p->value[v->offset];
}

/* Of what is trained: statistics are no part of it. One rank has the whole. */
static void check_norm(const tw_stepper *s, double norm)
{
    const tw_params *p = s->model->params;
    double sum = 0, beside = 0;
    if (tw_comm_size(s->comm) > 1) return;
    for (int64_t i = 0; i < p->trainable; i++)
        sum += (double)p->gradient[i] * (double)p->gradient[i];
    for (int64_t i = p->trainable; i < p->summed; i++) beside += fabs((double)p->gradient[i]);
    assert_true(fabs(norm - sqrt(sum)) <= 1e-6 * norm);
    assert_true(beside > 1e-3);
}

/* All parameters after some steps, and the gradients' norms. */
static float *train(int place, const char *independent, double norm[STEPS], int64_t *count)
{
    tw_setup setup;
    tw_stepper s;
    tw_step_result r;
    char word[64];
    char *words[] = {word};
    snprintf(word, sizeof word, "train.rank_independent=%s", independent);
    ok(tw_setup_open(&setup, comms[place], path, 1, words));
    open_stepper(&s, &setup, comms[place]);
    for (int k = 0; k < STEPS; k++) {
        const float before = last_of(s.model->params, "objective.adversarial.scale");
        ok(tw_stepper_step(&s, &r));
        assert_true(k == 0 ? before == 0 : before > 0);
        norm[k] = r.gradient_norm;
        check_norm(&s, norm[k]);
    }
    const tw_params *p = s.model->params;
    float *all = malloc((size_t)p->size * sizeof *all);
    assert_non_null(all);
    memcpy(all, p->value, (size_t)p->size * sizeof *all);
    *count = p->size;
    ok(tw_comm_barrier(comms[place]));
    tw_stepper_close(&s);
    tw_setup_close(&setup);
    return all;
}

static void both_networks_have_the_same_bits_everywhere(void **state)
{
    double wanted[STEPS], met[STEPS];
    int64_t n, m;
    (void)state;
    float *alone = train(ALONE, "yes", wanted, &n);
    for (int place = 0; place < ALONE; place++) {
        float *all = train(place, "yes", met, &m);
        assert_int_equal(m, n);
        if (memcmp(all, alone, (size_t)n * sizeof *all) != 0)
            fail_msg("place %d: other bits than on one rank", place);
        assert_memory_equal(met, wanted, sizeof met);
        free(all);
    }
    free(alone);
}

/* Without that promise what is told differs by rounding. */
static void statistics_are_of_all_ranks(void **state)
{
    double wanted[STEPS], met[STEPS];
    int64_t n, m;
    (void)state;
    float *alone = train(ALONE, "no", wanted, &n);
    for (int place = 0; place < ALONE; place++) {
        float *all = train(place, "no", met, &m);
        for (int k = 0; k < STEPS; k++) assert_true(fabs(met[k] - wanted[k]) <= 1e-3 * wanted[k]);
        free(all);
    }
    free(alone);
}

static int set_up(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    tw_log_quiet(true);
    snprintf(path, sizeof path, "%s/tweedie-test-XXXXXX", base ? base : "/tmp");
    const int file = mkstemp(path);
    const ssize_t size = (ssize_t)sizeof text - 1;
    return file >= 0 && write(file, text, sizeof text - 1) == size && close(file) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_networks_have_the_same_bits_everywhere),
        cmocka_unit_test(statistics_are_of_all_ranks),
    };
    for (int k = 0; k < PLACES; k++) {
        if (tw_comm_create(&comms[k]) != TW_OK) {
            fprintf(stderr, "%s\n", tw_error_message());
            return 1;
        }
        const int size = tw_comm_size(comms[k]), rank = tw_comm_rank(comms[k]);
        if (k == NODES_OF_1 || k == NODES_OF_2) pretend_nodes(comms[k], k);
        if (k == ROUND_ROBIN) pretend_node(comms[k], rank % 2, size < 2 ? 1 : 2);
        if (k == ALONE) pretend_alone(comms[k]);
    }
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    for (int k = PLACES - 1; k >= 0; k--)
        tw_comm_destroy(&comms[k]); /* the first one started MPI, and ends it */
    return failed;
}
