/* Processor detection: what is named is refused or obeyed, and what is said agrees with Linux. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "tweedie/processor.h"

static void unknown_names_are_refused_and_known_ones_are_not(void **state)
{
    (void)state;
    static const char *const known[] = {"", "baseline", "avx2", "avx512"}, *const unknown[] = {
                                                                               "avx", "AVX2",
                                                                               "avx512 ", "sse41",
                                                                               "none"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        setenv("TWEEDIE_ISA", known[i], 1);
        assert_int_equal(tw_processor_check(), TW_OK);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        setenv("TWEEDIE_ISA", unknown[i], 1);
        assert_int_equal(tw_processor_check(), TW_EUSAGE);
        assert_non_null(strstr(tw_error_message(), "baseline, avx2 or avx512"));
    }
    unsetenv("TWEEDIE_ISA");
    assert_int_equal(tw_processor_check(), TW_OK);
}

static void *ask(void *isa)
{
    *(tw_isa *)isa = tw_isa_get();
    return NULL;
}

static void a_named_set_takes_away_what_is_above_it(void **state)
{
    (void)state;
    static const char *const names[] = {"baseline", "avx2", "avx512"};
    const tw_processor all = tw_processor_get();
    for (int i = TW_ISA_BASELINE; i <= TW_ISA_AVX512; i++) {
        pthread_t thread;
        tw_isa asked;
        setenv("TWEEDIE_ISA", names[i], 1);
        const tw_processor p = tw_processor_allowed();
        assert_int_equal(p.isa, (tw_isa)i < all.isa ? (tw_isa)i : all.isa);
        assert_int_equal(p.avx512_bf16, i == TW_ISA_AVX512 && all.avx512_bf16);
        assert_int_equal(p.avx512_vnni, i == TW_ISA_AVX512 && all.avx512_vnni);
        assert_int_equal(p.amx_bf16, i == TW_ISA_AVX512 && all.amx_bf16);
        assert_int_equal(pthread_create(&thread, NULL, ask, &asked), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(asked, p.isa);
    }
    unsetenv("TWEEDIE_ISA");
}

/* Linux lists what CPUID has and the kernel supports. */
static bool linux_lists(const char *flag)
{
    static char line[16384];
    char word[32];
    bool listed = false;
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(word, sizeof word, " %s ", flag);
    while (f && !listed && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = ' ';
        listed = strncmp(line, "flags", 5) == 0 && strstr(line, word);
    }
    if (f) fclose(f);
    return listed;
}

static void what_is_there_is_what_linux_lists(void **state)
{
    (void)state;
    const tw_processor p = tw_processor_get();
#if defined(__x86_64__)
    assert_int_equal(p.isa >= TW_ISA_AVX2, linux_lists("avx2") && linux_lists("fma"));
    assert_int_equal(p.isa >= TW_ISA_AVX512, linux_lists("avx512dq") && linux_lists("avx512vl"));
    assert_int_equal(p.avx512_bf16, linux_lists("avx512_bf16"));
    assert_int_equal(p.avx512_vnni, linux_lists("avx512_vnni"));
    assert_int_equal(p.amx_bf16, linux_lists("amx_bf16") && linux_lists("amx_tile"));
#else
    assert_int_equal(p.isa, TW_ISA_BASELINE);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_names_are_refused_and_known_ones_are_not),
        cmocka_unit_test(a_named_set_takes_away_what_is_above_it),
        cmocka_unit_test(what_is_there_is_what_linux_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
