/* Counts what a program allocates, and the strings that it compares: both belong to planning and
 * not to a step. Included by one file of a program, whose malloc and strcmp these become. */
#ifndef TESTS_ALLOCATIONS_H
#define TESTS_ALLOCATIONS_H

#if defined(__SANITIZE_ADDRESS__)
#define ALLOCATIONS_COUNTED 0 /* the sanitizer's allocator is not ours to count */
#else
#define ALLOCATIONS_COUNTED 1

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Every allocation of the program comes through here; those that our code makes itself (oneDNN
 * builds its arguments on the heap) have a caller inside of the program. */
extern char __executable_start, etext; /* the linker's */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

static int allocations, comparisons; /* by any thread */

static void count_call(const void *caller, int *calls)
{
    if ((const char *)caller >= &__executable_start && (const char *)caller < &etext)
        __atomic_add_fetch(calls, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t n)
{
    count_call(__builtin_return_address(0), &allocations);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    count_call(__builtin_return_address(0), &allocations);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    count_call(__builtin_return_address(0), &allocations);
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    count_call(__builtin_return_address(0), &allocations);
    return __libc_memalign(alignment, n);
}

int posix_memalign(void **p, size_t alignment, size_t n)
{
    count_call(__builtin_return_address(0), &allocations);
    *p = __libc_memalign(alignment, n);
    return *p ? 0 : ENOMEM;
}

int strcmp(const char *a, const char *b)
{
    count_call(__builtin_return_address(0), &comparisons);
    while (*a && *a == *b) a++, b++;
    return (int)(unsigned char)*a - (int)(unsigned char)*b;
}
#endif

#endif
