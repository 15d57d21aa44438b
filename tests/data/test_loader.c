/* ranks: 1 2 4 */
/* Batches: the same for every number of ranks, from memory and from the file, each sample once in
 * an epoch of its shard. */
#include <mpi.h>
#include <xxhash.h>

#include "data/parallel.h"
#include "tweedie/data.h"
#include "tweedie/memory.h"

/* Images of few bytes, or of so many that a block of 1 MiB holds few of them: samples i holds i in
 * its first bytes. */
typedef struct fixture {
    const char *name;
    int64_t count, height, width, channels;
    tw_dataset_kind kind;
    int gzip;
} fixture;

static const fixture small = {"small.h5", 203, 2, 3, 2, TW_DATASET_UINT8, 0};
static const fixture large = {"large.h5", 131, 256, 256, 3, TW_DATASET_UINT8, 0}; /* 5 in a block */
static const fixture packed = {"packed.h5", 131, 256, 256, 1, TW_DATASET_UINT8, 1};
static const fixture points = {"points.h5", 1000, 1, 1, 3, TW_DATASET_POINTS, 0};

static void write_fixture(const fixture *f)
{
    tw_status st = TW_OK;
    if (tw_comm_rank(comm) == 0) {
        tw_dataset_spec spec = {.kind = f->kind,
                                .count = f->count,
                                .height = f->height,
                                .width = f->width,
                                .channels = f->channels,
                                .num_classes = 1000,
                                .name = "fixture"};
        const tw_dataset_writer_options how = {
            .path = in(f->name), .gzip = f->gzip, .mode = TW_OUTPUT_REPLACE};
        const size_t bytes = tw_dataset_sample_bytes(&spec);
        unsigned char *sample = calloc(1, bytes);
        tw_dataset_writer *w = NULL;
        spec.split_count = 2;
        spec.splits[0] = (tw_dataset_split){"test", 0, 1};
        spec.splits[1] = (tw_dataset_split){"train", 1, f->count};
        st = tw_dataset_writer_create(&w, &spec, &how);
        for (int64_t i = 0; i < f->count && st == TW_OK; i++) {
            const int32_t label = (int32_t)(i % 1000);
            const float number = (float)i;
            if (f->kind == TW_DATASET_UINT8) {
                for (size_t k = 0; k < bytes; k++)
                    sample[k] = (unsigned char)(k * 31 + (size_t)i * 7);
                memcpy(sample, &label, 4);
            } else
                memcpy(sample, &number, 4);
            st = tw_dataset_writer_append(w, 1, sample, &label);
        }
        if (st == TW_OK) st = tw_dataset_writer_finish(&w, NULL);
        tw_dataset_writer_abort(&w);
        free(sample);
    }
    assert_ok(tw_comm_agree(comm, st));
}

typedef struct drawing {
    const fixture *from;
    int64_t batch, steps, first_step;
    tw_loader_mode mode;
    bool flip, threaded;
    int64_t microbatch; /* 0: all positions at once */
} drawing;

/* A digest of steps' global batches: each rank's positions are gathered, so it does not depend on
 * the number of ranks unless they do. */
static uint64_t sample_all(const drawing *g)
{
    tw_dataset *d = NULL;
    tw_loader *l = NULL;
    const tw_dataset_options options = {.path = in(g->from->name), .io = g->threaded ? io : NULL};
    const tw_loader_options how = {.batch = g->batch, .seed = 42, .flip = g->flip, .mode = g->mode};
    assert_ok(tw_dataset_open(&d, comm, &options));
    assert_ok(tw_loader_create(&l, d, &how));
    assert_int_equal(tw_loader_is_resident(l), g->mode == TW_LOADER_RESIDENT);
    const int64_t n = tw_loader_positions(l), dims = tw_dataset_elements(tw_dataset_get_spec(d));
    assert_int_equal(n * tw_comm_size(comm), g->batch);
    assert_int_equal(tw_loader_first_position(l), n * tw_comm_rank(comm));
    float *x = malloc((size_t)(n * dims) * sizeof *x);
    int32_t *labels = malloc((size_t)n * sizeof *labels);
    uint64_t *hashes = malloc((size_t)n * sizeof *hashes),
             *all = malloc((size_t)g->batch * sizeof *all), total = 0;
    const int64_t micro = g->microbatch ? g->microbatch : n;
    for (int64_t step = g->first_step; step < g->first_step + g->steps; step++) {
        for (int64_t i = 0; i < n; i += micro) {
            const int64_t m = n - i < micro ? n - i : micro;
            assert_ok(tw_loader_next(l, step, i, m, x + i * dims, labels + i));
        }
        for (int64_t i = 0; i < n; i++) {
            /* labels say which sample it was, and so does the order */
            assert_int_equal(
                labels[i],
                (1 + tw_loader_sample_index(l, step, tw_loader_first_position(l) + i)) % 1000);
            hashes[i] =
                XXH3_64bits_withSeed(x + i * dims, (size_t)dims * sizeof *x, (uint64_t)labels[i]);
        }
        assert_ok(tw_comm_gather(comm, hashes, (size_t)n * sizeof *hashes, all));
        if (tw_comm_rank(comm) == 0)
            total = XXH3_64bits_withSeed(all, (size_t)g->batch * sizeof *all, total);
    }
    assert_ok(tw_comm_broadcast(comm, &total, sizeof total, 0));
    free(x);
    free(labels);
    free(hashes);
    free(all);
    tw_loader_destroy(&l);
    tw_dataset_destroy(&d);
    return total;
}

static void batches_do_not_depend_on_ranks_memory_thread_or_microbatch(void **state)
{
    (void)state;
    /* found on one rank from memory; every other way must give the same on any number of ranks, now
     * and in later versions */
    static const struct {
        const fixture *from;
        int64_t steps;
        bool flip;
        uint64_t expected;
    } cases[] = {
        {&small, 60, true, 0x4550ccf9750a9a64},
        {&large, 40, false, 0x4b71b2f5a4ffe921},
        {&packed, 40, true, 0x0b74cbe4972cdb8d},
        {&points, 300, false, 0x5c7a51d548b8b3ad},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_fixture(cases[i].from);
        drawing g = {.from = cases[i].from,
                     .batch = 8,
                     .steps = cases[i].steps,
                     .mode = TW_LOADER_RESIDENT,
                     .flip = cases[i].flip};
        const uint64_t expected = cases[i].expected;
        assert_int_equal(sample_all(&g), expected);
        g.threaded = true;
        assert_int_equal(sample_all(&g), expected);
        g.mode = TW_LOADER_STREAMING;
        assert_int_equal(sample_all(&g), expected);
        g.microbatch = 1;
        assert_int_equal(sample_all(&g), expected);
        g.threaded = false;
        assert_int_equal(sample_all(&g), expected);
    }
}

static void any_step_is_found_without_those_before_it(void **state)
{
    (void)state;
    tw_dataset *d = NULL;
    tw_loader *l = NULL;
    float *x = malloc(2 * 256 * 256 * 3 * sizeof *x), *again = x + 256 * 256 * 3;
    int32_t label, label_again;
    write_fixture(&large);
    const tw_dataset_options options = {.path = in("large.h5"), .io = io};
    const tw_loader_options how = {
        .batch = 4, .seed = 3, .mode = TW_LOADER_STREAMING, .flip = true};
    static const int64_t steps[] = {0, 31, 32, 33, 5, 1000000, 6, 31, 0};
    assert_ok(tw_dataset_open(&d, comm, &options));
    assert_ok(tw_loader_create(&l, d, &how));
    for (size_t i = 0; i < sizeof steps / sizeof *steps;
         i++) { /* jumping about in one loader, and each in a fresh one */
        tw_loader *fresh = NULL;
        assert_ok(tw_loader_create(&fresh, d, &how));
        assert_ok(tw_loader_next(l, steps[i], 0, 1, x, &label));
        assert_ok(tw_loader_next(fresh, steps[i], 0, 1, again, &label_again));
        assert_memory_equal(x, again, 256 * 256 * 3 * sizeof *x);
        assert_int_equal(label, label_again);
        tw_loader_destroy(&fresh);
    }
    free(x);
    tw_loader_destroy(&l);
    tw_dataset_destroy(&d);
}

static void each_sample_of_a_shard_is_loaded_once_in_an_epoch(void **state)
{
    (void)state;
    /* 130 samples in 8 shards of 16 or 17 in blocks of 5; and 202 in 8 shards of one block */
    static const fixture *const fixtures[] = {&large, &small};
    for (int f = 0; f < 2; f++) {
        tw_dataset *d = NULL;
        tw_loader *l = NULL;
        write_fixture(fixtures[f]);
        const tw_dataset_options options = {.path = in(fixtures[f]->name), .io = io};
        const tw_loader_options how = {.batch = 8, .seed = 11, .mode = TW_LOADER_STREAMING};
        assert_ok(tw_dataset_open(&d, comm, &options));
        assert_ok(tw_loader_create(&l, d, &how));
        const int64_t samples = tw_dataset_count(d);
        int64_t covered = 0, changed = 0;
        for (int64_t shard = 0; shard < 8; shard++) {
            const int64_t first = shard * samples / 8, size = (shard + 1) * samples / 8 - first;
            covered += size;
            for (int64_t epoch = 0; epoch < 5; epoch++) {
                int seen[64] = {0};
                for (int64_t k = 0; k < size; k++) {
                    const int64_t i = tw_loader_sample_index(l, epoch * size + k, shard) - first;
                    assert_in_range(i, 0, size - 1);
                    seen[i]++;
                    changed += i != tw_loader_sample_index(l, k, shard) - first;
                }
                for (int64_t i = 0; i < size; i++) assert_int_equal(seen[i], 1);
            }
        }
        assert_int_equal(covered, samples);
        assert_true(changed >
                    3 * samples); /* of 4 epochs after the first: they are in other orders */
        tw_loader_destroy(&l);
        tw_dataset_destroy(&d);
    }
}

static void half_of_the_draws_are_mirrored_and_nothing_else(void **state)
{
    (void)state;
    tw_dataset *d = NULL;
    tw_loader *l = NULL, *plain = NULL;
    float x[12], y[12];
    int mirrored = 0, total = 0;
    write_fixture(&small);
    const tw_dataset_options options = {.path = in("small.h5")};
    tw_loader_options how = {.batch = 8, .seed = 9, .mode = TW_LOADER_AUTO, .flip = true};
    assert_ok(tw_dataset_open(&d, comm, &options));
    assert_ok(tw_loader_create(&l, d, &how));
    how.flip = false;
    assert_ok(tw_loader_create(&plain, d, &how));
    for (int64_t step = 0; step < 400; step++)
        for (int64_t i = 0; i < tw_loader_positions(l); i++) {
            assert_ok(tw_loader_next(l, step, i, 1, x, NULL));
            assert_ok(tw_loader_next(plain, step, i, 1, y, NULL));
            const bool same = memcmp(x, y, sizeof x) == 0;
            for (int row = 0; row < 2 && !same;
                 row++) /* [2][3][2]: columns 0 and 2 change places, channels do not */
                for (int column = 0; column < 3; column++)
                    for (int c = 0; c < 2; c++)
                        assert_true(x[(row * 3 + column) * 2 + c] ==
                                    y[(row * 3 + 2 - column) * 2 + c]);
            mirrored += !same;
            total++;
        }
    /* five deviations of a fair coin */
    assert_true((2.0 * mirrored - total) * (2.0 * mirrored - total) < 25.0 * total);
    tw_loader_destroy(&plain);
    tw_loader_destroy(&l);
    tw_dataset_destroy(&d);
}

/* Each rank's augmented images and what is said of them, bit for bit those of one process alone
 * that has the whole batch, at steps in another order and from another way of reading. */
static void augmented_images_do_not_depend_on_ranks_or_order(void **state)
{
    (void)state;
    enum { BATCH = 8, DIMS = 12 };
    static const char *const probability = "augment_probability=0.5";
    tw_dataset *d = NULL, *alone = NULL;
    tw_loader *l = NULL, *whole = NULL;
    tw_config *config = NULL;
    tw_choice edm = {0};
    const tw_choice_rule rule = {.section = "data", .key = "augment", .kinds = tw_augment_kinds};
    write_fixture(&small);
    assert_ok(tw_choice_make(&edm, &rule, "edm", 1, &probability, &config));
    const tw_dataset_options options = {.path = in("small.h5")};
    const int64_t labels = ((const tw_augment *)edm.kind)->labels;
    tw_loader_options how = {.batch = BATCH,
                             .seed = 9,
                             .flip = true,
                             .augment = (const tw_augment *)edm.kind,
                             .augment_config = edm.config,
                             .mode = TW_LOADER_STREAMING};
    float x[BATCH * DIMS], y[BATCH * DIMS], told[BATCH * 9], want[BATCH * 9];
    assert_int_equal(labels, 9);
    assert_ok(tw_dataset_open(&d, comm, &options));
    assert_ok(tw_dataset_open(&alone, NULL, &options));
    assert_ok(tw_loader_create(&l, d, &how));
    how.mode = TW_LOADER_RESIDENT;
    assert_ok(tw_loader_create(&whole, alone, &how));
    const int64_t n = tw_loader_positions(l), first = tw_loader_first_position(l);
    int transformed = 0;
    for (int64_t k = 0; k < 40; k++) {
        const int64_t step = k * 13 % 40;
        assert_ok(tw_loader_next(whole, step, 0, BATCH, y, NULL));
        tw_loader_augment_labels(whole, step, 0, BATCH, want);
        assert_ok(tw_loader_next(l, step, 0, n, x, NULL));
        tw_loader_augment_labels(l, step, 0, n, told);
        assert_memory_equal(x, y + first * DIMS, (size_t)(n * DIMS) * sizeof *x);
        assert_memory_equal(told, want + first * labels, (size_t)(n * labels) * sizeof *x);
        for (int i = 0; i < BATCH * 9; i++) transformed += want[i] != 0;
    }
    assert_true(transformed > 40 * BATCH);
    tw_loader_destroy(&l);
    tw_loader_destroy(&whole);
    tw_dataset_destroy(&d);
    tw_dataset_destroy(&alone);
    write_fixture(&points);
    const tw_dataset_options of_points = {.path = in("points.h5")};
    assert_ok(tw_dataset_open(&d, comm, &of_points));
    assert_fails(tw_loader_create(&l, d, &how), TW_ECONFIG, "data.augment", "points.h5");
    tw_dataset_destroy(&d);
    tw_choice_free(&edm);
    tw_config_destroy(&config);
}

static void a_batch_that_does_not_fit_is_refused_on_all_ranks(void **state)
{
    (void)state;
    tw_dataset *d = NULL;
    tw_loader *l = NULL;
    write_fixture(&small);
    const tw_dataset_options options = {.path = in("small.h5")};
    tw_loader_options how = {.batch = 203};
    assert_ok(tw_dataset_open(&d, comm, &options));
    assert_fails(tw_loader_create(&l, d, &how), TW_ECONFIG, "small.h5", "202 samples",
                 "batch of 203");
    how.batch = 0;
    assert_fails(tw_loader_create(&l, d, &how), TW_ECONFIG, "batch of 0");
    if (tw_comm_size(comm) > 1) {
        how.batch = 9;
        assert_fails(tw_loader_create(&l, d, &how), TW_ECONFIG, "batch of 9", "ranks", "1, 3, 9");
    }
    assert_null(l);
    how.batch = 200; /* shards of 1 and 2 samples */
    assert_ok(tw_loader_create(&l, d, &how));
    tw_loader_destroy(&l);
    tw_dataset_destroy(&d);
}

static void a_file_that_is_missing_or_bad_gives_all_ranks_the_same_code(void **state)
{
    (void)state;
    tw_dataset *d = NULL;
    tw_dataset_options options = {.path = in("missing.h5")};
    assert_fails(tw_dataset_open(&d, comm, &options), TW_ENOINPUT, "missing.h5", "No such file");
    write_fixture(&small);
    if (tw_comm_rank(comm) == 0) put(in("bad.h5"), "bad", 3);
    assert_ok(tw_comm_barrier(comm));
    options.path = in("bad.h5");
    options.io = io;
    assert_fails(tw_dataset_open(&d, comm, &options), TW_EDATA, "bad.h5", "not an HDF5 file");
    options.path = in("small.h5");
    options.split = "nowhere";
    assert_fails(tw_dataset_open(&d, comm, &options), TW_ECONFIG, "nowhere",
                 "test=0:1,train=1:203");
    assert_null(d);
}

static void bad_data_on_one_rank_is_told_to_all(void **state)
{
    (void)state;
    tw_dataset *d = NULL;
    tw_loader *l = NULL;
    size_t size;
    write_fixture(&points);
    if (tw_comm_rank(comm) ==
        0) { /* the last sample becomes infinite: only the last rank reads it */
        unsigned char *bytes = take(in("points.h5"), &size);
        const float last[] = {999, 0, 0}, infinite = 1e38f * 10;
        unsigned char *at = memmem(bytes, size, last, sizeof last);
        assert_non_null(at);
        memcpy(at, &infinite, 4);
        put(in("points.h5"), bytes, size);
        free(bytes);
    }
    assert_ok(tw_comm_barrier(comm));
    tw_dataset_options options = {.path = in("points.h5")};
    const tw_loader_options how = {.batch = 8, .mode = TW_LOADER_RESIDENT};
    assert_ok(tw_dataset_open(&d, comm, &options));
    assert_fails(tw_loader_create(&l, d, &how), TW_EDATA, "points.h5", "/points[999]", "inf");
    assert_null(l);
    tw_dataset_destroy(&d);
    options.verify = true;
    assert_fails(tw_dataset_open(&d, comm, &options), TW_EDATA, "points.h5", "/points[999]");
}

int main(void)
{
    if (make_parallel() != TW_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_do_not_depend_on_ranks_memory_thread_or_microbatch),
        cmocka_unit_test(any_step_is_found_without_those_before_it),
        cmocka_unit_test(each_sample_of_a_shard_is_loaded_once_in_an_epoch),
        cmocka_unit_test(half_of_the_draws_are_mirrored_and_nothing_else),
        cmocka_unit_test(augmented_images_do_not_depend_on_ranks_or_order),
        cmocka_unit_test(a_batch_that_does_not_fit_is_refused_on_all_ranks),
        cmocka_unit_test(a_file_that_is_missing_or_bad_gives_all_ranks_the_same_code),
        cmocka_unit_test(bad_data_on_one_rank_is_told_to_all),
    };
    return end_parallel(cmocka_run_group_tests(tests, NULL, NULL));
}
