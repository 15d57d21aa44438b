/* Failures of oneDNN that it cannot return end the process with one sentence and exit code 70. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/dnnl_compat.h"

typedef void *(*operator_new)(size_t);

/* What oneDNN does where memory ends: `operator new`, called from C, throws std::bad_alloc. */
static void throw_bad_alloc(void)
{
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    operator_new allocate;
    if (tw_dnnl_open(&engine, &stream) != TW_OK) _exit(1);
    *(void **)&allocate = dlsym(RTLD_DEFAULT, "_Znwm");
    if (allocate) allocate((size_t)PTRDIFF_MAX);
}

static void throw_something_else(void)
{
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    void (*throw_logic_error)(const char *);
    if (tw_dnnl_open(&engine, &stream) != TW_OK) _exit(1);
    *(void **)&throw_logic_error = dlsym(RTLD_DEFAULT, "_ZSt19__throw_logic_errorPKc");
    if (throw_logic_error) throw_logic_error("logic");
}

static void fail_with_words(void)
{
    tw_dnnl_fail("tweedie: oneDNN failed to execute %s", "jit:this");
}

/* Runs `body` in a child: its exit status as wait() tells it, and what it wrote to stderr. */
static int end_of(void (*body)(void), char *text, size_t size)
{
    int out[2], status;
    size_t used = 0;
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        body();
        _exit(0);
    }
    close(out[1]);
    for (ssize_t n; (n = read(out[0], text + used, size - 1 - used)) > 0;) used += (size_t)n;
    text[used] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void ends_with_70_and_says(void (*body)(void), const char *words)
{
    char text[1024];
    const int status = end_of(body, text, sizeof text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);
    assert_non_null(strstr(text, words));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one sentence */
}

static void memory_that_onednn_cannot_get_is_an_internal_error(void **state)
{
    (void)state;
#ifdef TWEEDIE_SANITIZE
    skip(); /* there such an allocation ends in the sanitizer's own words */
#endif
    ends_with_70_and_says(throw_bad_alloc, "oneDNN could not get memory");
}

static void any_exception_of_onednn_is_an_internal_error(void **state)
{
    (void)state;
    ends_with_70_and_says(throw_something_else, "oneDNN failed with an exception");
}

static void a_primitive_that_fails_is_named(void **state)
{
    (void)state;
    ends_with_70_and_says(fail_with_words, "failed to execute jit:this");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_onednn_cannot_get_is_an_internal_error),
        cmocka_unit_test(any_exception_of_onednn_is_an_internal_error),
        cmocka_unit_test(a_primitive_that_fails_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
