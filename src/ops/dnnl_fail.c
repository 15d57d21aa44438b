/* Failures that oneDNN cannot return: an exception that leaves it (memory that cannot be had, code
 * that cannot be generated), and a primitive that does not execute. There is no way back from
 * either, so the process says what it was and ends with the exit code of an internal error; its
 * launcher ends the other ranks. C++ would call abort(), with a message for programmers. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "ops/dnnl_compat.h"

/* The standard library's, by their names in the ABI: oneDNN brings it, we do not link with it. */
typedef void (*handler)(void);
typedef handler (*set_terminate)(handler);
typedef const void *(*current_exception_type)(void);

static const void *bad_alloc;
static current_exception_type current_type;

void tw_dnnl_fail(const char *format, ...)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    static char text[512]; /* the one thread that passes the flag writes it */
    va_list args;
    while (atomic_flag_test_and_set(&said)) pause(); /* another thread is ending the process */
    va_start(args, format);
    int n = vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    if (n > (int)sizeof text - 2) n = (int)sizeof text - 2;
    if (n > 0) {
        text[n] = '\n';
        ssize_t written = write(STDERR_FILENO, text, (size_t)n + 1);
        (void)written; /* there is nobody else to tell */
    }
    _exit(tw_status_exit_code(TW_EINTERNAL));
}

/* Runs where memory may be at its end: allocates nothing. */
static void end(void)
{
    if (bad_alloc && current_type && current_type() == bad_alloc)
        tw_dnnl_fail("tweedie: oneDNN could not get memory (a smaller train.microbatch, batch of "
                     "sampling or network needs less)");
    tw_dnnl_fail("tweedie: oneDNN failed with an exception that it does not report, most likely "
                 "for want of memory");
}

void tw_dnnl_catch(void)
{
    set_terminate set;
    *(void **)&set = dlsym(RTLD_DEFAULT, "_ZSt13set_terminatePFvvE");
    *(void **)&current_type = dlsym(RTLD_DEFAULT, "__cxa_current_exception_type");
    bad_alloc = dlsym(RTLD_DEFAULT, "_ZTISt9bad_alloc");
    if (set) set(end);
}
