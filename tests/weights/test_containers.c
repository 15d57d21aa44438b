/* Every container: right values from files that torch, safetensors and flax wrote, and refusals of
 * what is damaged or hostile. */
#include <math.h>
#include <unistd.h>

#include "archive_fixture.h"

static const tw_item *item_of(const tw_archive *a, const char *name)
{
    const tw_item *item = tw_item_find(a->root, name);
    if (!item) item = tw_item_find(tw_item_find(a->root, "tensors"), name);
    return item ? item : tw_item_find(tw_item_find(a->root, "other"), name);
}

static const tw_tensor *tensor_of(const tw_archive *a, const char *name)
{
    const tw_item *item = item_of(a, name);
    if (!item || item->type != TW_ITEM_TENSOR) fail_msg("%s: no tensor %s", a->path, name);
    return item->as.tensor;
}

static float *values_of(const tw_archive *a, const char *name)
{
    const tw_tensor *t = tensor_of(a, name);
    float *out = NULL;
    assert_int_equal(tw_alloc(&out, t->count + 1, sizeof *out, "values"), TW_OK);
    if (tw_tensor_read(t, out) != TW_OK) fail_msg("%s: %s", name, tw_error_message());
    return out;
}

static double wanted_number(const tw_item *item)
{
    double x = NAN;
    if (tw_item_is(item, "inf")) return (double)INFINITY;
    if (tw_item_is(item, "-inf")) return -(double)INFINITY;
    (void)tw_item_number(item, &x);
    return x;
}

/* A list of numbers, perhaps of lists. Returns how many were compared. */
static int64_t compare(const char *name, const tw_item *list, const float *met)
{
    int64_t n = 0;
    for (const tw_link *l = list->as.list.first; l; l = l->next) {
        if (l->value->type == TW_ITEM_LIST) {
            n += compare(name, l->value, met + n);
            continue;
        }
        const float wanted = (float)wanted_number(l->value);
        if (!(met[n] == wanted || (isnan(wanted) && isnan(met[n]))))
            fail_msg("%s[%d]: %.9g met, %.9g wanted", name, (int)n, (double)met[n], (double)wanted);
        n++;
    }
    return n;
}

static tw_archive *open_zoo(const char *name)
{
    char path[1024];
    tw_archive *a = NULL;
    if (tw_archive_open(&a, fixture_path(path, "zoo", name)) != TW_OK)
        fail_msg("%s", tw_error_message());
    return a;
}

static int64_t compare_file(const char *file, const char *answers)
{
    char path[1024], name[256], what[512];
    int64_t tensors = 0;
    tw_archive *a = open_zoo(file);
    fixture_json j = fixture_read_json(fixture_path(path, "zoo", answers));
    for (const tw_link *l = tw_item_find(j.root, "values")->as.list.first; l; l = l->next) {
        assert_true(tw_item_text(l->key, name, sizeof name));
        snprintf(what, sizeof what, "%s: %s", file, name);
        if (!item_of(a, name)) continue;
        float *met = values_of(a, name);
        assert_int_equal(compare(what, l->value, met), tensor_of(a, name)->count);
        tw_free(&met);
        tensors++;
    }
    fixture_free_json(&j);
    tw_archive_close(&a);
    return tensors;
}

static void torch_zip_reads_every_type_and_view(void **state)
{
    (void)state;
    assert_int_equal(compare_file("zoo.pth", "zoo.pth.json"), 22);
    assert_int_equal(compare_file("zoo_old_zip.pth", "zoo_old_zip.pth.json"), 22);
}

static void torch_legacy_reads_every_type_and_view(void **state)
{
    (void)state;
    assert_int_equal(compare_file("zoo_legacy.pth", "zoo_legacy.pth.json"), 22);
}

static void safetensors_reads_every_type(void **state)
{
    (void)state;
    assert_int_equal(compare_file("zoo.safetensors", "zoo.pth.json"), 21);
}

static void big_endian_storages_are_swapped(void **state)
{
    (void)state;
    assert_int_equal(compare_file("big_endian.pth", "big_endian.pth.json"), 2);
}

static void types_without_numbers_are_refused_by_name_and_others_read(void **state)
{
    (void)state;
    tw_archive *a = open_zoo("zoo_new_dtypes.pth");
    float x[4];
    assert_int_equal(tw_tensor_read(tensor_of(a, "f32"), x), TW_OK);
    assert_int_equal(tw_tensor_read(tensor_of(a, "u16"), x), TW_OK);
    assert_int_equal(tw_tensor_read(tensor_of(a, "c64"), x), TW_EDATA);
    assert_non_null(strstr(tw_error_message(), "complex64"));
    assert_int_equal(tw_tensor_read(tensor_of(a, "f8_e5m2"), x), TW_EDATA);
    assert_non_null(strstr(tw_error_message(), "float8_e5m2"));
    tw_archive_close(&a);
}

static void other_values_of_a_pickle_are_inert(void **state)
{
    (void)state;
    tw_archive *a = open_zoo("zoo.pth");
    const tw_item *o = tw_item_find(a->root, "other");
    double x = 0;
    int64_t n = 0;
    char text[16];
    assert_true(tw_item_number(tw_item_find(o, "np_float64"), &x) && x == 1e-4);
    assert_true(tw_item_integer(tw_item_find(o, "np_int64"), &n) && n == -5);
    assert_true(tw_item_integer(tw_item_find(o, "neg_int"), &n) && n == -12345678901);
    assert_true(tw_item_number(tw_item_find(o, "big_int"), &x) && x == 0x1p70);
    assert_true(tw_item_number(tw_item_find(o, "flt"), &x) && x == 0.1);
    assert_true(tw_item_text(tw_item_find(o, "text"), text, sizeof text));
    assert_string_equal(text, "caf\xc3\xa9");
    const tw_item *bytes = tw_item_find(o, "python_bytes");
    assert_int_equal(bytes->type, TW_ITEM_BYTES);
    assert_int_equal(bytes->as.text.length, 4);
    assert_memory_equal(bytes->as.text.data,
                        "\x00\xff"
                        "ab",
                        4);
    assert_int_equal(tw_item_find(o, "none")->type, TW_ITEM_NONE);
    assert_true(tw_item_find(o, "yes")->as.yes);
    assert_int_equal(tw_item_find(o, "st")->as.list.count, 2);
    assert_true(tw_item_integer(tw_item_at(tw_item_find(o, "size"), 1), &n) && n == 3);
    assert_int_equal(tensor_of(a, "nd")->count, 3);
    tw_archive_close(&a);
}

static void check_flax(const tw_archive *a, const char *name, const tw_item *wanted)
{
    char what[80];
    double sum = 0, wanted_sum = 0;
    const tw_item *shape = tw_item_find(wanted, "shape");
    const tw_tensor *t = tensor_of(a, name);
    if (!t->dtype->value) return; /* complex */
    float *met = values_of(a, name);
    assert_int_equal(t->rank, shape->as.list.count);
    snprintf(what, sizeof what, "flax %s", name);
    (void)compare(what, tw_item_find(wanted, "first"), met);
    for (int64_t i = 0; i < t->count; i++) sum += (double)met[i];
    assert_true(tw_item_number(tw_item_find(wanted, "sum"), &wanted_sum));
    assert_true(fabs(sum - wanted_sum) <= 1e-6 * fabs(wanted_sum));
    tw_free(&met);
}

static void flax_msgpack_reads_every_type(void **state)
{
    (void)state;
    char path[1024], name[64];
    int tensors = 0;
    int64_t n = 0;
    tw_archive *a = open_zoo("zoo_flax.msgpack");
    fixture_json j = fixture_read_json(fixture_path(path, "zoo", "zoo_flax.msgpack.json"));
    for (const tw_link *l = tw_item_find(j.root, "values")->as.list.first; l; l = l->next) {
        if (l->value->type != TW_ITEM_DICT || !tw_item_find(l->value, "dtype")) continue;
        assert_true(tw_item_text(l->key, name, sizeof name));
        check_flax(a, name, l->value);
        tensors++;
    }
    assert_int_equal(tensors, 15);
    assert_true(tw_item_integer(tw_item_find(a->root, "py_neg"), &n) && n == -40000);
    assert_true(tw_item_integer(tw_item_find(a->root, "py_big"), &n) && n == 1099511627776);
    fixture_free_json(&j);
    tw_archive_close(&a);
}

static void flax_chunks_become_one_array(void **state)
{
    (void)state;
    tw_archive *a = open_zoo("zoo_flax_chunked.msgpack");
    float *w = values_of(a, "w");
    assert_int_equal(tensor_of(a, "w")->rank, 2);
    assert_int_equal(tensor_of(a, "w")->shape[0], 5);
    assert_int_equal(tensor_of(a, "w")->count, 60);
    for (int i = 0; i < 60; i++) assert_true(w[i] == (float)i);
    tw_free(&w);
    tw_archive_close(&a);
}

/* ---- hostile files ---- */

/* Every tensor's values, however deep; bounded as the readers bound it. */
static tw_status read_all(const tw_item *item, int depth)
{
    tw_status st = TW_OK;
    float *values = NULL;
    if (!item || depth > 8) return TW_OK;
    if (item->type == TW_ITEM_OBJECT) return read_all(item->as.object.state, depth + 1);
    if (item->type == TW_ITEM_TENSOR) {
        TW_TRY(tw_alloc(&values, item->as.tensor->count + 1, sizeof *values, "values"));
        TW_TRY(tw_tensor_read(item->as.tensor, values));
    }
    if (item->type == TW_ITEM_LIST || item->type == TW_ITEM_DICT)
        for (const tw_link *l = item->as.list.first; l; l = l->next)
            TW_TRY(read_all(l->value, depth + 1));
done:
    tw_free(&values);
    return st;
}

static void every_hostile_file_is_refused_with_a_message_and_sound_ones_read(void **state)
{
    (void)state;
    char path[1024], name[256], answers[1024];
    fixture_json j = fixture_read_json(fixture_path(answers, "hostile", "hostile.json"));
    int files = 0;
    for (const tw_link *l = tw_item_find(j.root, "files")->as.list.first; l; l = l->next) {
        tw_archive *a = NULL;
        assert_true(tw_item_text(l->key, name, sizeof name));
        const bool refuse = tw_item_is(tw_item_find(l->value, "expect"), "refuse");
        tw_status st = tw_archive_open(&a, fixture_path(path, "hostile", name));
        if (st == TW_OK) st = read_all(a->root, 0);
        if (refuse && st != TW_EDATA) fail_msg("%s: status %d, refusal wanted", name, (int)st);
        if (!refuse && st != TW_OK) fail_msg("%s: %s", name, tw_error_message());
        if (refuse && getenv("TWEEDIE_SHOW")) printf("%s\n", tw_error_message());
        if (refuse) assert_null(strchr(tw_error_message(), '\n'));
        tw_archive_close(&a);
        files++;
    }
    assert_int_equal(files, 53);
    fixture_free_json(&j);
}

static void a_zip_without_entries_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[120] = {'P', 'K', 3, 4};
    char path[64];
    tw_archive *a = NULL;
    memcpy(bytes + 98, "PK\5\6", 4); /* no entries, a directory of no bytes at 0 */
    snprintf(path, sizeof path, "/tmp/tweedie-empty-%d.pth", (int)getpid());
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, sizeof bytes, f), sizeof bytes);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(tw_archive_open(&a, path), TW_EDATA);
    assert_non_null(strstr(tw_error_message(), "no entry is called data.pkl"));
    unlink(path);
}

static void a_refused_name_is_said(void **state)
{
    (void)state;
    static const char *const files[] = {"zip_global_os_system.pth", "zip_global_hidden.pth",
                                        "legacy_global_os_system.pth", "edm_nested_os_system.pkl",
                                        "edm_outer_os_system.pkl"};
    char path[1024];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tw_archive *a = NULL;
        assert_int_equal(tw_archive_open(&a, fixture_path(path, "hostile", files[i])), TW_EDATA);
        if (!strstr(tw_error_message(), "os.system") || !strstr(tw_error_message(), files[i]))
            fail_msg("%s", tw_error_message());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torch_zip_reads_every_type_and_view),
        cmocka_unit_test(torch_legacy_reads_every_type_and_view),
        cmocka_unit_test(safetensors_reads_every_type),
        cmocka_unit_test(big_endian_storages_are_swapped),
        cmocka_unit_test(types_without_numbers_are_refused_by_name_and_others_read),
        cmocka_unit_test(other_values_of_a_pickle_are_inert),
        cmocka_unit_test(flax_msgpack_reads_every_type),
        cmocka_unit_test(flax_chunks_become_one_array),
        cmocka_unit_test(every_hostile_file_is_refused_with_a_message_and_sound_ones_read),
        cmocka_unit_test(a_zip_without_entries_is_refused),
        cmocka_unit_test(a_refused_name_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
