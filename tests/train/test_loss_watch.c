/* The warning of a loss that leaves its running median. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/loss_watch.h"

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Against sorting the last losses anew for each step; equal ones among them. */
static void the_median_is_that_of_the_last_losses(void **state)
{
    (void)state;
    loss_watch w = {0};
    double all[400], sorted[LOSS_WATCH_WINDOW], median;
    unsigned random = 7;
    for (int k = 0; k < 400; k++) {
        const int n = k < LOSS_WATCH_WINDOW ? k : LOSS_WATCH_WINDOW;
        random = random * 1103515245u + 12345u;
        all[k] = (double)(random >> 16 & 63);
        memcpy(sorted, all + k - n, (size_t)n * sizeof *sorted);
        qsort(sorted, (size_t)n, sizeof *sorted, compare);
        (void)loss_watch_add(&w, all[k], &median);
        if (n > 0 && median != sorted[n / 2])
            fail_msg("step %d: %g, not %g", k, median, sorted[n / 2]);
    }
}

static void tenfold_is_said_once_until_it_was_calm_for_a_window(void **state)
{
    (void)state;
    loss_watch w = {0};
    double median;
    /* a steep beginning is none */
    for (int k = 0; k < LOSS_WATCH_WINDOW / 2; k++)
        assert_false(loss_watch_add(&w, k % 5 ? 1 : 1000, &median));
    for (int k = 0; k < LOSS_WATCH_WINDOW; k++) assert_false(loss_watch_add(&w, 1, &median));
    assert_false(loss_watch_add(&w, 10, &median));
    assert_true(loss_watch_add(&w, 10.5, &median));
    assert_true(median == 1);
    for (int k = 0; k < 20; k++) assert_false(loss_watch_add(&w, 50, &median));
    for (int k = 0; k < LOSS_WATCH_WINDOW; k++) assert_false(loss_watch_add(&w, 1, &median));
    assert_true(loss_watch_add(&w, 11, &median));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_is_that_of_the_last_losses),
        cmocka_unit_test(tenfold_is_said_once_until_it_was_calm_for_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
