/* The orientation in EXIF data: a TIFF header, then directory 0, of whose entries one matters. */
#include <string.h>

#include "data/picture.h"

enum { ORIENTATION = 0x0112, SHORT = 3, LONG = 4, ENTRY = 12 };

static uint32_t number(const unsigned char *at, int bytes, bool big)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) v = v << 8 | at[big ? i : bytes - 1 - i];
    return v;
}

int tw_exif_orientation(const unsigned char *data, size_t size)
{
    if (size >= 6 && memcmp(data, "Exif\0", 5) == 0) {
        data += 6;
        size -= 6;
    }
    if (size < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0)) return 1;
    const bool big = data[0] == 'M';
    const size_t at = number(data + 4, 4, big);
    if (at > size || size - at < 2) return 1;
    const uint32_t entries = number(data + at, 2, big);
    for (uint32_t i = 0; i < entries; i++) {
        const size_t entry = at + 2 + (size_t)i * ENTRY;
        if (entry + ENTRY > size) return 1;
        if (number(data + entry, 2, big) != ORIENTATION) continue;
        const uint32_t type = number(data + entry + 2, 2, big);
        const uint32_t v = number(data + entry + 8, type == LONG ? 4 : 2, big);
        return (type == SHORT || type == LONG) && v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}
