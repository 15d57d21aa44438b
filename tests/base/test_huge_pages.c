/* Arenas are of huge pages, as far as the kernel grants them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tweedie/memory.h"

enum { BYTES = 16 << 20, HUGE_PAGE = 2 << 20 };

static const char setting[] = "/sys/kernel/mm/transparent_hugepage/enabled";

/* Whether Linux notes of the mapping that `at` is in that huge pages were asked for. */
static bool asked_for(const void *at)
{
    char line[512];
    bool here = false, asked = false;
    unsigned long first, end;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            here = (uintptr_t)at >= first && (uintptr_t)at < end;
        if (here && strncmp(line, "VmFlags:", 8) == 0) asked = strstr(line, " hg") != NULL;
    }
    if (f) fclose(f);
    return asked;
}

static void an_arena_asks_for_huge_pages_and_begins_with_one(void **state)
{
    (void)state;
    char *arena = NULL;
    if (access(setting, R_OK) != 0) skip();
    assert_int_equal(tw_alloc_arena(&arena, BYTES, "a test"), TW_OK);
    assert_int_equal((uintptr_t)arena % HUGE_PAGE, 0);
    assert_true(asked_for(arena));
    tw_free(&arena);
}

static void memory_of_others_is_advised_where_it_holds_a_whole_page(void **state)
{
    (void)state;
    if (access(setting, R_OK) != 0) skip();
    char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    char *page = memory + (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
    tw_advise_huge(page + 64, HUGE_PAGE);
    assert_false(asked_for(page + 64));
    tw_advise_huge(page - 64, HUGE_PAGE + 128);
    assert_true(asked_for(page));
    munmap(memory, BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_asks_for_huge_pages_and_begins_with_one),
        cmocka_unit_test(memory_of_others_is_advised_where_it_holds_a_whole_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
