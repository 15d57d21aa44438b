/* slow */
/* The table: mean and covariance of every method against the exact posterior of a Gaussian random
 * field, for each task. ./test_posterior_table [METHOD…] prints it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "inverse/posterior_table.h"

enum { SEEDS = 2 }; /* of those that claim to be exact */

static const char *const *only; /* methods, NULL behind them; none: all */

static bool is_wanted(int method)
{
    for (const char *const *name = only; *name; name++)
        if (strcmp(*name, table_method_list[method].name) == 0) return true;
    return !*only;
}

static void methods_that_claim_to_be_exact_cover_what_they_say(void **state)
{
    (void)state;
    table_print_head();
    for (int m = 0; m < table_methods; m++)
        for (int t = 0; is_wanted(m) && t < table_tasks; t++)
            for (int seed = 0; seed < (table_method_list[m].exact ? SEEDS : 1); seed++)
                table_row(t, m, 2, 400, seed, true);
}

int main(int argc, char **argv)
{
    (void)argc;
    only = (const char *const *)argv + 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_that_claim_to_be_exact_cover_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
