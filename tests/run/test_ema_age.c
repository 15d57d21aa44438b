/* The share of the initial weights in an average, against averaging a step from 1 to 0. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/ema_age.h"
#include "tweedie/optim.h"

static void the_share_is_what_an_average_of_zeros_keeps_of_a_one(void **state)
{
    (void)state;
    static const double rates[] = {0, 0.5, 0.9, 0.999, 0.9999, 0.99999999};
    for (int warmup = 0; warmup < 2; warmup++)
        for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
            double average = 1;
            for (int64_t k = 1; k <= 3000; k++) {
                average *= tw_ema_decay(rates[i], warmup, k);
                const double share = tw_ema_initial_share(rates[i], warmup, k);
                if (fabs(share - average) > 1e-9 * average + 1e-11)
                    fail_msg("%g%s after %d: %g, not %g", rates[i], warmup ? " warmed up" : "",
                             (int)k, share, average);
            }
        }
    assert_true(tw_ema_initial_share(0.9999, false, 0) == 1);
    assert_true(fabs(tw_ema_initial_share(0.9999, false, 10000) - 0.367861) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_share_is_what_an_average_of_zeros_keeps_of_a_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
