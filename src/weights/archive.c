/* A file of weights, mapped: bytes that are never asked for are never read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"
#include "weights/container.h"

/* What a tree may take beside the file: a pickle of one-byte opcodes makes 100 bytes of each, real
 * files a few hundred bytes for a tensor. */
static const int64_t tree_least = INT64_C(1) << 20, tree_most = INT64_C(1) << 28;

uint16_t tw_bytes_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t tw_bytes_u32(const uint8_t *p)
{
    return (uint32_t)tw_bytes_u16(p) | (uint32_t)tw_bytes_u16(p + 2) << 16;
}

uint64_t tw_bytes_u64(const uint8_t *p)
{
    return (uint64_t)tw_bytes_u32(p) | (uint64_t)tw_bytes_u32(p + 4) << 32;
}

const char *tw_bytes_shown(char out[100], const char *data, int64_t length)
{
    char part[90];
    const size_t n = length < (int64_t)sizeof part ? (size_t)length : sizeof part - 1;
    memcpy(part, data, n);
    part[n] = '\0';
    (void)tw_text_printable(out, 100, part, "");
    return out;
}

static tw_status map(tw_archive *a)
{
    tw_status st = TW_OK;
    struct stat info;
    int fd = -1;
    TW_TRY(tw_file_size(&a->size, a->path)); /* and that it is a file */
    TW_CHECK(a->size > 0, TW_EDATA, "%s: is empty", a->path);
    fd = open(a->path, O_RDONLY | O_CLOEXEC);
    TW_CHECK(fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode), TW_ENOINPUT,
             "%s: cannot be opened: %s", a->path, strerror(errno));
    a->size = (int64_t)info.st_size;
    void *bytes =
        a->size > 0 ? mmap(NULL, (size_t)a->size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    TW_CHECK(bytes != MAP_FAILED, TW_EIO, "%s: cannot be mapped: %s", a->path, strerror(errno));
    a->bytes = bytes;
done:
    if (fd >= 0) close(fd);
    return st;
}

static tw_status choose(tw_archive *a)
{
    tw_status st = TW_OK;
    tw_claim best = TW_CLAIM_NO;
    for (int i = 0; i < tw_container_count; i++) {
        const tw_claim claim = tw_container_table[i]->claims(a->bytes, a->size);
        if (claim <= best) continue;
        best = claim;
        a->container = tw_container_table[i];
    }
    TW_CHECK(a->container, TW_EDATA,
             "is no file of weights: neither torch's (zip or legacy), nor safetensors, flax "
             "msgpack, or a pickle");
done:
    return st;
}

tw_status tw_archive_open(tw_archive **out, const char *path)
{
    tw_status st = TW_OK;
    tw_archive *a = NULL;
    TW_TRY(tw_alloc(&a, 1, sizeof *a, "an open file of weights"));
    TW_TRY(tw_strdup(&a->path, path));
    TW_TRY(map(a));
    a->arena.left = a->size < tree_most / 64 ? tree_least + 64 * a->size : tree_most;
    st = choose(a);
    if (st == TW_OK) st = a->container->read(a);
    if (st == TW_OK && a->tensors == 0) st = tw_error_set(TW_EDATA, "holds no tensor");
    if (st != TW_OK && a->container && st == TW_EDATA) tw_error_prefix("%s: ", a->container->name);
    if (st != TW_OK) tw_error_prefix("%s: ", path);
    if (st != TW_OK) goto done;
    *out = a;
    a = NULL;
done:
    tw_archive_close(&a);
    return st;
}

void tw_archive_close(tw_archive **archive)
{
    tw_archive *a = *archive;
    if (!a) return;
    for (int i = 0; i < a->part_count; i++) tw_archive_close(&a->parts[i]);
    tw_free(&a->parts);
    tw_arena_free(&a->arena);
    if (a->bytes) munmap((void *)(uintptr_t)a->bytes, (size_t)a->size);
    tw_free(&a->path);
    tw_free(archive);
}
