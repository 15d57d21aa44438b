/* Global heaps, where HDF5 keeps text of variable length: "GCOL", version 1, three zeros, size;
 * then objects: index, references, four zeros, size, data up to a multiple of 8; object 0 is what
 * is free, and its size counts its head. The library (1.10) goes round for ever at one of size 0.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "h5/h5.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"

enum { HEAD = 16, WINDOW = 1 << 20, LOOKED_AT = 8 << 20 };

static const unsigned char begins[8] = {'G', 'C', 'O', 'L', 1, 0, 0, 0};

static uint64_t number_at(const unsigned char *p, int bytes)
{
    uint64_t n = 0;
    for (int i = bytes - 1; i >= 0; i--) n = n << 8 | p[i];
    return n;
}

/* One collection, whole in memory. */
static bool chain_ends(const unsigned char *heap, uint64_t size)
{
    for (uint64_t at = HEAD; size - at >= HEAD;) {
        const uint64_t index = number_at(heap + at, 2), length = number_at(heap + at + 8, 8);
        if (length > size) return false;
        const uint64_t need = index ? HEAD + (length + 7) / 8 * 8 : length;
        if (need < HEAD || need > size - at) return false;
        at += need;
    }
    return true;
}

static tw_status check_heap(int file, int64_t at, int64_t file_size, const char *path)
{
    tw_status st = TW_OK;
    unsigned char head[HEAD], *heap = NULL;
    TW_TRY(tw_file_read_at(file, head, HEAD, at, path));
    const uint64_t size = number_at(head + 8, 8);
    TW_CHECK(size >= HEAD && size <= (uint64_t)(file_size - at) && size <= LOOKED_AT, TW_EDATA,
             "%s: a global heap has %llu bytes, which are not there", path,
             (unsigned long long)size);
    TW_TRY(tw_alloc(&heap, (int64_t)size, 1, "a global heap"));
    TW_TRY(tw_file_read_at(file, heap, (int64_t)size, at, path));
    TW_CHECK(chain_ends(heap, size), TW_EDATA, "%s: a global heap is damaged", path);
done:
    tw_free(&heap);
    return st;
}

/* Heaps that begin in [from, to); the library puts them at multiples of 8. */
static tw_status check_range(int file, int64_t from, int64_t to, int64_t size, const char *path)
{
    tw_status st = TW_OK;
    unsigned char *window = NULL;
    TW_TRY(tw_alloc(&window, WINDOW, 1, "a part of a file"));
    for (int64_t at = from / 8 * 8; at < to; at += WINDOW) {
        const int64_t n = to - at < WINDOW ? to - at : WINDOW;
        TW_TRY(tw_file_read_at(file, window, n, at, path));
        for (int64_t k = 0; k + (int64_t)sizeof begins <= n; k += 8)
            if (memcmp(window + k, begins, sizeof begins) == 0)
                TW_TRY(check_heap(file, at + k, size, path));
    }
done:
    tw_free(&window);
    return st;
}

/* Offsets and lengths have 8 bytes in all files of this program: behind the version of the
 * superblock, which is at 0, 512, 1024, 2048 … */
static tw_status check_sizes(int file, int64_t size, const char *path)
{
    tw_status st = TW_OK;
    unsigned char head[HEAD];
    for (int64_t at = 0; at + HEAD <= size; at = at ? 2 * at : 512) {
        TW_TRY(tw_file_read_at(file, head, HEAD, at, path));
        if (memcmp(head, "\211HDF\r\n\032\n", 8) != 0) continue;
        const unsigned char *sizes = head + (head[8] < 2 ? 13 : 9);
        TW_CHECK(sizes[0] == 8 && sizes[1] == 8, TW_EDATA,
                 "%s: its offsets have %d and its lengths %d bytes; 8 were expected", path,
                 sizes[0], sizes[1]);
        break;
    }
done:
    return st;
}

tw_status tw_h5_check_heaps(const char *path)
{
    tw_status st = TW_OK;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    TW_CHECK(file >= 0, TW_ENOINPUT, "%s: cannot be read", path);
    const int64_t size = lseek(file, 0, SEEK_END);
    TW_TRY(check_sizes(file, size, path));
    if (size <= 2 * (int64_t)LOOKED_AT) {
        TW_TRY(check_range(file, 0, size, size, path));
    } else {
        TW_TRY(check_range(file, 0, LOOKED_AT, size, path));
        TW_TRY(check_range(file, size - LOOKED_AT, size, size, path));
    }
done:
    if (file >= 0) close(file);
    return st;
}
