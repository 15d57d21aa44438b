/* Work on each instruction set, for tests of kernels. */
#ifndef TESTS_OPS_EACH_ISA_H
#define TESTS_OPS_EACH_ISA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Each in a thread of its own, which asks for the instruction set anew. */
static inline void on_each_isa(void *(*work)(void *))
{
    static const char *const isas[] = {"baseline", "avx2", "avx512"};
    const char *before = getenv("TWEEDIE_ISA");
    char *kept = before ? strdup(before) : NULL;
    for (int k = 0; k < 3; k++) {
        pthread_t thread;
        setenv("TWEEDIE_ISA", isas[k], 1);
        assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    if (kept)
        setenv("TWEEDIE_ISA", kept, 1);
    else
        unsetenv("TWEEDIE_ISA");
    free(kept);
}

#endif
