/* ranks: 1 2 4 */
/* One optimiser step against the algorithm written down in double: which gradient, which clipping,
 * which learning rate, which number of the update, and the EMA of the new parameters. What a
 * step does where numbers are not finite. And the same steps on other ranks. */
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
#include "train/trainer.h"
#include "train/trainer_files.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"

enum { STEPS = 5, BATCH = 16, DIMS = 2, RATES = 2 };

/* Every number differs from its default and from its neighbours. Epsilon is large, so that rounding
 * in tiny gradients does not count. */
static const char text[] =
    "[run]\nseed = 9\n[data]\npath = points.h5\n[network]\nkind = mlp\nwidth = 24\ndepth = 2\n"
    "[train]\nsteps = 8\nbatch = 16\n"
    "[optimizer]\nlearning_rate = 0.01\nwarmup = 2\ndecay = linear\nclip = 0.3\n[ema]\nrates = "
    "0.9, 0.25\nwarmup = yes\n"
    "[compute]\nprecision = f32\nthreads = 1\n[log]\nevery = 1000\n";

/* As earlier versions wrote it, without a kind: Adam with a weight decay is AdamW. */
static const char adamw[] =
    "optimizer.weight_decay=0.1 optimizer.beta1=0.8 optimizer.beta2=0.95 optimizer.epsilon=0.001";

/* All ranks on one node; nodes of one rank; of two; of three, so that the last of four is alone;
 * dealt out over two nodes one by one; each rank a run of its own. */
enum { ONE_NODE, NODES_OF_1, NODES_OF_2, NODES_OF_3, ROUND_ROBIN, ALONE, PLACES };
static tw_comm *comm, *comms[PLACES]; /* comm is the one in use */
static trainer_files files;
static char run_path[512];

static void ok(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

/* ---- the algorithm ---- */

typedef struct reference {
    int64_t n;
    double *theta, *m, *v, *ema[RATES];
    double loss[STEPS], norm[STEPS];
} reference;

static double *numbers(int64_t n)
{
    double *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static void update(reference *r, int k, const float *gradient)
{
    static const double rate[] = {0.9, 0.25};
    double norm = 0;
    for (int64_t i = 0; i < r->n; i++) norm += (double)gradient[i] * (double)gradient[i];
    r->norm[k] = norm = sqrt(norm);
    const double u = k < 2 ? 0 : (k - 2) / 6.0, lr = 0.01 * (k < 2 ? k / 2.0 : 1) * (1 - u);
    const double scale = fmin(1, 0.3 / (norm + 1e-6)); /* as PyTorch clips */
    for (int64_t i = 0; i < r->n; i++) {
        const double g = scale * (double)gradient[i];
        r->m[i] = 0.8 * r->m[i] + 0.2 * g;
        r->v[i] = 0.95 * r->v[i] + 0.05 * g * g;
        const double m = r->m[i] / (1 - pow(0.8, k + 1)), v = r->v[i] / (1 - pow(0.95, k + 1));
        r->theta[i] = r->theta[i] * (1 - lr * 0.1) - lr * m / (sqrt(v) + 0.001);
        for (int e = 0; e < RATES; e++) {
            const double decay = fmin(rate[e], (2.0 + k) / (11.0 + k));
            r->ema[e][i] = decay * r->ema[e][i] + (1 - decay) * r->theta[i];
        }
    }
}

/* The whole batch at once, in this process alone. */
static void follow(reference *r)
{
    tw_config *config = NULL;
    tw_model *m = NULL;
    tw_dataset *data = NULL;
    tw_loader *loader = NULL;
    tw_objective *objective = NULL;
    tw_objective_config oc = {0};
    float x0[BATCH * DIMS];
    const tw_dataset_options data_options = {.path = files.data, .split = "train"};
    const tw_loader_options loader_options = {.batch = BATCH, .seed = 9};
    const tw_objective_options objective_options = {
        .batch = BATCH, .precision = TW_PRECISION_F32, .gradients = true};
    ok(tw_config_create(&config));
    ok(tw_config_parse(config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&m, config));
    ok(tw_objective_bind(&oc, config));
    ok(tw_model_create(m, TW_SHAPE(DIMS), 9));
    ok(tw_params_use_gradient(m->params, NULL));
    ok(tw_dataset_open(&data, NULL, &data_options));
    ok(tw_loader_create(&loader, data, &loader_options));
    ok(tw_objective_create(&objective, m, &oc, &objective_options));
    r->n = m->params->trainable;
    r->theta = numbers(r->n);
    r->m = numbers(r->n);
    r->v = numbers(r->n);
    for (int64_t i = 0; i < r->n; i++) r->theta[i] = (double)m->params->value[i];
    for (int e = 0; e < RATES; e++)
        r->ema[e] = memcpy(numbers(r->n), r->theta, (size_t)r->n * sizeof(double));
    for (int k = 0; k < STEPS; k++) {
        const tw_objective_step step = {
            .seed = 9, .step = k, .count = BATCH, .weight = 1.0 / BATCH};
        tw_objective_refresh(objective);
        ok(tw_loader_next(loader, k, 0, BATCH, x0, NULL));
        r->loss[k] = tw_objective_run(objective, &step, x0);
        update(r, k, m->params->gradient);
        for (int64_t i = 0; i < r->n; i++) m->params->value[i] = (float)r->theta[i];
    }
    tw_objective_destroy(&objective);
    tw_objective_config_free(&oc);
    tw_loader_destroy(&loader);
    tw_dataset_destroy(&data);
    tw_model_destroy(&m);
    tw_config_destroy(&config);
}

static void release(reference *r)
{
    free(r->theta);
    free(r->m);
    free(r->v);
    for (int e = 0; e < RATES; e++) free(r->ema[e]);
}

/* ---- the trainer ---- */

/* @param assignments  words "key=value", or NULL */
static void open_trainer(tw_trainer *t, tw_train_options *o, const char *name,
                         const char *assignments)
{
    static char path[1024], words[512], *list[16];
    int count = 0;
    snprintf(path, sizeof path, "%s-%s", run_path, name);
    const bool chosen = assignments && strstr(assignments, "optimizer.kind");
    snprintf(words, sizeof words, "%s %s", chosen ? "" : adamw, assignments ? assignments : "");
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) list[count++] = w;
    *o = (tw_train_options){
        .config = files.config, .run = path, .assignment_count = count, .assignments = list};
    *t = (tw_trainer){.comm = comm, .options = o, .start = tw_clock_seconds()};
    ok(tw_trainer_open(t));
}

/* Relative to the largest: float32 rounds by 6e-8 in each of some operations of each step. */
static void agree(const char *what, int step, const float *met, const double *wanted, int64_t n)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(wanted[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)met[i] - wanted[i]) <= 2e-6 * largest))
            fail_msg("after step %d: %s[%d] is %.9g, not %.9g, of %g", step, what, (int)i,
                     (double)met[i], wanted[i], largest);
}

static void check_state(const tw_trainer *t, const reference *r)
{
    agree("theta", STEPS, t->stepper.model->params->value, r->theta, r->n);
    agree("m", STEPS, t->stepper.array[0], r->m, r->n);
    agree("v", STEPS, t->stepper.array[1], r->v, r->n);
    for (int e = 0; e < RATES; e++) {
        assert_int_equal(t->stepper.ema[e] != NULL, tw_comm_node(comm) == 0);
        if (t->stepper.ema[e])
            agree(e ? "the second EMA" : "the first EMA", STEPS, t->stepper.ema[e], r->ema[e],
                  r->n);
    }
}

static void check_steps(const char *name, const char *assignments)
{
    reference r = {0};
    tw_trainer t;
    tw_train_options o;
    tw_step_result result;
    static const double rates[STEPS] = {0, 0.005, 0.01, 0.01 * 5 / 6, 0.01 * 4 / 6};
    follow(&r);
    open_trainer(&t, &o, name, assignments);
    assert_int_equal(t.stepper.model->params->trainable, r.n);
    for (int k = 0; k < STEPS; k++) {
        ok(tw_trainer_step(&t, &result));
        assert_int_equal(t.stepper.step, k + 1);
        assert_true(fabs(result.loss - r.loss[k]) <= 1e-5 * r.loss[k]);
        assert_true(fabs(result.gradient_norm - r.norm[k]) <= 1e-5 * r.norm[k]);
        assert_true(fabs(result.learning_rate - rates[k]) <= 1e-12);
        assert_false(result.stop || result.save);
    }
    assert_true(r.norm[0] > 0.3); /* clipping acts */
    check_state(&t, &r);
    tw_trainer_close(&t);
    release(&r);
}

static void check_steps_everywhere(const char *what, const char *assignments)
{
    char name[32];
    for (int k = 0; k < ALONE; k++) {
        snprintf(name, sizeof name, "%s-%d", what, k);
        comm = comms[k];
        check_steps(name, assignments);
    }
    comm = comms[ONE_NODE];
}

static void steps_follow_the_algorithm(void **state)
{
    (void)state;
    check_steps_everywhere("whole", NULL);
}

static void steps_in_microbatches_follow_it_too(void **state)
{
    (void)state;
    check_steps_everywhere("three", "train.microbatch=3");
}

/* Three steps and a checkpoint in one place, and the rest in the next. */
static void a_run_goes_on_where_the_ranks_lie_otherwise(void **state)
{
    (void)state;
    reference r = {0};
    tw_trainer t;
    tw_train_options o;
    tw_step_result result;
    char name[32];
    follow(&r);
    for (int k = 0; k < ALONE; k++) {
        snprintf(name, sizeof name, "moved-%d", k);
        for (int part = 0; part < 2; part++) {
            comm = comms[part == 0 ? k : (k + 1) % ALONE];
            open_trainer(&t, &o, name, NULL);
            assert_int_equal(t.stepper.step, part == 0 ? 0 : 3);
            while (t.stepper.step < (part == 0 ? 3 : STEPS)) ok(tw_trainer_step(&t, &result));
            if (part == 1) check_state(&t, &r);
            if (t.saver) tw_saver_start(t.saver);
            ok(tw_comm_agree(comm, t.saver ? tw_saver_wait(t.saver) : TW_OK));
            tw_trainer_close(&t);
        }
    }
    comm = comms[ONE_NODE];
    release(&r);
}

/* All that a run is, one after the other. EMA where they are. */
static float *copy_state(const tw_trainer *t, int64_t *count)
{
    const int64_t n = t->stepper.model->params->trainable;
    const float *parts[1 + TW_OPTIMIZER_ARRAYS + RATES] = {t->stepper.model->params->value};
    int part_count = 1;
    for (int k = 0; k < TW_OPTIMIZER_ARRAYS && t->stepper.array[k]; k++)
        parts[part_count++] = t->stepper.array[k];
    for (int k = 0; k < RATES && t->stepper.ema[k]; k++) parts[part_count++] = t->stepper.ema[k];
    float *all = calloc((size_t)(part_count * n), sizeof *all);
    assert_non_null(all);
    *count = part_count * n;
    for (int k = 0; k < part_count; k++) memcpy(all + k * n, parts[k], (size_t)n * sizeof *all);
    return all;
}

/* With clipping, which acts here, two EMA, and a network of several blocks; one rank alone is
 * what the others are held against. */
static void rank_independent_steps_have_the_same_bits_everywhere(void **state)
{
    (void)state;
    static const char *const precisions[] = {"f32", "bf16"};
    for (int p = 0; p < 2; p++) {
        float *alone = NULL;
        for (int k = ALONE; k >= 0; k--) {
            tw_trainer t;
            tw_train_options o;
            tw_step_result result;
            char name[64], assignments[256];
            int64_t count;
            comm = comms[k];
            snprintf(name, sizeof name, "bits-%s-%d-%d", precisions[p], k,
                     k == ALONE ? tw_comm_rank(comms[ONE_NODE]) : 0);
            snprintf(assignments, sizeof assignments,
                     "network.width=160 network.depth=3 train.rank_independent=yes "
                     "train.microbatch=2 compute.precision=%s",
                     precisions[p]);
            open_trainer(&t, &o, name, assignments);
            for (int step = 0; step < STEPS; step++) ok(tw_trainer_step(&t, &result));
            float *met = copy_state(&t, &count);
            if (alone && memcmp(met, alone, (size_t)count * sizeof *met) != 0)
                fail_msg("%s: other bits than on one rank", name);
            if (alone)
                free(met);
            else
                alone = met;
            tw_trainer_close(&t);
        }
        free(alone);
    }
    comm = comms[ONE_NODE];
}

/* Five steps are three, a checkpoint, and two, with each optimiser of the table. */
static void every_optimiser_resumes_bitwise(void **state)
{
    (void)state;
    for (int kind = 0; kind < tw_optimizer_kinds.count; kind++) {
        float *whole = NULL;
        const char *optimizer = tw_optimizer_kinds.table[kind]->name;
        for (int part = 0; part < 3; part++) {
            tw_trainer t;
            tw_train_options o;
            tw_step_result result;
            char name[64], assignments[128];
            int64_t count;
            snprintf(name, sizeof name, "%s-%s", optimizer, part ? "parts" : "whole");
            snprintf(assignments, sizeof assignments, "optimizer.kind=%s", optimizer);
            open_trainer(&t, &o, name, assignments);
            assert_int_equal(t.stepper.step, part == 2 ? 3 : 0);
            while (t.stepper.step < (part == 1 ? 3 : STEPS)) ok(tw_trainer_step(&t, &result));
            float *all = copy_state(&t, &count);
            if (part == 2 && memcmp(all, whole, (size_t)count * sizeof *all) != 0)
                fail_msg("%s: other bits after a resume", optimizer);
            if (part == 1 && t.saver) tw_saver_start(t.saver);
            ok(tw_comm_agree(comm, part == 1 && t.saver ? tw_saver_wait(t.saver) : TW_OK));
            if (part == 0)
                whole = all;
            else
                free(all);
            tw_trainer_close(&t);
        }
        free(whole);
    }
}

/* The parameters of one node alone, or of all, are no longer numbers: all ranks learn it in the
 * same step, and nothing has been updated. */
static void a_step_that_is_not_finite_changes_nothing_on_any_rank(void **state)
{
    (void)state;
    tw_trainer t;
    tw_train_options o;
    tw_step_result result;
    comm = comms[NODES_OF_1];
    for (int everywhere = 0; everywhere < 2; everywhere++) {
        open_trainer(&t, &o, everywhere ? "everywhere" : "alone", NULL);
        const size_t bytes = (size_t)t.stepper.model->params->trainable * sizeof(float);
        ok(tw_trainer_step(&t, &result));
        ok(tw_trainer_step(&t, &result));
        if (everywhere || tw_comm_rank(comm) == tw_comm_size(comm) - 1)
            t.stepper.model->params->value[0] = everywhere ? INFINITY : NAN;
        tw_objective_refresh(t.stepper.objective);
        float *theta = memcpy(malloc(bytes), t.stepper.model->params->value, bytes),
              *m = memcpy(malloc(bytes), t.stepper.array[0], bytes);
        float *ema = t.stepper.ema[0] ? memcpy(malloc(bytes), t.stepper.ema[0], bytes) : NULL;
        assert_int_equal(tw_trainer_step(&t, &result), TW_EDIVERGED);
        assert_non_null(strstr(tw_error_message(), "step 3: the loss is "));
        assert_int_equal(t.stepper.step, 2);
        assert_memory_equal(theta, t.stepper.model->params->value, bytes);
        assert_memory_equal(m, t.stepper.array[0], bytes);
        if (ema) assert_memory_equal(ema, t.stepper.ema[0], bytes);
        free(theta);
        free(m);
        free(ema);
        tw_trainer_close(&t);
    }
    comm = comms[ONE_NODE];
}

static double loss_of_noise(tw_trainer *t)
{
    const tw_objective_step step = {.seed = 3, .count = t->stepper.micro, .weight = 1};
    return tw_objective_run(t->stepper.objective, &step, t->stepper.x0);
}

/* Layers so wide that the ranks' slices cut through what is packed together. */
static void a_step_leaves_what_a_refresh_packs(void **state)
{
    (void)state;
    tw_trainer t;
    tw_train_options o;
    tw_step_result result;
    char name[32];
    for (int k = 0; k < ALONE; k++) {
        comm = comms[k];
        snprintf(name, sizeof name, "packed-%d", k);
        open_trainer(&t, &o, name,
                     "network.width=144 compute.precision=bf16 optimizer.learning_rate=0.5");
        assert_true(tw_plan_part_count(tw_objective_plan(t.stepper.objective)) > 9);
        double last = loss_of_noise(&t);
        for (int step = 0; step < 3; step++) {
            ok(tw_trainer_step(&t, &result));
            memset(t.stepper.x0, 0, (size_t)(t.stepper.micro * DIMS) * sizeof(float));
            const double met = loss_of_noise(&t);
            tw_objective_refresh(t.stepper.objective);
            const double wanted = loss_of_noise(&t);
            assert_memory_equal(&met, &wanted, sizeof met);
            assert_true(step == 0 || met != last); /* the first learning rate is zero */
            last = met;
        }
        tw_trainer_close(&t);
    }
    comm = comms[ONE_NODE];
}

/* ---- files ---- */

static int set_up(void **state)
{
    (void)state;
    const int failed = trainer_files_make(&files, comm, "circles", text);
    snprintf(run_path, sizeof run_path, "%s/run", files.directory);
    return failed;
}

static int tear_down(void **state)
{
    (void)state;
    return trainer_files_remove(&files, comm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_the_algorithm),
        cmocka_unit_test(steps_in_microbatches_follow_it_too),
        cmocka_unit_test(a_run_goes_on_where_the_ranks_lie_otherwise),
        cmocka_unit_test(rank_independent_steps_have_the_same_bits_everywhere),
        cmocka_unit_test(every_optimiser_resumes_bitwise),
        cmocka_unit_test(a_step_that_is_not_finite_changes_nothing_on_any_rank),
        cmocka_unit_test(a_step_leaves_what_a_refresh_packs),
    };
    for (int k = 0; k < PLACES; k++) {
        if (tw_comm_create(&comms[k]) != TW_OK) {
            fprintf(stderr, "%s\n", tw_error_message());
            return 1;
        }
        const int size = tw_comm_size(comms[k]), rank = tw_comm_rank(comms[k]);
        if (k >= NODES_OF_1 && k <= NODES_OF_3) pretend_nodes(comms[k], k);
        if (k == ROUND_ROBIN) pretend_node(comms[k], rank % 2, size < 2 ? 1 : 2);
        if (k == ALONE) pretend_alone(comms[k]);
    }
    comm = comms[ONE_NODE];
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    for (int k = PLACES - 1; k >= 0; k--)
        tw_comm_destroy(&comms[k]); /* the first one started MPI, and ends it */
    return failed;
}
