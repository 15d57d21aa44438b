/* Items are taken once each, whoever is slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <string.h>

#include "ops/share.h"

enum { ITEMS_MAX = 1000, THREADS = 4 };

/* What a thread by itself gets: its own part in order, then the others' from their ends. */
static void one_thread_takes_its_part_and_then_the_others(void **state)
{
    (void)state;
    static const int expected[] = {3, 4, 5, 2, 8, 1, 7, 0, 6};
    tw_share share;
    bool more;
    tw_share_begin(&share, 3, 9);
    for (int k = 0; k < 9; k++) {
        assert_int_equal(tw_share_next(&share, 1, &more), expected[k]);
        assert_int_equal(more, k < 2);
    }
    for (int me = 0; me < 3; me++) assert_int_equal(tw_share_next(&share, me, &more), -1);
}

static void threads_take_each_item_once(void **state)
{
    (void)state;
    static const int counts[] = {0, 1, 3, 4, 17, ITEMS_MAX, ITEMS_MAX};
    static const int parts[] = {4, 4, 4, 4, 4, 4, 2}; /* threads without a part of their own */
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        tw_share share;
        int taken[ITEMS_MAX];
        memset(taken, 0, sizeof taken);
        tw_share_begin(&share, parts[c], counts[c]);
#pragma omp parallel num_threads(THREADS)
        {
            bool more;
            for (int64_t k; (k = tw_share_next(&share, omp_get_thread_num(), &more)) >= 0;) {
#pragma omp atomic
                taken[k]++;
            }
        }
        for (int k = 0; k < ITEMS_MAX; k++) assert_int_equal(taken[k], k < counts[c]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_takes_its_part_and_then_the_others),
        cmocka_unit_test(threads_take_each_item_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
