/* WebP, with and without losses. (Where the build has no libwebp the reader refuses every input.)
 */
#include "picture_run.h"

#ifdef TWEEDIE_WEBP
#include <webp/encode.h>
#endif

static void seeds(void)
{
    fuzz_seed("empty", "RIFF\4\0\0\0WEBP", 12);
#ifdef TWEEDIE_WEBP
    uint8_t pixels[20 * 17 * 4], *coded = NULL;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 11 + i / 80 * 7);
    size_t size = WebPEncodeRGB(pixels, 20, 17, 60, 50, &coded);
    FUZZ_CLAIM(size > 0);
    fuzz_seed("lossy", coded, size);
    WebPFree(coded);
    size = WebPEncodeRGBA(pixels, 20, 17, 80, 50, &coded);
    FUZZ_CLAIM(size > 0);
    fuzz_seed("alpha", coded, size);
    WebPFree(coded);
    size = WebPEncodeLosslessRGBA(pixels, 20, 17, 80, &coded);
    FUZZ_CLAIM(size > 0);
    fuzz_seed("lossless", coded, size);
    WebPFree(coded);
#endif
}

const fuzz_target fuzz_here = {
    .file = "pictures/a.webp", .seeds = seeds, .start = picture_start, .run = picture_run};
