/* Checked heap memory. */
#include "tweedie/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

static tw_status allocate(void *out, size_t bytes, size_t alignment, const char *what)
{
    tw_status st = TW_OK;
    void *p = NULL;
    size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    TW_CHECK(rounded >= bytes && posix_memalign(&p, alignment, rounded ? rounded : alignment) == 0,
             TW_ENOMEM, "out of memory: %zu bytes wanted for %s", bytes, what);
    memcpy(out, &p, sizeof p);
done:
    return st;
}

tw_status tw_alloc(void *out, int64_t count, size_t size, const char *what)
{
    tw_status st = TW_OK;
    size_t bytes;
    void *p = NULL;
    TW_CHECK(count >= 0 && !__builtin_mul_overflow((size_t)count, size, &bytes), TW_ENOMEM,
             "out of memory: %lld elements of %zu bytes wanted for %s", (long long)count, size,
             what);
    TW_TRY(allocate(&p, bytes, TW_ALIGNMENT, what));
    memset(p, 0, bytes);
    memcpy(out, &p, sizeof p);
done:
    return st;
}

void tw_advise_huge(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = HUGE_PAGE, at = (uintptr_t)memory, first = (at + page - 1) / page * page,
                    end = (at + bytes) / page * page;
    if (end > first) (void)madvise((char *)memory + (first - at), end - first, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}

tw_status tw_alloc_arena(void *out, size_t bytes, const char *what)
{
    tw_status st = TW_OK;
    void *p = NULL;
    TW_TRY(allocate(&p, bytes, bytes >= HUGE_PAGE ? HUGE_PAGE : TW_ALIGNMENT, what));
    tw_advise_huge(p, bytes);
    memcpy(out, &p, sizeof p);
done:
    return st;
}

void tw_free(void *pointer)
{
    void *p;
    memcpy(&p, pointer, sizeof p);
    free(p);
    p = NULL;
    memcpy(pointer, &p, sizeof p);
}

tw_status tw_strdup(char **out, const char *text)
{
    tw_status st = TW_OK;
    size_t n = strlen(text) + 1;
    char *copy = NULL;
    TW_TRY(tw_alloc(&copy, (int64_t)n, 1, "a string"));
    memcpy(copy, text, n);
    *out = copy;
done:
    return st;
}

tw_status tw_format(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out, size, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < size) return TW_OK;
    /* our own texts fit: what does not was named by the user */
    return tw_error_set(TW_EUSAGE, "a name is too long: %d characters where %zu fit: \"%.60s…\"", n,
                        size ? size - 1 : 0, size ? out : "");
}

tw_status tw_multiply(int64_t *out, int64_t a, int64_t b, const char *what)
{
    int64_t product;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product))
        return tw_error_set(TW_ENOMEM, "%s: %lld x %lld is too large", what, (long long)a,
                            (long long)b);
    *out = product;
    return TW_OK;
}
