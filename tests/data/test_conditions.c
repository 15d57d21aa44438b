/* ranks: 1 2 */
/* Conditions beside the samples of a dataset: written, read and loaded with the samples that they
 * are of, and part of what a dataset is. */
#include <mpi.h>

#include "data/parallel.h"

#include "data/conditional.h"
#include "tweedie/data.h"

static void on_rank_zero(tw_status st)
{
    assert_ok(tw_comm_agree(comm, st));
}

static void open_it(tw_dataset **d, const char *name, const tw_comm *on, bool verify)
{
    const tw_dataset_options options = {.path = in(name), .io = io, .verify = verify};
    assert_ok(tw_dataset_open(d, on, &options));
}

static void conditions_are_read_as_written_in_model_units(void **state)
{
    (void)state;
    static float y[N * CONDITION];
    for (int gzip = 0; gzip < 2; gzip++) {
        tw_dataset *d = NULL;
        on_rank_zero(tw_comm_rank(comm) == 0 ? write_file("read.h5", gzip, false) : TW_OK);
        open_it(&d, "read.h5", comm, true);
        const tw_dataset_spec *c = tw_dataset_get_spec(d)->condition;
        assert_non_null(c);
        assert_int_equal(c->channels, C2);
        assert_ok(tw_dataset_read_condition(d, NULL, 5, N - 5, y));
        for (int64_t i = 0; i < N - 5; i++)
            for (int k = 0; k < CONDITION; k++)
                assert_true(y[i * CONDITION + k] == -sample_of(5 + i, k / C2));
        assert_int_equal(tw_dataset_read_condition(d, NULL, N, 1, y), TW_EINTERNAL);
        tw_dataset_destroy(&d);
    }
}

static void conditions_are_part_of_the_digest(void **state)
{
    (void)state;
    tw_dataset *a = NULL, *b = NULL;
    size_t size;
    on_rank_zero(tw_comm_rank(comm) == 0 ? write_file("a.h5", 0, false) : TW_OK);
    on_rank_zero(tw_comm_rank(comm) == 0 ? write_file("b.h5", 0, true) : TW_OK);
    open_it(&a, "a.h5", comm, true);
    open_it(&b, "b.h5", comm, true);
    assert_string_not_equal(tw_dataset_get_spec(a)->digest, tw_dataset_get_spec(b)->digest);
    tw_dataset_destroy(&a);
    tw_dataset_destroy(&b);
    if (tw_comm_rank(comm) == 0) { /* the last number of all, which only conditions have */
        const float last = 30 - 8 * sample_of(N - 1, H * W - 1);
        unsigned char *bytes = take(in("a.h5"), &size);
        for (size_t k = 0; k + 4 <= size; k++)
            if (memcmp(bytes + k, &last, 4) == 0) bytes[k] ^= 1;
        put(in("a.h5"), bytes, size);
        free(bytes);
    }
    assert_ok(tw_comm_barrier(comm));
    const tw_dataset_options options = {.path = in("a.h5"), .io = io, .verify = true};
    assert_fails(tw_dataset_open(&a, comm, &options), TW_EDATA, "a.h5", "damaged");
}

/* Whichever way it is loaded: the label says which sample it is, the condition is its own, mirrored
 * where it is. */
static void conditions_are_loaded_with_their_samples(void **state)
{
    (void)state;
    static float x[8 * SAMPLE], y[8 * CONDITION];
    int32_t label[8];
    on_rank_zero(tw_comm_rank(comm) == 0 ? write_file("load.h5", 0, false) : TW_OK);
    for (int mode = TW_LOADER_RESIDENT; mode <= TW_LOADER_STREAMING; mode++) {
        tw_dataset *d = NULL;
        tw_loader *l = NULL;
        const tw_loader_options how = {
            .batch = 8, .seed = 3, .flip = true, .mode = (tw_loader_mode)mode, .condition = true};
        open_it(&d, "load.h5", comm, false);
        assert_ok(tw_loader_create(&l, d, &how));
        const int64_t n = tw_loader_positions(l);
        assert_true(tw_loader_bytes(l) >= (size_t)(n * (SAMPLE + CONDITION)) * sizeof(float));
        for (int64_t step = 0; step < 60; step++) {
            assert_ok(tw_loader_next(l, step, 0, n, x, label));
            assert_ok(tw_loader_next_condition(l, step, 0, n, y));
            for (int64_t i = 0; i < n; i++)
                for (int k = 0; k < CONDITION; k++)
                    assert_true(y[i * CONDITION + k] == -x[i * SAMPLE + k / C2 * C]);
            assert_true(x[0] == sample_of(label[0], 0) || x[0] == sample_of(label[0], W - 1));
        }
        tw_loader_destroy(&l);
        tw_dataset_destroy(&d);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    tw_dataset_writer *w = NULL;
    tw_dataset *d = NULL;
    tw_loader *l = NULL;
    const float y[CONDITION] = {0}, x[SAMPLE] = {0};
    float bad[CONDITION] = {0};
    tw_dataset_spec spec = {.kind = TW_DATASET_FLOAT32,
                            .count = 1,
                            .height = H,
                            .width = W,
                            .channels = C,
                            .name = "conditional"};
    const tw_dataset_writer_options how = {.path = in("refused.h5"), .mode = TW_OUTPUT_REPLACE};
    if (tw_comm_rank(comm) > 0) goto together;
    tw_dataset_spec condition = tw_dataset_condition_spec(&spec, false, C2);
    condition.height = H + 1;
    spec.condition = &condition;
    assert_fails(tw_dataset_writer_create(&w, &spec, &how), TW_EDATA, "/condition", "of 5 x 6");
    condition.height = H;
    assert_ok(tw_dataset_writer_create(&w, &spec, &how));
    bad[7] = 1e38f * 10;
    assert_fails(tw_dataset_writer_append_condition(w, 1, bad), TW_EDATA, "/condition[0]",
                 "finite");
    assert_fails(tw_dataset_writer_append_condition(w, 2, y), TW_EDATA, "condition 2 of 1");
    assert_ok(tw_dataset_writer_append(w, 1, x, NULL));
    assert_fails(tw_dataset_writer_finish(&w, NULL), TW_EDATA, "0 of 1 conditions");
    spec.condition = NULL;
    assert_ok(tw_dataset_writer_create(&w, &spec, &how));
    assert_fails(tw_dataset_writer_append_condition(w, 1, y), TW_EDATA, "condition 1 of 0");
    assert_ok(tw_dataset_writer_append(w, 1, x, NULL));
    assert_ok(tw_dataset_writer_finish(&w, NULL));
together:
    assert_ok(tw_comm_barrier(comm));
    open_it(&d, "refused.h5", comm, false);
    assert_fails(tw_dataset_read_condition(d, NULL, 0, 1, bad), TW_EDATA, "has no /condition");
    const tw_loader_options loading = {.batch = tw_comm_size(comm), .condition = true};
    if (tw_comm_size(comm) == 1)
        assert_fails(tw_loader_create(&l, d, &loading), TW_EDATA, "has no /condition");
    tw_dataset_destroy(&d);
}

int main(void)
{
    if (make_parallel() != TW_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_read_as_written_in_model_units),
        cmocka_unit_test(conditions_are_part_of_the_digest),
        cmocka_unit_test(conditions_are_loaded_with_their_samples),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return end_parallel(cmocka_run_group_tests(tests, NULL, NULL));
}
