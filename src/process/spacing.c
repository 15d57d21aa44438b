/* Which steps of a schedule a sampler keeps: space_timesteps of improved-diffusion (Nichol and
 * Dhariwal 2021). */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/process.h"

/* A positive decimal number at *text, which then points behind it. 0 if there is none. */
static int64_t read_count(const char **text)
{
    char *end;
    if (!isdigit((unsigned char)**text)) return 0;
    errno = 0;
    const long long n = strtoll(*text, &end, 10);
    *text = end;
    return errno ? 0 : n;
}

static tw_status space_by_stride(int64_t *out, int64_t *count, int64_t steps, const char *text)
{
    tw_status st = TW_OK;
    const char *end = text + 4;
    const int64_t wanted = read_count(&end);
    TW_CHECK(wanted >= 1 && *end == '\0', TW_ECONFIG,
             "spacing \"%s\": a number of steps must follow ddim", text);
    for (int64_t stride = 1; stride < steps || stride == 1; stride++) {
        if ((steps + stride - 1) / stride != wanted) continue;
        for (int64_t k = 0; k < wanted; k++) out[k] = k * stride;
        *count = wanted;
        return TW_OK;
    }
    TW_FAIL(TW_ECONFIG, "spacing \"%s\": no integer stride over %lld steps keeps exactly %lld",
            text, (long long)steps, (long long)wanted);
done:
    return st;
}

/* `kept` of the `size` steps from `start`, first and last among them. The sum is accumulated and
 * ties round to even, as in the published code, so that the same steps come out. */
static void space_section(int64_t *out, int64_t start, int64_t size, int64_t kept)
{
    const double stride = kept <= 1 ? 1 : (double)(size - 1) / (double)(kept - 1);
    double at = 0;
    for (int64_t k = 0; k < kept; k++) {
        out[k] = start + (int64_t)rint(at);
        at += stride;
    }
}

tw_status tw_spacing_of_steps(int64_t *out, int64_t *count, int64_t steps, const char *text)
{
    tw_status st = TW_OK;
    if (strncmp(text, "ddim", 4) == 0) return space_by_stride(out, count, steps, text);
    int64_t sections = 1, total = 0, start = 0;
    for (const char *c = text; *c; c++) sections += *c == ',';
    const char *c = text;
    for (int64_t i = 0; i < sections; i++) {
        const int64_t size = steps / sections + (i < steps % sections), kept = read_count(&c);
        TW_CHECK(
            kept >= 1 && *c == (i + 1 < sections ? ',' : '\0'), TW_ECONFIG,
            "spacing \"%s\": it is a number of steps, several with commas between them, or ddimN",
            text);
        TW_CHECK(kept <= size, TW_ECONFIG,
                 "spacing \"%s\": %lld steps cannot be kept of a section of %lld", text,
                 (long long)kept, (long long)size);
        space_section(out + total, start, size, kept);
        start += size;
        total += kept;
        c++;
    }
    *count = total;
done:
    return st;
}
