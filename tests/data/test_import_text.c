/* Points from text: each spelling gives the numbers that are meant, or an error with its line;
 * never other numbers. */
#include <zlib.h>

#include "data/fixture.h"
#include "tweedie/data.h"

static tw_status import_bytes(const char *bytes, size_t size)
{
    put(in("p.txt"), bytes, size);
    const char *inputs[] = {in("p.txt")};
    const tw_import_options o = {.format = "points",
                                 .inputs = inputs,
                                 .input_count = 1,
                                 .path = in("out.h5"),
                                 .replace = true,
                                 .keep_order = true};
    return tw_dataset_import(&o, NULL);
}

static void assert_points(const float *wanted, int64_t count, int64_t channels)
{
    tw_dataset *d = NULL;
    float met[64];
    const tw_dataset_options o = {.path = in("out.h5"), .split = "all"};
    assert_ok(tw_dataset_open(&d, NULL, &o));
    assert_int_equal(tw_dataset_count(d), count);
    assert_int_equal(tw_dataset_get_spec(d)->channels, channels);
    assert_ok(tw_dataset_read_stored(d, 0, count, met, NULL));
    assert_memory_equal(met, wanted, (size_t)(count * channels) * sizeof *met);
    tw_dataset_destroy(&d);
}

static void every_common_spelling_gives_the_numbers_meant(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.5 2.25\n1.5 4.75\n",
        "0.5\t2.25\n1.5\t4.75",
        "0.5,2.25\n1.5,4.75\n",
        "0.5, 2.25\n1.5 ,4.75\n",
        "0.5;2.25\n1.5 ; 4.75\n",
        " 0.5   2.25  \n\n  1.5\t4.75\t\n",
        "0.5 2.25\r\n1.5 4.75\r\n",
        "0.5 2.25\r1.5 4.75\r",
        "\xef\xbb\xbf"
        "0.5,2.25\n1.5,4.75\n",
        "# x,y\n+.5 225e-2 # one\n#\n1.5 4.75\n# end",
        "5e-1 2.25\n15E-1 +4.75\n\n\n",
    };
    const float wanted[] = {0.5f, 2.25f, 1.5f, 4.75f}, column[] = {1, 2, 3};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_ok(import_bytes(texts[i], strlen(texts[i])));
        assert_points(wanted, 2, 2);
    }
    assert_ok(import_bytes("1,2\n3,4.5\n", 10)); /* one point in a number tells what commas are */
    assert_ok(import_bytes("1,2\n3, 4\n", 9));
    assert_ok(import_bytes("1\n2\n 3 \n", 8));
    assert_points(column, 3, 1);
    assert_ok(import_bytes("1,2, 3\n", 7)); /* padded to a width */
    assert_points(column, 1, 3);
}

static void what_may_mean_other_numbers_is_refused_by_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line, *message;
    } cases[] = {
        {"0,5;2,25\n1,5;4,75\n", "p.txt:1", "\"0,5\" is not a number; if that is a decimal comma"},
        {"1;2\n1,5;4\n", "p.txt:2", "decimal comma"},
        {"0,5 2,25\n", "p.txt:1", "\"5 2\" is not a number; if the commas are decimal ones"},
        {"0,5\t2,25\n", "p.txt:1", "decimal"},
        {"0,5, 2,25\n", "p.txt:1", "behind every other comma"},
        {"0,5\n1,5\n2,25\n", "p.txt", "--separator comma says that they are two"},
        {"-1,5\n+1,5 \n", "p.txt", "may as well be one number with a decimal comma"},
        {"1 2\n3,4\n", "p.txt:2", "separated by commas, those before it by white space"},
        {"1,2\n3;4\n", "p.txt:2", "separated by semicolons, those before it by commas"},
        {"1,2\n3 4\n", "p.txt:2", "separated by white space, those before it by commas"},
        {"1,2 3\n", "p.txt:1", "\"2 3\" is not a number"},
        {"1,,2\n", "p.txt:1", "field 2 is empty"},
        {"1, ,2\n", "p.txt:1", "field 2 is empty"},
        {",1,2\n", "p.txt:1", "field 1 is empty"},
        {"1,2\n3,4,\n", "p.txt:2", "field 3 is empty"},
        {"1,2\n,\n", "p.txt:2", "field 1 is empty"},
        {"1;;2\n", "p.txt:1", "field 2 is empty"},
        {"1\t\t2\n", "p.txt:1", "field 2 is empty"},
        {"1\t2\n\t3\n", "p.txt:2", "field 1 is empty"},
        {"x,y\n1,2\n", "p.txt:1", "\"x\" is not a number; a line of names begins with #"},
        {"\"1\",\"2\"\n", "p.txt:1", "\"\"1\"\" is not a number"},
        {"1 0x10\n", "p.txt:1", "\"0x10\" is not a number"},
        {"1 0x1p3\n", "p.txt:1", "is not a number"},
        {"1 2\n3 1e400\n", "p.txt:2", "\"1e400\" is not a finite float32"},
        {"1 inf\n", "p.txt:1", "\"inf\" is not a finite"},
        {"1 -nan\n", "p.txt:1", "not a finite"},
        {"1 2e\n", "p.txt:1", "\"2e\" is not a number"},
        {"1 1d5\n", "p.txt:1", "is not a number"},
        {"1 1_000\n", "p.txt:1", "is not a number"},
        {"1 \xe2\x88\x92"
         "2\n",
         "p.txt:1", "is not a number"},
        {"1\xc2\xa0"
         "2\n",
         "p.txt:1", "is not a number"},
        {"1 2\r3\r", "p.txt:2", "1 numbers; 2 were expected"},
        {"1 2\r\n\r\n3\r\n", "p.txt:3", "1 numbers; 2 were expected"},
        {"", "p.txt", "no samples"},
        {"\n \n", "p.txt", "no samples"},
        {"\x80\x04\x95 pickle", "p.txt:1", "is a Python pickle"},
        {"\x89HDF\r\n\x1a\n", "p.txt:1", "is an HDF5 file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(import_bytes(cases[i].text, strlen(cases[i].text)), TW_EDATA, cases[i].line,
                     cases[i].message);
}

static void a_byte_of_value_zero_is_refused_by_its_line(void **state)
{
    (void)state;
    static const char block[] = "1 2\n\0\0\0\0"
                                "3 4\n5 6\n",
                      inside[] = "1 2\n3 4\0 5\n",
                      wide[] = "\xff\xfe"
                               "1\0 \0"
                               "2\0\n";
    assert_fails(import_bytes(block, sizeof block - 1), TW_EDATA, "p.txt:2", "a byte of value 0");
    assert_fails(import_bytes(inside, sizeof inside - 1), TW_EDATA, "p.txt:2", "a byte of value 0");
    assert_fails(import_bytes(wide, sizeof wide - 1), TW_EDATA, "p.txt:1", "text in UTF-16");
    assert_int_equal(count_files(".out"), 0);
}

/* The bytes of a gzip file. */
static size_t pack(unsigned char *out, size_t room, const void *bytes, size_t size)
{
    gzFile file = gzopen(in("packed.gz"), "wb9");
    assert_non_null(file);
    for (size_t done = 0; done < size; done += 1 << 20)
        assert_true(gzwrite(file, (const char *)bytes + done,
                            (unsigned)(size - done < 1 << 20 ? size - done : 1 << 20)) > 0);
    assert_int_equal(gzclose(file), Z_OK);
    size_t n;
    unsigned char *met = take(in("packed.gz"), &n);
    assert_true(n <= room);
    memcpy(out, met, n);
    free(met);
    return n;
}

static void packed_text_is_read_and_its_end_is_missed(void **state)
{
    (void)state;
    unsigned char bytes[4096];
    const float wanted[] = {1, 2, 3, 4};
    const size_t n = pack(bytes, sizeof bytes, "1 2\n3 4\n", 8);
    assert_ok(import_bytes((char *)bytes, n));
    assert_points(wanted, 2, 2);
    assert_fails(import_bytes((char *)bytes, n - 9), TW_EDATA, "p.txt", "truncated");
    bytes[n - 6] ^= 1;
    assert_fails(import_bytes((char *)bytes, n), TW_EDATA, "p.txt", "damaged gzip data");
    /* another member follows, and one packed twice */
    size_t twice = pack(bytes, sizeof bytes, "1 2\n", 4);
    twice += pack(bytes + twice, sizeof bytes - twice, "3 4\n", 4);
    assert_ok(import_bytes((char *)bytes, twice));
    assert_points(wanted, 2, 2);
    unsigned char again[4096];
    const size_t m = pack(again, sizeof again, bytes, twice);
    assert_fails(import_bytes((char *)again, m), TW_EDATA, "p.txt:1", "compressed twice by gzip");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_common_spelling_gives_the_numbers_meant),
        cmocka_unit_test(what_may_mean_other_numbers_is_refused_by_its_line),
        cmocka_unit_test(a_byte_of_value_zero_is_refused_by_its_line),
        cmocka_unit_test(packed_text_is_read_and_its_end_is_missed),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
