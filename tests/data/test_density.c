/* The exact densities of the built-in points. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "data/points.h"
#include "tweedie/density.h"

static void each(void (*claim)(const tw_density *d))
{
    for (int k = 0; k < tw_points_count; k++) {
        tw_density *d = NULL;
        assert_int_equal(tw_density_create(&d, tw_points_table[k]->name), TW_OK);
        claim(d);
        tw_density_destroy(&d);
    }
}

static void claim_gradient(const tw_density *d)
{
    const double h = 1e-5;
    for (int i = 0; i < 20; i++) {
        double x[2] = {1.7 * sin(3.0 * i), 1.7 * cos(2.0 * i)}, s[2];
        tw_density_at(d, 0.8, 0.3, x, s);
        for (int k = 0; k < 2; k++) {
            double up[2] = {x[0], x[1]}, down[2] = {x[0], x[1]};
            up[k] += h;
            down[k] -= h;
            const double slope =
                (tw_density_at(d, 0.8, 0.3, up, NULL) - tw_density_at(d, 0.8, 0.3, down, NULL)) /
                (2 * h);
            assert_true(fabs(slope - s[k]) < 1e-5 * (1 + fabs(s[k])));
        }
    }
}

static void score_is_the_gradient_of_the_log_density(void **state)
{
    (void)state;
    each(claim_gradient);
}

static void claim_mass(const tw_density *d)
{
    const double step = 0.15; /* far below the noise: the trapezoidal rule has no error to see */
    double mass = 0;
    for (double x = -4.5; x <= 4.5; x += step)
        for (double y = -4.5; y <= 4.5; y += step)
            mass += exp(tw_density_at(d, 1, 0.4, (const double[]){x, y}, NULL)) * step * step;
    assert_true(fabs(mass - 1) < 1e-6);
}

static void density_has_mass_one(void **state)
{
    (void)state;
    each(claim_mass);
}

/* Means and second moments of 20,000 points against the nodes': 5 standard errors of numbers of
 * size 1 to 4. */
static void claim_moments(const tw_density *d)
{
    double met[4] = {0}, wanted[4] = {0}, total = 0;
    const int n = 20000;
    for (int64_t i = 0; i < n; i++) {
        float p[2];
        tw_density_sample(d, 5, i, p);
        const double x = (double)p[0], y = (double)p[1];
        const double m[4] = {x, y, x * x, y * y};
        for (int k = 0; k < 4; k++) met[k] += m[k] / n;
    }
    for (int j = 0; j < tw_density_nodes(d); j++) {
        double w, m[2], s;
        tw_density_node(d, j, &w, m, &s);
        total += w;
        for (int k = 0; k < 2; k++) {
            wanted[k] += w * m[k];
            wanted[2 + k] += w * (m[k] * m[k] + s * s);
        }
    }
    assert_true(fabs(total - 1) < 1e-12);
    for (int k = 0; k < 4; k++) assert_true(fabs(met[k] - wanted[k]) < 5 * 1.5 / sqrt(n));
}

static void points_have_the_moments_of_the_density(void **state)
{
    (void)state;
    each(claim_moments);
}

static void unknown_density_names_those_there_are(void **state)
{
    tw_density *d = NULL;
    (void)state;
    assert_int_equal(tw_density_create(&d, "square"), TW_EUSAGE);
    assert_non_null(strstr(tw_error_message(), "modes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_is_the_gradient_of_the_log_density),
        cmocka_unit_test(density_has_mass_one),
        cmocka_unit_test(points_have_the_moments_of_the_density),
        cmocka_unit_test(unknown_density_names_those_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
