/* Checkpoint files: what goes in comes out, and nothing damaged is ever believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "checkpoint/checkpoint_fixture.h"
#include "checkpoint/checkpoint_format.h"
#include "checkpoint/container.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

static char run[256];
static fixture saved, loaded;

static int set_up(void **state)
{
    (void)state;
    fixture_run(run, sizeof run);
    tw_log_quiet(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_remove(run);
    return 0;
}

static void save(int64_t step, char *path, size_t size)
{
    fixture_fill(&saved, step);
    assert_int_equal(tw_checkpoint_write(run, saved.arrays, FIXTURE_ARRAYS, &saved.meta), TW_OK);
    assert_int_equal(tw_checkpoint_name(path, size, run, step), TW_OK);
}

static void a_round_trip_is_bitwise_and_keeps_every_fact(void **state)
{
    (void)state;
    char path[512];
    tw_checkpoint *c = NULL;
    save(1000, path, sizeof path);
    assert_string_equal(path + strlen(run), "/checkpoints/step-000001000.h5");
    assert_int_equal(tw_checkpoint_open(&c, path), TW_OK);
    assert_false(tw_checkpoint_is_weights(c));
    assert_int_equal(tw_checkpoint_count(c), FIXTURE_ARRAYS);
    fixture_fill(&loaded, 1);
    assert_int_equal(tw_checkpoint_read(c, loaded.arrays, FIXTURE_ARRAYS), TW_OK);
    assert_memory_equal(saved.data, loaded.data, sizeof saved.data);
    assert_int_equal(tw_checkpoint_verify(c), TW_OK);

    const tw_checkpoint_meta *m = tw_checkpoint_meta_view(c);
    assert_int_equal(m->step, 1000);
    assert_int_equal(m->samples, 128000);
    assert_true(m->seed == saved.meta.seed);
    assert_true(m->ranks == 4 && m->threads == 2 && m->restarts == 1);
    assert_string_equal(m->precision, "bf16");
    assert_string_equal(m->dataset_digest, "0123456789abcdef");
    assert_string_equal(m->versions, saved.meta.versions);
    assert_string_equal(m->config, saved.meta.config);
    assert_true(fixture_same_samples(m));
    assert_string_equal(m->weights, "ema:0.9999"); /* the first EMA is the default */
    assert_int_equal(m->loss_count, 3);
    assert_memory_equal(m->losses, fixture_losses, sizeof fixture_losses);
    tw_checkpoint_close(&c);
    assert_null(c);
}

static void the_same_state_gives_the_same_bytes(void **state)
{
    (void)state;
    char path[512];
    size_t n, m;
    save(7, path, sizeof path);
    char *first = fixture_slurp(path, &n);
    sleep(1); /* a time stamp in the file would differ */
    save(7, path, sizeof path);
    char *second = fixture_slurp(path, &m);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    free(first);
    free(second);
}

static void latest_names_the_newest_and_nothing_temporary_stays(void **state)
{
    (void)state;
    char path[512], latest[512], command[600];
    size_t n;
    save(1, path, sizeof path);
    save(2, path, sizeof path);
    snprintf(latest, sizeof latest, "%s/latest", run);
    char *text = fixture_slurp(latest, &n);
    assert_string_equal(text, "checkpoints/step-000000002.h5\n");
    free(text);
    snprintf(command, sizeof command, "test -z \"$(find '%s' -name '*.tmp')\"", run);
    assert_int_equal(system(command), 0);
}

static void arrays_of_many_chunks_and_odd_shapes_survive(void **state)
{
    (void)state;
    int64_t large[] = {3, 700, 301}, thin[] = {1, 1, 1, 1, 1, 5}, one[] = {1};
    float *a = NULL, *b = NULL, x[5] = {1, -2, 3e38f, 1e-40f, -0.0f}, y[5], z = 42, w;
    assert_int_equal(tw_alloc(&a, 3 * 700 * 301, sizeof *a, "a"), TW_OK);
    assert_int_equal(tw_alloc(&b, 3 * 700 * 301, sizeof *b, "b"), TW_OK);
    for (int64_t i = 0; i < 3 * 700 * 301; i++) a[i] = (float)i * 0.37f;
    tw_checkpoint_array out[] = {{"params", "large", 3, large, a},
                                 {"params", "thin", 6, thin, x},
                                 {"params", "one", 1, one, &z}};
    tw_checkpoint_array in[] = {{"params", "one", 1, one, &w},
                                {"params", "thin", 6, thin, y},
                                {"params", "large", 3, large, b}};
    tw_checkpoint_meta meta = {.step = 5};
    char path[512];
    tw_checkpoint *c = NULL;
    assert_int_equal(tw_checkpoint_write(run, out, 3, &meta), TW_OK);
    assert_int_equal(tw_checkpoint_name(path, sizeof path, run, 5), TW_OK);
    assert_int_equal(tw_checkpoint_open(&c, path), TW_OK);
    assert_int_equal(tw_checkpoint_read(c, in, 3), TW_OK);
    assert_memory_equal(a, b, 3 * 700 * 301 * sizeof *a);
    assert_memory_equal(x, y, sizeof x);
    assert_true(w == 42);
    assert_string_equal(tw_checkpoint_meta_view(c)->config, "");
    assert_string_equal(tw_checkpoint_meta_view(c)->weights, "raw");
    assert_int_equal(tw_checkpoint_meta_view(c)->loss_count, 0);
    tw_checkpoint_close(&c);
    tw_free(&a);
    tw_free(&b);
}

/* Anything wrong with the file is TW_EDATA before HDF5 sees it. */
static void refuse_bytes(const char *path, const char *bytes, size_t n)
{
    tw_checkpoint *c = NULL;
    fixture_spill(path, bytes, n);
    assert_int_equal(tw_checkpoint_open(&c, path), TW_EDATA);
    assert_int_equal(tw_status_exit_code(TW_EDATA), 65);
    assert_non_null(strstr(tw_error_message(), path));
    assert_null(c);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    char path[512];
    size_t n;
    save(3, path, sizeof path);
    char *whole = fixture_slurp(path, &n);
    for (size_t k = 0; k < n; k += k < 600 ? 7 : 331) refuse_bytes(path, whole, k);
    refuse_bytes(path, whole, n - 1);
    char *longer = calloc(1, n + 1);
    assert_non_null(longer);
    memcpy(longer, whole, n);
    refuse_bytes(path, longer, n + 1);
    free(longer);
    free(whole);
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    char path[512];
    size_t n;
    save(4, path, sizeof path);
    char *whole = fixture_slurp(path, &n);
    for (size_t k = 0; k < n; k += k < 520 ? 1 : 97) {
        whole[k] ^= (char)(1 << k % 8);
        refuse_bytes(path, whole, n);
        whole[k] ^= (char)(1 << k % 8);
    }
    fixture_spill(path, whole, n);
    assert_int_equal(tw_checkpoint_check(path, NULL), TW_OK);
    free(whole);
}

static void an_unknown_version_is_named(void **state)
{
    (void)state;
    char path[512];
    size_t n;
    save(5, path, sizeof path);
    char *whole = fixture_slurp(path, &n);
    whole[8] = 9;
    refuse_bytes(path, whole, n);
    assert_non_null(strstr(tw_error_message(), "version 9"));
    assert_non_null(strstr(tw_error_message(), "knows 1"));
    free(whole);
}

static void what_is_no_checkpoint_is_said_so(void **state)
{
    (void)state;
    char path[512];
    tw_checkpoint *c = NULL;
    snprintf(path, sizeof path, "%s/x", run);
    assert_int_equal(tw_checkpoint_open(&c, path), TW_ENOINPUT);
    assert_int_equal(tw_checkpoint_open(&c, run), TW_ENOINPUT);
    char junk[2000];
    memset(junk, 'j', sizeof junk);
    refuse_bytes(path, junk, sizeof junk);
    refuse_bytes(path, junk, 3);
    memcpy(junk, "\x89HDF\r\n\x1a\n", 8);
    refuse_bytes(path, junk, sizeof junk);
    assert_non_null(strstr(tw_error_message(), "neither a checkpoint"));
}

static void other_names_and_shapes_are_refused_by_name(void **state)
{
    (void)state;
    static const int64_t other[] = {8, 4, 3, 5};
    char path[512];
    tw_checkpoint *c = NULL;
    save(6, path, sizeof path);
    assert_int_equal(tw_checkpoint_open(&c, path), TW_OK);
    fixture_fill(&loaded, 1);
    assert_int_equal(tw_checkpoint_read(c, loaded.arrays, 2),
                     TW_OK); /* params alone: the other groups are left alone */

    loaded.arrays[0].dims = other;
    assert_int_equal(tw_checkpoint_read(c, loaded.arrays, 2), TW_EDATA);
    assert_non_null(
        strstr(tw_error_message(),
               "/params/down.0.conv1.weight has the shape 8 x 4 x 3 x 3, expected 8 x 4 x 3 x 5"));
    fixture_fill(&loaded, 1);
    loaded.arrays[0].name = "down.1.conv1.weight";
    assert_int_equal(tw_checkpoint_read(c, loaded.arrays, 2), TW_EDATA);
    assert_int_equal(tw_checkpoint_read(c, &loaded.arrays[1], 1),
                     TW_EDATA); /* the weight is too much */
    assert_non_null(strstr(tw_error_message(),
                           "holds /params/down.0.conv1.weight, which this network does not have"));
    tw_checkpoint_close(&c);
}

static void a_value_that_is_not_finite_is_never_written(void **state)
{
    (void)state;
    char path[512], command[600];
    fixture_fill(&saved, 8);
    saved.data[6][100] = NAN;
    assert_int_equal(tw_checkpoint_write(run, saved.arrays, FIXTURE_ARRAYS, &saved.meta),
                     TW_EDIVERGED);
    assert_non_null(
        strstr(tw_error_message(), "/adam/m/down.0.conv1.weight holds nan at element 100"));
    saved.data[6][100] = INFINITY;
    assert_int_equal(tw_checkpoint_write(run, saved.arrays, FIXTURE_ARRAYS, &saved.meta),
                     TW_EDIVERGED);
    assert_int_equal(tw_checkpoint_name(path, sizeof path, run, 8), TW_OK);
    assert_false(tw_file_exists(path));
    snprintf(command, sizeof command, "test -z \"$(find '%s' -name '*.tmp')\"", run);
    assert_int_equal(system(command), 0);
}

static void impossible_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", ".", "..", "a/b", "a b", "\xc3\xa9", ".hidden"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        fixture_fill(&saved, 9);
        saved.arrays[3].name = names[i];
        assert_int_equal(tw_checkpoint_write(run, saved.arrays, FIXTURE_ARRAYS, &saved.meta),
                         TW_EINTERNAL);
    }
    fixture_fill(&saved, 9);
    saved.arrays[3].group = "params/../x";
    assert_int_equal(tw_checkpoint_write(run, saved.arrays, FIXTURE_ARRAYS, &saved.meta),
                     TW_EINTERNAL);
}

static void a_writer_that_is_dropped_midway_leaves_nothing(void **state)
{
    (void)state;
    char command[600];
    fixture_fill(&saved, 10);
    for (int steps = 0; steps < 8; steps++) {
        tw_checkpoint_writer *w = NULL;
        bool finished = false;
        assert_int_equal(
            tw_checkpoint_writer_create(&w, run, saved.arrays, FIXTURE_ARRAYS, &saved.meta), TW_OK);
        for (int k = 0; k < steps && !finished; k++)
            assert_int_equal(tw_checkpoint_writer_step(w, &finished), TW_OK);
        tw_checkpoint_writer_destroy(&w);
        snprintf(
            command, sizeof command,
            "test -z \"$(find '%s' -name '*.tmp')\" && test %d = $(ls '%s/checkpoints' | wc -l)",
            run, finished, run);
        assert_int_equal(system(command), 0);
    }
}

static void assert_steps(const int64_t *expected, int64_t n)
{
    int64_t *steps = NULL, count;
    assert_int_equal(tw_checkpoint_list(run, &steps, &count), TW_OK);
    assert_int_equal(count, n);
    for (int64_t i = 0; i < n; i++) assert_int_equal(steps[i], expected[i]);
    tw_free(&steps);
}

static void the_newest_valid_one_is_found_past_damaged_and_temporary_ones(void **state)
{
    (void)state;
    char path[512], found[512];
    int64_t step;
    assert_int_equal(tw_checkpoint_find_newest(run, found, sizeof found, &step), TW_OK);
    assert_string_equal(found, "");
    assert_int_equal(step, -1);
    save(1000, path, sizeof path);
    save(999, path, sizeof path); /* written later, but older: the step decides */
    save(2000, path, sizeof path);
    assert_int_equal(truncate(path, 3000), 0);
    save(1500, path, sizeof path);
    size_t n;
    char *bytes = fixture_slurp(path, &n), other[600];
    static const char *const lures[] = {"step-000009000.h5.tmp", ".step-000009000.h5.n1-1-0.tmp",
                                        "step-9000.h5", "step-000009000.h5~", "step-x.h5"};
    for (size_t i = 0; i < sizeof lures / sizeof *lures; i++) {
        snprintf(other, sizeof other, "%s/checkpoints/%s", run, lures[i]);
        fixture_spill(other, bytes, n);
    }
    assert_steps((const int64_t[]){2000, 1500, 1000, 999}, 4);
    bytes[n / 2] ^= 1;
    fixture_spill(path, bytes, n);
    free(bytes);
    assert_int_equal(tw_checkpoint_find_newest(run, found, sizeof found, &step), TW_OK);
    assert_int_equal(step, 1000);
    assert_string_equal(found + strlen(run), "/checkpoints/step-000001000.h5");
    snprintf(path, sizeof path, "%s/checkpoints/step-000001000.h5", run);
    assert_int_equal(truncate(path, 0), 0);
    snprintf(path, sizeof path, "%s/checkpoints/step-000000999.h5", run);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(tw_checkpoint_find_newest(run, found, sizeof found, &step), TW_EDATA);

    assert_int_equal(tw_checkpoint_clean(run), TW_OK);
    snprintf(other, sizeof other, "%s/checkpoints/%s", run, lures[1]);
    assert_false(tw_file_exists(other));
    snprintf(other, sizeof other, "%s/checkpoints/%s", run, lures[0]); /* not ours */
    assert_true(tw_file_exists(other));
}

static void pruning_keeps_the_newest_the_verified_the_milestones_and_the_held(void **state)
{
    (void)state;
    char path[512];
    int64_t *removed = NULL, count;
    for (int64_t step = 100; step <= 1000; step += 100) save(step, path, sizeof path);
    snprintf(path, sizeof path, "%s/checkpoints/hold", run);
    static const char hold[] =
        "# the one of the paper\n300\n\n checkpoints/step-000000200.h5  # and this\r\n";
    fixture_spill(path, hold, sizeof hold - 1);

    assert_int_equal(tw_checkpoint_prune(run, 3, 500, true, &removed, &count), TW_OK);
    assert_int_equal(count, 4); /* 700 600 400 100 */
    tw_free(&removed);
    assert_steps((const int64_t[]){1000, 900, 800, 700, 600, 500, 400, 300, 200, 100},
                 10); /* it was a dry run */

    assert_int_equal(tw_checkpoint_prune(run, 3, 500, false, &removed, &count), TW_OK);
    assert_int_equal(count, 4);
    assert_true(removed[0] == 700 && removed[1] == 600 && removed[2] == 400 && removed[3] == 100);
    tw_free(&removed);
    assert_steps((const int64_t[]){1000, 900, 800, 500, 300, 200}, 6);

    /* the two newest are damaged: the two newest that verify stay, whatever is asked */
    for (int64_t step = 900; step <= 1000; step += 100) {
        assert_int_equal(tw_checkpoint_name(path, sizeof path, run, step), TW_OK);
        assert_int_equal(truncate(path, 5000), 0);
    }
    assert_int_equal(tw_checkpoint_prune(run, 1, 0, false, NULL, NULL), TW_OK);
    assert_steps((const int64_t[]){1000, 800, 500, 300, 200}, 5);
    assert_int_equal(tw_checkpoint_prune(run, 0, 0, false, NULL, NULL), TW_OK);
    assert_steps((const int64_t[]){800, 500, 300, 200}, 4);
}

/* What protects checkpoints is understood whole, or nothing goes. */
static void a_hold_file_that_cannot_be_read_stops_the_pruning(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
        const char *wanted;
    } bad[] = {
        {"300\n400x\n", 9, "hold, line 2: '400x' is neither"},
        {"step-300.h5\n", 12, "hold, line 1: 'step-300.h5'"},
        {"100, 200\n", 9, "'100, 200'"},
        {"1e3", 3, "'1e3'"},
        {"# all\n\n99999999999999999999\n", 28, "line 3"},
        {"300\n\0"
         "400\n",
         9, "byte 4 is NUL"},
    };
    char path[512];
    for (int64_t step = 100; step <= 600; step += 100) save(step, path, sizeof path);
    snprintf(path, sizeof path, "%s/checkpoints/hold", run);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_spill(path, bad[i].text, bad[i].bytes);
        assert_int_equal(tw_checkpoint_prune(run, 1, 0, false, NULL, NULL), TW_EDATA);
        if (!strstr(tw_error_message(), bad[i].wanted))
            fail_msg("'%s' does not say %s", tw_error_message(), bad[i].wanted);
        assert_steps((const int64_t[]){600, 500, 400, 300, 200, 100}, 6);
    }
    unlink(path);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_not_equal(tw_checkpoint_prune(run, 1, 0, false, NULL, NULL), TW_OK);
    assert_steps((const int64_t[]){600, 500, 400, 300, 200, 100}, 6);
    unlink(path);
    fixture_spill(path, "", 0);
    assert_int_equal(tw_checkpoint_prune(run, 1, 0, false, NULL, NULL), TW_OK);
    assert_steps((const int64_t[]){600, 500}, 2);
}

/* A large file that is no more than sealed. */
static void seal_zeros(int64_t step, int64_t bytes)
{
    char path[512];
    bool finished;
    container_pass pass;
    assert_int_equal(tw_checkpoint_name(path, sizeof path, run, step), TW_OK);
    fixture_spill(path, "", 0);
    assert_int_equal(truncate(path, bytes), 0);
    assert_int_equal(container_pass_open(&pass, path), TW_OK);
    assert_int_equal(container_pass_step(&pass, path, INT64_MAX, &finished), TW_OK);
    assert_int_equal(container_seal(path, &pass), TW_OK);
    container_pass_close(&pass);
}

/* The thread that prunes also reads batches. */
static void pruning_reads_in_pieces(void **state)
{
    (void)state;
    tw_checkpoint_pruner *pruner = NULL;
    bool finished = false;
    int steps = 0;
    for (int64_t step = 100; step <= 400; step += 100) seal_zeros(step, 3 * PIECE + 1000);
    assert_int_equal(tw_checkpoint_pruner_create(&pruner, run, 2, 0, false), TW_OK);
    while (!finished) {
        assert_int_equal(tw_checkpoint_pruner_step(pruner, &finished), TW_OK);
        steps++;
    }
    tw_checkpoint_pruner_destroy(&pruner);
    assert_int_equal(steps, 2 * 4 + 2); /* four pieces of each of two, then two that go */
    assert_steps((const int64_t[]){400, 300}, 2);
}

static void preflight_counts_what_is_kept_and_what_is_written(void **state)
{
    (void)state;
    fixture_fill(&saved, 1);
    int64_t bytes = tw_checkpoint_estimate(saved.arrays, FIXTURE_ARRAYS), real;
    char path[512];
    save(1, path, sizeof path);
    assert_int_equal(tw_file_size(&real, path), TW_OK);
    assert_true(bytes >= real);
    assert_int_equal(tw_checkpoint_preflight(run, bytes, 3), TW_OK);
    assert_int_equal(tw_checkpoint_preflight(run, INT64_C(1) << 56, 3), TW_EIO);
    assert_non_null(strstr(tw_error_message(), "GB wanted"));
}

static void weights_are_found_in_runs_checkpoints_and_exports(void **state)
{
    (void)state;
    char path[512], made[TW_CHECKPOINT_PATH], checkpoint[512];
    tw_weights *w = NULL;
    save(100, checkpoint, sizeof checkpoint);
    save(200, checkpoint, sizeof checkpoint);

    assert_int_equal(tw_weights_load(&w, NULL, run, NULL), TW_OK);
    assert_string_equal(w->meta.weights, "ema:0.9999");
    assert_int_equal(w->meta.step, 200);
    assert_string_equal(w->meta.source, checkpoint);
    fixture_fill(&loaded, 1);
    assert_int_equal(tw_weights_copy(w, loaded.arrays, 2), TW_OK);
    assert_memory_equal(loaded.data[0], saved.data[2], 288 * sizeof(float));
    assert_memory_equal(loaded.data[1], saved.data[3], 17 * sizeof(float));
    assert_int_equal(tw_weights_copy(w, loaded.arrays, 1), TW_EDATA); /* not all of them */
    tw_weights_destroy(&w);

    assert_int_equal(tw_weights_export(run, "ema:0.999", NULL, false, made), TW_OK);
    assert_string_equal(made + strlen(run), "/weights/step-000000200-ema-0.999.h5");
    assert_int_equal(tw_weights_load(&w, NULL, made, NULL), TW_OK);
    assert_string_equal(w->meta.weights, "ema:0.999");
    assert_string_equal(w->meta.source, checkpoint);
    assert_string_equal(w->meta.config, saved.meta.config);
    assert_true(fixture_same_samples(&w->meta));
    assert_memory_equal(w->arrays[1].data, saved.data[4],
                        288 * sizeof(float)); /* sorted: the bias first */
    tw_weights_destroy(&w);
    assert_int_equal(tw_weights_load(&w, NULL, made, "raw"), TW_EDATA);

    assert_int_equal(tw_weights_load(&w, NULL, checkpoint, "raw"), TW_OK);
    assert_memory_equal(w->arrays[1].data, saved.data[0], 288 * sizeof(float));
    tw_weights_destroy(&w);
    assert_int_equal(tw_weights_load(&w, NULL, checkpoint, "ema:0.5"), TW_EDATA);
    assert_non_null(strstr(tw_error_message(), "only ema:0.999, ema:0.9999, raw"));
    assert_int_equal(tw_weights_load(&w, NULL, checkpoint, "best"), TW_EUSAGE);
    assert_int_equal(tw_weights_export(checkpoint, NULL, NULL, false, NULL), TW_EUSAGE);
    snprintf(path, sizeof path, "%s/none", run);
    assert_int_equal(tw_weights_load(&w, NULL, path, NULL), TW_ENOINPUT);
    assert_null(w);
}

static void draining_is_idempotent_repairs_and_leaves_damaged_ones_out(void **state)
{
    (void)state;
    char path[512], to[300], copy[700], manifest[512];
    int64_t copied, skipped;
    size_t n, m;
    save(1, path, sizeof path);
    save(2, path, sizeof path);
    save(3, path, sizeof path);
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(tw_weights_export(run, NULL, NULL, false, NULL), TW_OK);
    snprintf(to, sizeof to, "%s/durable", run);
    assert_int_equal(tw_checkpoint_drain(run, to, &copied, &skipped), TW_OK);
    assert_true(copied == 3 && skipped == 0); /* two checkpoints and the weights */
    assert_int_equal(tw_checkpoint_drain(run, to, &copied, &skipped), TW_OK);
    assert_true(copied == 0 && skipped == 3);
    snprintf(manifest, sizeof manifest, "%s/manifest.jsonl", to);
    char *text = fixture_slurp(manifest, &n);
    int lines = 0;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    assert_int_equal(lines, 3);
    free(text);

    snprintf(copy, sizeof copy, "%s/step-000000002.h5", to);
    snprintf(path, sizeof path, "%s/checkpoints/step-000000002.h5", run);
    assert_int_equal(truncate(copy, 2000), 0);
    assert_int_equal(tw_checkpoint_drain(run, to, &copied, &skipped), TW_OK);
    assert_true(copied == 1 && skipped == 2);
    char first[512];
    snprintf(first, sizeof first, "%s/checkpoints/step-000000001.h5", run);
    text = fixture_slurp(first, &n);
    fixture_spill(copy, text, n); /* a good file, but another one */
    free(text);
    assert_int_equal(tw_checkpoint_drain(run, to, &copied, &skipped), TW_OK);
    assert_true(copied == 1 && skipped == 2);
    char *a = fixture_slurp(path, &n), *b = fixture_slurp(copy, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    snprintf(copy, sizeof copy, "%s/step-000000003.h5", to);
    assert_false(tw_file_exists(copy));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_round_trip_is_bitwise_and_keeps_every_fact),
        TEST(the_same_state_gives_the_same_bytes),
        TEST(latest_names_the_newest_and_nothing_temporary_stays),
        TEST(arrays_of_many_chunks_and_odd_shapes_survive),
        TEST(every_truncation_is_refused),
        TEST(every_flipped_bit_is_refused),
        TEST(an_unknown_version_is_named),
        TEST(what_is_no_checkpoint_is_said_so),
        TEST(other_names_and_shapes_are_refused_by_name),
        TEST(a_value_that_is_not_finite_is_never_written),
        TEST(impossible_names_are_refused),
        TEST(a_writer_that_is_dropped_midway_leaves_nothing),
        TEST(the_newest_valid_one_is_found_past_damaged_and_temporary_ones),
        TEST(pruning_keeps_the_newest_the_verified_the_milestones_and_the_held),
        TEST(a_hold_file_that_cannot_be_read_stops_the_pruning),
        TEST(pruning_reads_in_pieces),
        TEST(preflight_counts_what_is_kept_and_what_is_written),
        TEST(weights_are_found_in_runs_checkpoints_and_exports),
        TEST(draining_is_idempotent_repairs_and_leaves_damaged_ones_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
