/* Strings that grow, strict numbers, spelling, JSON. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/json.h"
#include "tweedie/text.h"

static void text_grows_and_keeps_what_it_held(void **state)
{
    (void)state;
    tw_text text = {0};
    for (int i = 0; i < 1000; i++) assert_int_equal(tw_text_add(&text, "%d,", i % 10), TW_OK);
    assert_int_equal(text.length, 2000);
    assert_int_equal(strlen(text.data), 2000);
    for (int i = 0; i < 1000; i++) assert_int_equal(text.data[2 * i], '0' + i % 10);
    tw_text_free(&text);
    assert_null(text.data);
}

static void a_terminal_shows_what_is_printable_as_it_is(void **state)
{
    (void)state;
    char out[64];
    assert_int_equal(tw_text_printable(out, sizeof out, "a\x1b[2Jb\rc\x7f\n", ""), 22);
    assert_string_equal(out, "a\\x1b[2Jb\\x0dc\\x7f\\x0a");
    (void)tw_text_printable(out, sizeof out, "a\nb\t", "\n\t");
    assert_string_equal(out, "a\nb\t");
    (void)tw_text_printable(out, sizeof out, "\xc3\xa9 \xe2\x82\xac \xc2\x9b \xff \xe2\x82", "");
    assert_string_equal(out, "\xc3\xa9 \xe2\x82\xac \\xc2\\x9b \\xff \\xe2\\x82");
    assert_int_equal(tw_text_printable(out, 6, "ab\x1b", ""), 2); /* never half of a byte */
    assert_string_equal(out, "ab");
}

static void integers_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "0x10",
                                      "1e3",
                                      "1.0",
                                      "-",
                                      "+",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    int64_t v = 42;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tw_text_to_int64(bad[i], &v));
    assert_int_equal(v, 42);
    assert_true(tw_text_to_int64("-9223372036854775808", &v));
    assert_true(v == INT64_MIN);
    assert_true(tw_text_to_int64("+007", &v));
    assert_int_equal(v, 7);
}

static void doubles_are_read_whole_and_finite_or_not_at_all(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     " 1",    "1 ", "1x",    "0x1p3", "nan", "inf",
                                      "-inf", "1e999", "1e", "1.2.3", "1,5",   ".",   "e5"};
    double v = 42;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tw_text_to_double(bad[i], &v));
    assert_true(v == 42);
    assert_true(tw_text_to_double("-2.5e-4", &v));
    assert_true(v == -2.5e-4);
    assert_true(tw_text_to_double("1e-400", &v));
    assert_true(v == 0);
}

static void doubles_survive_being_written(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } known[] = {{0, "0"},
                 {0.1, "0.1"},
                 {2e-4, "0.0002"},
                 {1e6, "1000000"},
                 {-3, "-3"},
                 {1e300, "1e+300"},
                 {0.1 + 0.2, "0.30000000000000004"}};
    char text[TW_TEXT_DOUBLE_MAX];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        tw_text_from_double(text, known[i].value);
        assert_string_equal(text, known[i].text);
    }
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        double value;
        bits = bits * 6364136223846793005u +
               1442695040888963407u; /* any sequence that visits all exponents */
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        tw_text_from_double(text, value);
        double back = strtod(text, NULL);
        assert_memory_equal(&back, &value, sizeof back);
    }
    tw_text_from_double(text, NAN);
    assert_string_equal(text, "nan");
}

static void utf8_is_told_from_other_bytes(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "a", "é", "ε θ", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xef\xbf\xbd"};
    static const char *const bad[] = {
        "\x80", "\xc3",   "\xc3(", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xff", "caf\xe9"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(tw_text_is_utf8(good[i], (int64_t)strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tw_text_is_utf8(bad[i], (int64_t)strlen(bad[i])));
    assert_false(tw_text_is_utf8("\xc3\xa9", 1));
}

static void distance_counts_typing_errors(void **state)
{
    (void)state;
    assert_int_equal(tw_text_distance("", ""), 0);
    assert_int_equal(tw_text_distance("", "abc"), 3);
    assert_int_equal(tw_text_distance("kitten", "sitting"), 3);
    assert_int_equal(tw_text_distance("batch", "bacth"), 1);
    assert_int_equal(tw_text_distance("batch", "batc"), 1);
    assert_int_equal(tw_text_distance("steps", "steps"), 0);
}

static void nearest_word_is_found_or_none(void **state)
{
    (void)state;
    static const char *const words[] = {"train", "sample", "score", "inspect"};
    assert_string_equal(tw_text_nearest("tarin", words, 4), "train");
    assert_string_equal(tw_text_nearest("smaple", words, 4), "sample");
    assert_string_equal(tw_text_nearest("scores", words, 4), "score");
    assert_null(tw_text_nearest("zzzzzz", words, 4));
    assert_null(tw_text_nearest("x", words, 4));
}

static void json_is_written_as_rfc_8259_asks(void **state)
{
    (void)state;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "step", INT64_MAX);
    tw_json_double(&json, "loss", 0.1);
    tw_json_double(&json, "bad", NAN);
    tw_json_double(&json, "worse", -INFINITY);
    tw_json_string(&json, "a\"b\\\n\x01", "ε\x80\x7f");
    tw_json_string(&json, "none", NULL);
    tw_json_list(&json, "list");
    tw_json_bool(&json, NULL, true);
    tw_json_object(&json, NULL);
    tw_json_end(&json);
    tw_json_string(&json, NULL, NULL);
    tw_json_end(&json);
    tw_json_doubles(&json, "d", (const double[]){1, 2.5}, 2);
    tw_json_end(&json);
    assert_int_equal(tw_json_finish(&json), TW_OK);
    assert_string_equal(
        json.text.data,
        "{\"step\": 9223372036854775807, \"loss\": 0.1, \"bad\": null, \"worse\": null, "
        "\"a\\\"b\\\\\\u000a\\u0001\": "
        "\"ε\\ufffd\\u007f\", \"none\": null, \"list\": [true, {}, null], \"d\": [1, 2.5]}");
    tw_text_free(&json.text);
}

static void markup_is_escaped(void **state)
{
    (void)state;
    tw_text text = {0};
    assert_int_equal(tw_text_add_markup(&text, ""), TW_OK);
    assert_string_equal(text.data, "");
    assert_int_equal(tw_text_add_markup(&text, "a<b>&\"'\n\tε"), TW_OK);
    assert_string_equal(text.data, "a&lt;b&gt;&amp;&quot;&#39;\n\tε");
    text.length = 0;
    /* what XML cannot hold: control characters, bytes that are not UTF-8, U+FFFE */
    assert_int_equal(tw_text_add_markup(&text, "\x01\x7f\xff\xef\xbf\xbe."), TW_OK);
    assert_string_equal(text.data, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                   "\xef\xbf\xbd\xef\xbf\xbd.");
    tw_text_free(&text);
}

/* RFC 4648, section 10. */
static void base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const wanted[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                         "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (int64_t n = 0; n <= 6; n++) {
        tw_text text = {0};
        assert_int_equal(tw_text_add_base64(&text, "foobar", n), TW_OK);
        assert_string_equal(text.data ? text.data : "", wanted[n]);
        tw_text_free(&text);
    }
}

static void json_left_open_is_an_internal_error(void **state)
{
    (void)state;
    tw_json open = {0}, closed = {0};
    tw_json_list(&open, NULL);
    assert_int_equal(tw_json_finish(&open), TW_EINTERNAL);
    tw_json_end(&closed);
    assert_int_equal(tw_json_finish(&closed), TW_EINTERNAL);
    for (int i = 0; i < 40; i++) tw_json_list(&open, NULL);
    assert_int_equal(tw_json_finish(&open), TW_EINTERNAL);
    tw_text_free(&open.text);
    tw_text_free(&closed.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_keeps_what_it_held),
        cmocka_unit_test(integers_are_read_whole_or_not_at_all),
        cmocka_unit_test(a_terminal_shows_what_is_printable_as_it_is),
        cmocka_unit_test(doubles_are_read_whole_and_finite_or_not_at_all),
        cmocka_unit_test(doubles_survive_being_written),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(distance_counts_typing_errors),
        cmocka_unit_test(nearest_word_is_found_or_none),
        cmocka_unit_test(json_is_written_as_rfc_8259_asks),
        cmocka_unit_test(markup_is_escaped),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(json_left_open_is_an_internal_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
