/* Precision `auto` is the one that was measured to be faster on such a processor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/plan.h"

static void the_table_knows_amx_zen4_and_the_rest(void **state)
{
    (void)state;
    static const struct {
        tw_processor processor;
        tw_precision precision;
    } cases[] = {
        {{.isa = TW_ISA_BASELINE}, TW_PRECISION_F32},
        {{.isa = TW_ISA_AVX2}, TW_PRECISION_F32},
        {{.isa = TW_ISA_AVX2, .amd = true}, TW_PRECISION_F32},
        {{.isa = TW_ISA_AVX512}, TW_PRECISION_F32},
        {{.isa = TW_ISA_AVX512, .avx512_bf16 = true}, TW_PRECISION_F32},
        {{.isa = TW_ISA_AVX512, .avx512_bf16 = true, .amd = true}, TW_PRECISION_BF16},
        {{.isa = TW_ISA_AVX512, .avx512_bf16 = true, .amx_bf16 = true}, TW_PRECISION_BF16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *reason = NULL;
        assert_int_equal(tw_precision_of(&cases[i].processor, &reason), cases[i].precision);
        assert_non_null(reason);
    }
}

static void a_lesser_instruction_set_makes_auto_f32(void **state)
{
    (void)state;
    static const char *const lesser[] = {"baseline", "avx2"};
    for (int i = 0; i < 2; i++) {
        setenv("TWEEDIE_ISA", lesser[i], 1);
        assert_int_equal(tw_precision_resolve(TW_PRECISION_AUTO), TW_PRECISION_F32);
        assert_int_equal(tw_precision_resolve(TW_PRECISION_BF16), TW_PRECISION_BF16);
    }
    unsetenv("TWEEDIE_ISA");
}

static void auto_never_takes_a_bf16_that_is_emulated(void **state)
{
    (void)state;
    assert_true(tw_precision_native(tw_precision_resolve(TW_PRECISION_AUTO)));
    assert_true(tw_precision_native(TW_PRECISION_F32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_knows_amx_zen4_and_the_rest),
        cmocka_unit_test(a_lesser_instruction_set_makes_auto_f32),
        cmocka_unit_test(auto_never_takes_a_bf16_that_is_emulated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
