/* slow */
/* The table: mean and covariance of every method against the exact posterior of a Gaussian random
 * field, for each task. ./test_posterior_table prints it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "inverse/posterior_table.h"

enum { SEEDS = 2 }; /* of those that claim to be exact */

static void methods_that_claim_to_be_exact_cover_what_they_say(void **state)
{
    (void)state;
    table_print_head();
    for (int m = 0; m < table_methods; m++)
        for (int t = 0; t < table_tasks; t++)
            for (int seed = 0; seed < (table_method_list[m].exact ? SEEDS : 1); seed++)
                table_row(t, m, 2, 400, seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_that_claim_to_be_exact_cover_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
