/* Lines of metrics, in any spelling of JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/metric_lines.h"

static void add(void *self, const char *key, double value)
{
    char *text = self;
    sprintf(text + strlen(text), "%s=%g;", key, value);
}

static void expect(const char *line, bool whole, const char *numbers)
{
    char text[512] = "";
    assert_int_equal(tw_metric_each(line, add, text), whole);
    if (numbers) assert_string_equal(text, numbers);
}

static void numbers_are_told_with_their_keys(void **state)
{
    (void)state;
    expect("{\"step\": 1, \"loss\": 2.5e-3}", true, "step=1;loss=0.0025;");
    expect(" { \"step\":1 ,\"loss\" : -2 } ", true, "step=1;loss=-2;");
    expect("{}", true, "");
    expect("{\"event\": \"st\\\"art, {\", \"a\": true, \"b\": null, \"c\": [1, [2, {\"d\": 3}]], "
           "\"e\": {\"f\": \"}\"}, \"g\": 4}",
           true, "g=4;");
    expect("{\"x\": 1e999}", true, ""); /* no finite number */
    expect("{\"a key that is much longer than all that there are in these files\": 1, \"y\": 2}",
           true, "y=2;");
}

static void broken_lines_are_told_from_whole_ones(void **state)
{
    (void)state;
    static const char *const broken[] = {"",
                                         "{",
                                         "{\"a\": 1",
                                         "{\"a\": 1}}",
                                         "{\"a\" 1}",
                                         "{\"a\":}",
                                         "[1]",
                                         "{\"a\": 1 \"b\"",
                                         "{\"a\": [1}}",
                                         "{\"a\": [1, 2}",
                                         "{\"a\": \"",
                                         "{\"a\": \"\\",
                                         "nonsense",
                                         "{\"a\": nan}",
                                         "{a: 1}",
                                         "{\"a\": 1,}",
                                         "{\"a\": 1} x",
                                         "{\"a\": {\"b\": 1}",
                                         "{\"a\": ]}"};
    for (size_t k = 0; k < sizeof broken / sizeof *broken; k++) expect(broken[k], false, NULL);
    char deep[400] = "{\"a\": ";
    memset(deep + strlen(deep), '[', 200);
    expect(deep, false, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_told_with_their_keys),
        cmocka_unit_test(broken_lines_are_told_from_whole_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
