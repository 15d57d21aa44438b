/* What the processor has, by CPUID, and what the operating system grants of it. */
#include "tweedie/processor.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux's arch_prctl code, and the number of the state component that holds the tiles' data (Intel
 * SDM vol. 1, 13.1: 17 is the tiles' configuration, 18 their data). */
enum { REQUEST_PERMISSION = 0x1023, TILE_CONFIG = 17, TILE_DATA = 18 };

/* Which register states the operating system saves: without a bit here, the first instruction that
 * uses the state raises SIGILL, whatever CPUID says. */
static uint64_t saved_states(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

/* CPUID leaf 7: EDX bit 22 is AMX-BF16, bit 24 AMX-TILE. */
static bool has_amx_bf16(void)
{
    const uint64_t tiles = (uint64_t)1 << TILE_CONFIG | (uint64_t)1 << TILE_DATA;
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    if (!(d >> 22 & 1u) || !(d >> 24 & 1u)) return false;
    if ((saved_states() & tiles) != tiles) return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static tw_isa best(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return TW_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi2"))
        return TW_ISA_AVX2;
    return TW_ISA_BASELINE;
}

static tw_processor detect(void)
{
    tw_processor p = {.isa = best()};
    p.amd = __builtin_cpu_is("amd");
    p.avx512_bf16 = p.isa == TW_ISA_AVX512 && __builtin_cpu_supports("avx512bf16");
    p.avx512_vnni = p.isa == TW_ISA_AVX512 && __builtin_cpu_supports("avx512vnni");
    p.amx_bf16 = p.isa == TW_ISA_AVX512 && has_amx_bf16();
    return p;
}
/* CPUID leaves 0x80000002 … 4: 48 bytes of text, with blanks before and behind it. */
static void find_model(char out[49])
{
    unsigned word[12] = {0};
    for (unsigned k = 0; k < 3; k++)
        if (!__get_cpuid(0x80000002u + k, &word[4 * k], &word[4 * k + 1], &word[4 * k + 2],
                         &word[4 * k + 3]))
            return;
    const char *text = (const char *)word;
    size_t begin = 0, end = strnlen(text, sizeof word);
    while (begin < end && text[begin] == ' ') begin++;
    while (end > begin && text[end - 1] == ' ') end--;
    memcpy(out, text + begin, end - begin);
}
#else
static void find_model(char out[49])
{
    (void)out;
}

static tw_processor detect(void)
{
    return (tw_processor){.isa = TW_ISA_BASELINE};
}
#endif

static tw_processor found;
static char model[49];

static void detect_once(void)
{
    found = detect();
    find_model(model);
}

tw_processor tw_processor_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, detect_once);
    return found;
}

const char *tw_processor_model(void)
{
    (void)tw_processor_get();
    return model;
}

static const char *const names[] = {"baseline", "avx2", "avx512"};

/* What $TWEEDIE_ISA names; the best there is where it is not set, or names none. */
static tw_isa wished(void)
{
    const char *wish = getenv("TWEEDIE_ISA");
    for (int i = TW_ISA_BASELINE; wish && i <= TW_ISA_AVX512; i++)
        if (strcmp(wish, names[i]) == 0) return (tw_isa)i;
    return TW_ISA_AVX512;
}

tw_processor tw_processor_allowed(void)
{
    tw_processor p = tw_processor_get();
    const tw_isa wish = wished();
    if (wish < p.isa) p.isa = wish;
    if (p.isa < TW_ISA_AVX512) p.avx512_bf16 = p.avx512_vnni = p.amx_bf16 = false;
    return p;
}

tw_isa tw_isa_get(void)
{
    static _Thread_local int known = -1; /* getenv in each thread once: no lock, the same answer */
    if (known < 0) known = (int)tw_processor_allowed().isa;
    return (tw_isa)known;
}

const char *tw_processor_name(const tw_processor *p)
{
    if (p->amx_bf16) return "avx512_core_amx";
    if (p->avx512_bf16) return "avx512_core_bf16";
    return p->isa == TW_ISA_AVX512 ? "avx512_core" : names[p->isa];
}

tw_status tw_processor_check(void)
{
    tw_status st = TW_OK;
    const char *wish = getenv("TWEEDIE_ISA");
    bool known = !wish || !*wish;
    for (int i = TW_ISA_BASELINE; !known && i <= TW_ISA_AVX512; i++)
        known = strcmp(wish, names[i]) == 0;
    TW_CHECK(known, TW_EUSAGE,
             "the environment variable TWEEDIE_ISA is '%s'; it must be baseline, avx2 or avx512",
             wish);
done:
    return st;
}
