/* Files that somebody made: a valid seal around objects that no writer here makes. Each is refused
 * with TW_EDATA, by the one gate, before anything of it is used. */
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/checkpoint_fixture.h"
#include "checkpoint/container.h"
#include "h5/isolate.h"

static fixture f;
static char run[256], path[512], other[512];

static int setup(void **state)
{
    (void)state;
    fixture_run(run, sizeof run);
    fixture_fill(&f, 40);
    snprintf(path, sizeof path, "%s/checkpoints/step-000000040.h5", run);
    snprintf(other, sizeof other, "%s/secret", run);
    fixture_spill(other, "root:x:0:0:the contents of another file of this user, 64 bytes:::", 64);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(run);
    return 0;
}

/* Gives a changed file a valid hash again. */
static void seal(void)
{
    container_pass pass;
    bool finished;
    assert_int_equal(container_pass_open(&pass, path), TW_OK);
    assert_int_equal(container_pass_step(&pass, path, INT64_MAX, &finished), TW_OK);
    assert_int_equal(container_seal(path, &pass), TW_OK);
    container_pass_close(&pass);
}

static tw_status open_it(void)
{
    tw_checkpoint *file = NULL;
    const tw_status st = tw_checkpoint_open(&file, path);
    tw_checkpoint_close(&file);
    return st;
}

/* Writes a good file, has `change` change it, seals it: opening must say `wanted`. */
static void refuse(void (*change)(hid_t file), const char *wanted)
{
    assert_int_equal(tw_checkpoint_write(run, f.arrays, FIXTURE_ARRAYS, &f.meta), TW_OK);
    assert_int_equal(open_it(), TW_OK);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    change(file);
    assert_true(H5Fclose(file) >= 0);
    seal();
    assert_int_equal(tw_checkpoint_check(path, NULL), TW_OK);
    assert_int_equal(open_it(), TW_EDATA);
    if (!strstr(tw_error_message(), wanted) || !strstr(tw_error_message(), path))
        fail_msg("'%s' does not say '%s'", tw_error_message(), wanted);
}

static hid_t list_of(H5D_layout_t layout)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(list, layout);
    return list;
}

/* Puts a dataset in the place of `name`. @param data  may be NULL: nothing is written */
static void replace(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims,
                    hid_t list, const void *data)
{
    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    hid_t space = rank > 0 ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(set >= 0);
    if (data) assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    if (list != H5P_DEFAULT) H5Pclose(list);
}

static hid_t text_of(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    return type;
}

static void replace_attribute(hid_t file, const char *name, hid_t type, const void *value)
{
    assert_true(H5Adelete(file, name) >= 0);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, value) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
}

static const char weight[] = "/params/down.0.conv1.weight";
static const hsize_t weight_dims[] = {8, 4, 3, 3};

/* ---- more than is there ---- */

static void make_config_an_array(hid_t file)
{
    static const char many[64][8] = {"[run]"};
    const hsize_t n = 64;
    hid_t type = text_of(8);
    replace(file, "config", type, 1, &n, H5P_DEFAULT, many);
    H5Tclose(type);
}

static void make_unwritten(hid_t file)
{
    const hsize_t n[] = {1 << 18};
    hid_t list = list_of(H5D_CHUNKED);
    H5Pset_chunk(list, 1, n);
    replace(file, "params/down.0.conv1.bias", H5T_IEEE_F32LE, 1, n, list, NULL);
}

static void make_many_links(hid_t file)
{
    char name[64];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "/params/copy%d", i);
        assert_true(H5Lcreate_hard(file, weight, file, name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    }
}

static void make_fact_an_array_too(hid_t file)
{
    assert_true(H5Lcreate_hard(file, "/sample_scale", file, "/params/scale", H5P_DEFAULT,
                               H5P_DEFAULT) >= 0);
}

static void a_file_that_claims_more_than_it_has_is_refused(void **state)
{
    (void)state;
    refuse(make_config_an_array, "/config");
    refuse(make_unwritten, "/params/down.0.conv1.bias");
    refuse(make_many_links, "hard links; one was expected");
    refuse(make_fact_an_array_too, "hard links; one was expected");
}

/* ---- other files ---- */

static void make_config_external(hid_t file)
{
    hid_t list = list_of(H5D_CONTIGUOUS), type = text_of(64);
    H5Pset_external(list, other, 0, 64);
    replace(file, "config", type, 0, NULL, list, NULL);
    H5Tclose(type);
}

static void make_offset_external(hid_t file)
{
    const hsize_t n = 3;
    hid_t list = list_of(H5D_CONTIGUOUS);
    H5Pset_external(list, other, 0, 12);
    replace(file, "sample_offset", H5T_IEEE_F32LE, 1, &n, list, NULL);
}

static void make_losses_virtual(hid_t file)
{
    const hsize_t n[] = {3, 2};
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, n, NULL);
    assert_true(H5Pset_virtual(list, space, other, "/x", space) >= 0);
    H5Sclose(space);
    replace(file, "loss_history", H5T_IEEE_F64LE, 2, n, list, NULL);
}

static void make_config_a_soft_link(hid_t file)
{
    H5Ldelete(file, "config", H5P_DEFAULT);
    H5Lcreate_soft("/loss_history", file, "config", H5P_DEFAULT, H5P_DEFAULT);
}

static void make_scale_an_external_link(hid_t file)
{
    H5Ldelete(file, "sample_scale", H5P_DEFAULT);
    H5Lcreate_external(other, "/x", file, "sample_scale", H5P_DEFAULT, H5P_DEFAULT);
}

static void make_array_an_external_link(hid_t file)
{
    H5Lcreate_external(other, "/x", file, "/params/x", H5P_DEFAULT, H5P_DEFAULT);
}

static void nothing_leads_to_another_file(void **state)
{
    (void)state;
    refuse(make_config_external, "/config are in other files");
    refuse(make_offset_external, "/sample_offset are in other files");
    refuse(make_losses_virtual, "/loss_history");
    refuse(make_config_a_soft_link, "/config is a link");
    refuse(make_scale_an_external_link, "/sample_scale is a link");
    refuse(make_array_an_external_link, "/params/x is a link");
}

/* ---- other types and layouts ---- */

static void make_losses_single(hid_t file)
{
    static const float few[6] = {1, 2, 3, 4, 5, 6};
    const hsize_t n[] = {3, 2};
    replace(file, "loss_history", H5T_IEEE_F32LE, 2, n, H5P_DEFAULT, few);
}

static void make_scale_deflated(hid_t file)
{
    const hsize_t n = 3;
    hid_t list = list_of(H5D_CHUNKED);
    H5Pset_chunk(list, 1, &n);
    H5Pset_deflate(list, 1);
    replace(file, "sample_scale", H5T_IEEE_F32LE, 1, &n, list, fixture_scale);
}

static void make_array_double(hid_t file)
{
    static const double zeros[8 * 4 * 3 * 3];
    replace(file, weight, H5T_IEEE_F64LE, 4, weight_dims, H5P_DEFAULT, zeros);
}

static void make_array_contiguous(hid_t file)
{
    replace(file, weight, H5T_IEEE_F32LE, 4, weight_dims, H5P_DEFAULT, f.data[0]);
}

static void make_array_deflated(hid_t file)
{
    hid_t list = list_of(H5D_CHUNKED);
    H5Pset_chunk(list, 4, weight_dims);
    H5Pset_deflate(list, 9);
    replace(file, weight, H5T_IEEE_F32LE, 4, weight_dims, list, f.data[0]);
}

static void make_many_chunks(hid_t file)
{
    const hsize_t one[] = {1, 1, 1, 1};
    hid_t list = list_of(H5D_CHUNKED);
    H5Pset_chunk(list, 4, one);
    H5Pset_fletcher32(list);
    replace(file, weight, H5T_IEEE_F32LE, 4, weight_dims, list, f.data[0]);
}

static void make_seed_short(hid_t file)
{
    const int16_t seed = 3;
    replace_attribute(file, "seed", H5T_STD_I16LE, &seed);
}

static void make_text_variable(hid_t file)
{
    const char *text = "tweedie";
    hid_t type = text_of(H5T_VARIABLE);
    replace_attribute(file, "versions", type, &text);
    H5Tclose(type);
}

static void make_text_long(hid_t file)
{
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    hid_t type = text_of(sizeof text);
    replace_attribute(file, "precision", type, text);
    H5Tclose(type);
}

static void every_object_has_the_type_and_layout_that_is_written(void **state)
{
    (void)state;
    refuse(make_losses_single, "/loss_history is not of the type float64");
    refuse(make_scale_deflated, "/sample_scale is not stored in one piece");
    refuse(make_array_double, "is not of the type float32");
    refuse(make_array_contiguous, "is not stored in chunks");
    refuse(make_array_deflated, "expected fletcher32 alone");
    refuse(make_many_chunks, "chunks of another shape");
    refuse(make_seed_short, "\"seed\"");
    refuse(make_text_variable, "\"versions\"");
    refuse(make_text_long, "\"precision\"");
}

/* ---- other values ---- */

static void make_step_negative(hid_t file)
{
    const int64_t step = -1;
    replace_attribute(file, "step", H5T_STD_I64LE, &step);
}

static void make_step_another(hid_t file)
{
    const int64_t step = 41;
    replace_attribute(file, "step", H5T_STD_I64LE, &step);
}

static void make_channels_negative(hid_t file)
{
    const int64_t channels = -3;
    replace_attribute(file, "channels", H5T_STD_I64LE, &channels);
}

static void make_loss_not_finite(hid_t file)
{
    static const double table[6] = {1, 2, 3, NAN, 5, 6};
    const hsize_t n[] = {3, 2};
    replace(file, "loss_history", H5T_IEEE_F64LE, 2, n, H5P_DEFAULT, table);
}

static void make_offset_infinite(hid_t file)
{
    static const float offset[3] = {0, INFINITY, 0};
    const hsize_t n = 3;
    replace(file, "sample_offset", H5T_IEEE_F32LE, 1, &n, H5P_DEFAULT, offset);
}

static void values_are_finite_and_the_step_is_that_of_the_name(void **state)
{
    (void)state;
    refuse(make_step_negative, "its step is -1");
    refuse(make_step_another, "holds step 41, not the one of its name");
    refuse(make_channels_negative, "-3");
    refuse(make_loss_not_finite, "/loss_history holds nan");
    refuse(make_offset_infinite, "/sample_offset holds inf for channel 1");
}

/* ---- what cannot be judged ---- */

static void a_changed_byte_behind_a_valid_seal_never_ends_the_process(void **state)
{
    (void)state;
    size_t bytes;
    uint64_t random = 1;
    assert_int_equal(tw_checkpoint_write(run, f.arrays, FIXTURE_ARRAYS, &f.meta), TW_OK);
    char *text = fixture_slurp(path, &bytes);
    for (int i = 0; i < 150; i++) {
        char *changed = malloc(bytes);
        memcpy(changed, text, bytes);
        for (int k = 0; k < 3; k++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            changed[512 + (random >> 33) % (bytes - 512)] = (char)(random >> 24);
        }
        fixture_spill(path, changed, bytes);
        free(changed);
        seal();
        const tw_status st = open_it();
        if (st != TW_OK && st != TW_EDATA && st != TW_EIO)
            fail_msg("%d: %s", st, tw_error_message());
    }
    free(text);
}

static tw_status crash(const void *argument, int result)
{
    (void)argument;
    (void)result;
    signal(SIGSEGV, SIG_DFL); /* the sanitizer's would only write a report */
    raise(SIGSEGV);
    return TW_OK;
}

static tw_status echo(const void *argument, int result)
{
    const char *text = argument;
    if (text[0] == '!') return tw_error_set(TW_EDATA, "refused: %s", text + 1);
    return write(result, text, strlen(text)) == (ssize_t)strlen(text) ? TW_OK : TW_EIO;
}

static void check_calls(void)
{
    int file = -1;
    char text[16] = "";
    assert_int_equal(tw_isolate_call(crash, "", 1, &file, "a.h5"), TW_EDATA);
    assert_non_null(strstr(tw_error_message(), "a.h5: damaged: the library that reads it crashes"));
    assert_int_equal(tw_isolate_call(echo, "!why", 5, &file, "a.h5"), TW_EDATA);
    assert_string_equal(tw_error_message(), "refused: why");
    assert_int_equal(file, -1);
    assert_int_equal(tw_isolate_call(echo, "good", 5, &file, "a.h5"), TW_OK);
    assert_int_equal(pread(file, text, sizeof text, 0), 4);
    assert_string_equal(text, "good");
    close(file);
}

static void a_crash_of_the_reader_is_an_error_like_any_other(void **state)
{
    (void)state;
    check_calls();
    assert_int_equal(tw_isolate_start(), TW_OK); /* all later ones go through the helper */
    check_calls();
    assert_int_equal(tw_checkpoint_write(run, f.arrays, FIXTURE_ARRAYS, &f.meta), TW_OK);
    assert_int_equal(open_it(), TW_OK);
}

static void what_has_a_seal_alone_is_not_drained(void **state)
{
    char store[300], copy[600];
    int64_t copied = -1, skipped = -1;
    (void)state;
    snprintf(store, sizeof store, "%s/store", run);
    snprintf(copy, sizeof copy, "%s/step-000000040.h5", store);
    refuse(make_config_external, "");
    assert_int_equal(tw_checkpoint_drain(run, store, &copied, &skipped), TW_OK);
    assert_int_equal(copied, 0);
    assert_int_equal(access(copy, F_OK), -1);
    assert_int_equal(tw_checkpoint_write(run, f.arrays, FIXTURE_ARRAYS, &f.meta), TW_OK);
    assert_int_equal(tw_checkpoint_drain(run, store, &copied, &skipped), TW_OK);
    assert_int_equal(copied, 1);
}

/* For tests/cli/hostile.sh: RUN/checkpoints/step-000000040.h5 with one of these faults. */
static int make_one(const char *directory, const char *name)
{
    static const struct {
        const char *name;
        void (*change)(hid_t file);
    } makers[] = {{"external", make_config_external},
                  {"virtual", make_losses_virtual},
                  {"link", make_scale_an_external_link}};
    fixture_fill(&f, 40);
    snprintf(run, sizeof run, "%s", directory);
    snprintf(path, sizeof path, "%s/checkpoints/step-000000040.h5", run);
    snprintf(other, sizeof other, "%s/secret", run);
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        if (strcmp(makers[i].name, name) != 0) continue;
        refuse(makers[i].change, "");
        return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "make") == 0) return make_one(argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_that_claims_more_than_it_has_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_leads_to_another_file, setup, teardown),
        cmocka_unit_test_setup_teardown(every_object_has_the_type_and_layout_that_is_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(values_are_finite_and_the_step_is_that_of_the_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_changed_byte_behind_a_valid_seal_never_ends_the_process,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_has_a_seal_alone_is_not_drained, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_of_the_reader_is_an_error_like_any_other, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
