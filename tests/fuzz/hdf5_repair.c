/* Checksums of HDF5's metadata (HDF5 File Format Specification, version 3). All integers are
 * little-endian; files of this program and of most others have addresses and lengths of 8 bytes. */
#include "hdf5_repair.h"

#include <string.h>

/* Of the library, exported and not declared: Jenkins' lookup3. */
uint32_t H5_checksum_lookup3(const void *data, size_t length, uint32_t initial);

static uint64_t get(const uint8_t *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)p[i] << 8 * i;
    return value;
}

/* The checksum of `length` bytes, which stands behind them. */
static void seal(uint8_t *bytes, size_t size, size_t at, uint64_t length)
{
    if (length > size || at > size - length || size - length - at < 4) return;
    const uint32_t sum = H5_checksum_lookup3(bytes + at, (size_t)length, 0);
    for (int i = 0; i < 4; i++) bytes[at + length + (size_t)i] = (uint8_t)(sum >> 8 * i);
}

static bool has(const uint8_t *bytes, size_t size, uint64_t at, const char *signature)
{
    return at <= size && size - at >= 4 && memcmp(bytes + at, signature, 4) == 0;
}

/* The continuations that the messages [at, end) of an object header name. */
static void seal_continuations(uint8_t *bytes, size_t size, size_t base, size_t at, size_t end,
                               size_t head)
{
    while (at + head <= end) {
        const uint64_t length = get(bytes + at + 1, 2);
        if (bytes[at] == 0x10 && length >= 16 && at + head + 16 <= end) {
            const uint64_t where = base + get(bytes + at + head, 8),
                           much = get(bytes + at + head + 8, 8);
            if (much >= 8 && has(bytes, size, where, "OCHK")) seal(bytes, size, where, much - 4);
        }
        at += head + length;
    }
}

static void seal_header(uint8_t *bytes, size_t size, size_t base, size_t at)
{
    if (size - at < 16) return;
    const int flags = bytes[at + 5], width = 1 << (flags & 3);
    size_t head = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    if (head + 8 > size) return;
    const uint64_t length = get(bytes + head, width);
    head += (size_t)width;
    if (length > size - head) return;
    seal_continuations(bytes, size, base, head, head + length, flags & 4 ? 6 : 4);
    seal(bytes, size, at, head + length - at);
}

static void seal_tree(uint8_t *bytes, size_t size, size_t base, size_t at)
{
    if (size - at < 38) return;
    const uint64_t record = get(bytes + at + 10, 2), depth = get(bytes + at + 12, 2),
                   leaf = base + get(bytes + at + 16, 8), count = get(bytes + at + 24, 2);
    seal(bytes, size, at, 34);
    if (depth == 0 && has(bytes, size, leaf, "BTLF")) seal(bytes, size, leaf, 6 + record * count);
}

static void seal_fixed_array(uint8_t *bytes, size_t size, size_t base, size_t at)
{
    if (size - at < 28) return;
    const uint64_t entry = bytes[at + 6], page = bytes[at + 7], count = get(bytes + at + 8, 8),
                   block = base + get(bytes + at + 16, 8);
    seal(bytes, size, at, 24);
    if (page < 32 && count <= 1u << page && has(bytes, size, block, "FADB"))
        seal(bytes, size, block, 14 + entry * count);
}

/* The superblock, wherever a user block puts it; addresses count from there. */
static size_t find_base(const uint8_t *bytes, size_t size)
{
    static const uint8_t signature[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    for (size_t at = 0; at + 48 <= size; at = at ? 2 * at : 512)
        if (memcmp(bytes + at, signature, sizeof signature) == 0) return at;
    return 0;
}

void hdf5_repair(uint8_t *bytes, size_t size)
{
    const size_t base = find_base(bytes, size);
    if (size < base + 48) return;
    if (bytes[base + 8] >= 2) seal(bytes, size, base, 44);
    for (size_t at = base + 44; at + 8 <= size; at++) {
        if (has(bytes, size, at, "OHDR")) seal_header(bytes, size, base, at);
        if (has(bytes, size, at, "BTHD")) seal_tree(bytes, size, base, at);
        if (has(bytes, size, at, "FAHD")) seal_fixed_array(bytes, size, base, at);
        if (has(bytes, size, at, "FRHP")) seal(bytes, size, at, 142);
    }
}

static bool is_signature(const uint8_t *p)
{
    static const char known[][5] = {"OHDR", "OCHK", "BTHD", "BTLF", "FAHD", "FADB",
                                    "FRHP", "FHDB", "TREE", "SNOD", "HEAP", "GCOL"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(p, known[i], 4) == 0) return true;
    return false;
}

bool hdf5_find_block(const uint8_t *bytes, size_t size, unsigned choice, size_t *at, size_t *length)
{
    enum { MOST = 1024 };
    unsigned count = 1; /* the superblock */
    for (size_t i = 0; i + 8 <= size; i++) count += is_signature(bytes + i);
    choice %= count;
    if (choice == 0) *at = find_base(bytes, size);
    for (size_t i = 0; choice > 0 && i + 8 <= size; i++)
        if (is_signature(bytes + i) && --choice == 0) *at = i;
    *at += 4; /* the signature stays */
    if (*at >= size) return false;
    *length = 4;
    while (*length < MOST && *at + *length + 4 <= size && !is_signature(bytes + *at + *length))
        ++*length;
    return *at + *length <= size;
}
