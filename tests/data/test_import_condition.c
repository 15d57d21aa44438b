/* Imports with conditions: averages of the samples, and arrays beside them. */
#include "data/fixture.h"

#include "data/conditional.h"

static void import(const char *name, const tw_import_options *more)
{
    tw_import_options o = *more;
    o.path = in(name);
    o.replace = true;
    assert_ok(tw_dataset_import(&o, NULL));
}

/* Averages over blocks of what is stored, also where the order is random and values are missing. */
static void a_coarse_condition_is_the_average_of_each_block(void **state)
{
    (void)state;
    static float x[N * SAMPLE], y[N * SAMPLE];
    char source[600];
    tw_dataset *d = NULL;
    assert_ok(write_file("fine.h5", 0, false));
    snprintf(source, sizeof source, "%s:/images", in("fine.h5"));
    const char *const inputs[] = {source};
    import("coarse.h5", &(tw_import_options){.format = "hdf5",
                                             .inputs = inputs,
                                             .input_count = 1,
                                             .test_fraction = 0.25,
                                             .condition_coarse = 2});
    const tw_dataset_options options = {.path = in("coarse.h5"), .split = "all", .verify = true};
    assert_ok(tw_dataset_open(&d, NULL, &options));
    assert_int_equal(tw_dataset_get_spec(d)->condition->channels, C);
    assert_ok(tw_dataset_read(d, 0, N, x, NULL));
    assert_ok(tw_dataset_read_condition(d, NULL, 0, N, y));
    for (int64_t i = 0; i < N; i++)
        for (int64_t row = 0; row < H; row++)
            for (int64_t column = 0; column < W; column++)
                for (int64_t c = 0; c < C; c++) {
                    double mean = 0;
                    for (int64_t k = 0; k < 4; k++)
                        mean +=
                            (double)
                                x[i * SAMPLE +
                                  ((row / 2 * 2 + k / 2) * W + column / 2 * 2 + k % 2) * C + c] /
                            4;
                    assert_float_equal(y[i * SAMPLE + (row * W + column) * C + c], mean, 1e-5);
                }
    tw_dataset_destroy(&d);
}

/* Arrays of another file, several as channels, follow their samples into the random order; a
 * coarser one is repeated. */
static void imported_conditions_follow_their_samples(void **state)
{
    (void)state;
    static float x[N * SAMPLE], y[N * H * W * (C2 + 1)];
    char source[600], fine[600], small[600];
    tw_dataset *d = NULL;
    tw_dataset_writer *w = NULL;
    assert_ok(write_file("given.h5", 0, false));
    tw_dataset_spec spec = {.kind = TW_DATASET_FLOAT32,
                            .count = N,
                            .height = H / 2,
                            .width = W / 3,
                            .channels = 1,
                            .name = "small"};
    const tw_dataset_writer_options how = {.path = in("small.h5")};
    assert_ok(tw_dataset_writer_create(&w, &spec, &how));
    for (int64_t i = 0; i < N; i++) {
        const float v[4] = {(float)i, (float)i + 0.25f, (float)i + 0.5f, (float)i + 0.75f};
        assert_ok(tw_dataset_writer_append(w, 1, v, NULL));
    }
    assert_ok(tw_dataset_writer_finish(&w, NULL));
    snprintf(source, sizeof source, "%s:/images", in("given.h5"));
    snprintf(fine, sizeof fine, "%s:/condition", in("given.h5"));
    snprintf(small, sizeof small, "%s:/images", in("small.h5"));
    const char *const inputs[] = {source};
    for (int coarse = 0; coarse < 2; coarse++) {
        const char *const conditions[] = {coarse ? small : fine};
        import("both.h5", &(tw_import_options){.format = "hdf5",
                                               .inputs = inputs,
                                               .input_count = 1,
                                               .test_fraction = 0.25,
                                               .normalise = TW_NORMALISE_NONE,
                                               .conditions = conditions,
                                               .condition_count = 1});
        const tw_dataset_options options = {.path = in("both.h5"), .split = "all", .verify = true};
        assert_ok(tw_dataset_open(&d, NULL, &options));
        assert_int_equal(tw_dataset_get_spec(d)->condition->channels, coarse ? 1 : C2);
        assert_ok(tw_dataset_read(d, 0, N, x, NULL));
        assert_ok(tw_dataset_read_condition(d, NULL, 0, N, y));
        int moved = 0;
        for (int64_t i = 0; i < N; i++) {
            const int64_t own = (int64_t)x[i * SAMPLE] / 1000;
            moved += own != i;
            for (int k = 0; k < CONDITION && !coarse; k++)
                assert_true(y[i * CONDITION + k] ==
                            (float)(10 * (1 + k % C2)) -
                                (float)(2 << k % C2) * sample_of(own, k / C2));
            for (int k = 0; k < H * W && coarse; k++) /* [2][2] blocks of [2][3] pixels */
                assert_true(y[i * H * W + k] ==
                            (float)own + 0.5f * (float)(k / W / 2) + 0.25f * (float)(k % W / 3));
        }
        assert_true(moved > N / 2);
        tw_dataset_destroy(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_coarse_condition_is_the_average_of_each_block),
        cmocka_unit_test(imported_conditions_follow_their_samples),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
