/* Status codes, messages and positions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tweedie/memory.h"
#include "tweedie/status.h"

static tw_status fails(int met)
{
    tw_status st = TW_OK;
    TW_CHECK(met == 3, TW_EDATA, "met %d, wanted 3", met);
done:
    return st;
}

static void message_names_what_was_met_and_wanted(void **state)
{
    (void)state;
    assert_int_equal(fails(3), TW_OK);
    assert_int_equal(fails(7), TW_EDATA);
    assert_string_equal(tw_error_message(), "met 7, wanted 3");
    tw_error_prefix("%s: ", "a.h5");
    assert_string_equal(tw_error_message(), "a.h5: met 7, wanted 3");
}

static void exit_codes_are_those_of_the_manual(void **state)
{
    (void)state;
    assert_int_equal(tw_status_exit_code(TW_OK), 0);
    assert_int_equal(tw_status_exit_code(TW_EUSAGE), 64);
    assert_int_equal(tw_status_exit_code(TW_ESTOPPED), 75);
    assert_int_equal(tw_status_exit_code(TW_ECONFIG), 78);
    assert_string_equal(tw_status_name(TW_EDATA), "TW_EDATA");
}

static void allocation_refuses_overflow_and_aligns(void **state)
{
    (void)state;
    float *p = NULL;
    assert_int_equal(tw_alloc(&p, INT64_MAX, 8, "too much"), TW_ENOMEM);
    assert_null(p);
    assert_int_equal(tw_alloc(&p, 5, sizeof *p, "five floats"), TW_OK);
    assert_int_equal((uintptr_t)p % TW_ALIGNMENT, 0);
    assert_true(p[4] == 0);
    tw_free(&p);
    assert_null(p);
    int64_t product;
    assert_int_equal(tw_multiply(&product, INT64_MAX, 2, "elements"), TW_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_names_what_was_met_and_wanted),
        cmocka_unit_test(exit_codes_are_those_of_the_manual),
        cmocka_unit_test(allocation_refuses_overflow_and_aligns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
