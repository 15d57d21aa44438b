/* The user block: writing, reading, and passing over the bytes behind it. */
#include "checkpoint/container.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"

enum { BUFFER = 1 << 20, BLOCK_VERSION = 1 };

static const char magic[8] = {'T', 'W', 'E', 'E', 'D', 'I', 'E', '\n'};

static void put_little(unsigned char *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) p[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get_little(const unsigned char *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)p[i] << 8 * i;
    return value;
}

tw_status container_pass_open(container_pass *pass, const char *path)
{
    tw_status st = TW_OK;
    container_pass p = {.file = -1, .at = CONTAINER_BLOCK};
    struct stat info;

    p.file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    TW_CHECK(p.file >= 0, errno == EIO ? TW_EIO : TW_ENOINPUT, "%s: cannot be read: %s", path,
             strerror(errno));
    TW_CHECK(fstat(p.file, &info) == 0, TW_EIO, "%s: cannot be read: %s", path, strerror(errno));
    TW_CHECK(S_ISREG(info.st_mode), TW_ENOINPUT, "%s: is not a file", path);
    p.end = (int64_t)info.st_size;
    TW_CHECK(p.end > CONTAINER_BLOCK, TW_EDATA,
             "%s: has %lld bytes: it is cut off, or no checkpoint", path, (long long)p.end);
    TW_TRY(tw_alloc(&p.buffer, BUFFER, 1, "a read buffer"));
    p.state = XXH3_createState();
    TW_CHECK(p.state && XXH3_128bits_reset(p.state) == XXH_OK, TW_ENOMEM,
             "out of memory for a hash");
    *pass = p;
    p.file = -1;
    p.state = p.buffer = NULL;
done:
    container_pass_close(&p);
    return st;
}

tw_status container_pass_step(container_pass *pass, const char *path, int64_t bytes, bool *finished)
{
    tw_status st = TW_OK;
    while (bytes > 0 && pass->at < pass->end) {
        int64_t n = pass->end - pass->at < BUFFER ? pass->end - pass->at : BUFFER;
        TW_TRY(tw_file_read_at(pass->file, pass->buffer, n, pass->at, path));
        XXH3_128bits_update(pass->state, pass->buffer, (size_t)n);
        pass->at += n;
        bytes -= n;
    }
    *finished = pass->at == pass->end;
done:
    return st;
}

void container_pass_hash(const container_pass *pass, unsigned char hash[CONTAINER_HASH_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(pass->state));
    memcpy(hash, canonical.digest, CONTAINER_HASH_BYTES);
}

void container_pass_close(container_pass *pass)
{
    if (pass->file >= 0) close(pass->file);
    if (pass->state) XXH3_freeState(pass->state);
    tw_free(&pass->buffer);
    *pass = (container_pass){.file = -1};
}

tw_status container_seal(const char *path, const container_pass *pass)
{
    tw_status st = TW_OK;
    unsigned char block[CONTAINER_BLOCK] = {0};
    int file = -1;

    memcpy(block, magic, sizeof magic);
    put_little(block + 8, BLOCK_VERSION, 4);
    put_little(block + 12, CONTAINER_BLOCK, 4);
    put_little(block + 16, (uint64_t)(pass->end - CONTAINER_BLOCK), 8);
    container_pass_hash(pass, block + 24);
    file = open(path, O_WRONLY | O_CLOEXEC);
    TW_CHECK(file >= 0, TW_EIO, "%s: cannot be opened again: %s", path, strerror(errno));
    for (size_t at = 0; at < sizeof block;) {
        ssize_t n = pwrite(file, block + at, sizeof block - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        TW_CHECK(n > 0, TW_EIO, "%s: writing failed: %s", path,
                 n < 0 ? strerror(errno) : "nothing was taken");
        at += (size_t)n;
    }
    /* a failed fsync is final: the kernel reports an error once and then forgets the pages */
    TW_CHECK(fsync(file) == 0, TW_EIO, "%s: cannot be flushed to the disk: %s", path,
             strerror(errno));
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    int closed = close(file);
    file = -1;
    TW_CHECK(closed == 0, TW_EIO, "%s: closing failed: %s", path, strerror(errno));
done:
    if (file >= 0) close(file);
    return st;
}

tw_status container_read_block(const container_pass *pass, const char *path,
                               unsigned char hash[CONTAINER_HASH_BYTES])
{
    tw_status st = TW_OK;
    unsigned char block[CONTAINER_BLOCK];
    static const unsigned char signature[] = {0x89, 'H', 'D', 'F'};

    TW_TRY(tw_file_read_at(pass->file, block, sizeof block, 0, path));
    TW_CHECK(memcmp(block, signature, sizeof signature) != 0, TW_EDATA,
             "%s: is HDF5, but neither a checkpoint nor a weights file", path);
    TW_CHECK(memcmp(block, magic, sizeof magic) == 0, TW_EDATA,
             "%s: is neither a checkpoint nor a weights file, or is damaged at its beginning",
             path);
    uint64_t version = get_little(block + 8, 4), size = get_little(block + 12, 4),
             length = get_little(block + 16, 8);
    TW_CHECK(version == BLOCK_VERSION, TW_EDATA,
             "%s: has version %llu of the file's head, this program knows %d", path,
             (unsigned long long)version, BLOCK_VERSION);
    TW_CHECK(size == CONTAINER_BLOCK, TW_EDATA,
             "%s: is damaged: its head says it has %llu bytes, expected %d", path,
             (unsigned long long)size, CONTAINER_BLOCK);
    TW_CHECK(length == (uint64_t)(pass->end - CONTAINER_BLOCK), TW_EDATA,
             "%s: is damaged: %lld bytes after its head, %llu expected", path,
             (long long)(pass->end - CONTAINER_BLOCK), (unsigned long long)length);
    for (int i = 40; i < CONTAINER_BLOCK; i++)
        TW_CHECK(block[i] == 0, TW_EDATA, "%s: is damaged: byte %d of its head is not zero", path,
                 i);
    memcpy(hash, block + 24, CONTAINER_HASH_BYTES);
done:
    return st;
}

void container_hex(char digest[TW_CHECKPOINT_DIGEST],
                   const unsigned char hash[CONTAINER_HASH_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < CONTAINER_HASH_BYTES; i++) {
        digest[2 * i] = digits[hash[i] >> 4];
        digest[2 * i + 1] = digits[hash[i] & 15];
    }
    digest[2 * CONTAINER_HASH_BYTES] = '\0';
}

tw_status container_pass_judge(const container_pass *pass, const char *path,
                               char digest[TW_CHECKPOINT_DIGEST])
{
    tw_status st = TW_OK;
    unsigned char claimed[CONTAINER_HASH_BYTES], found[CONTAINER_HASH_BYTES];
    TW_TRY(container_read_block(pass, path, claimed));
    container_pass_hash(pass, found);
    TW_CHECK(memcmp(claimed, found, sizeof found) == 0, TW_EDATA,
             "%s: is damaged: its bytes do not have the hash that its head says", path);
    if (digest) container_hex(digest, found);
done:
    return st;
}

tw_status tw_checkpoint_check(const char *path, char digest[TW_CHECKPOINT_DIGEST])
{
    tw_status st = TW_OK;
    container_pass pass = {.file = -1};
    unsigned char claimed[CONTAINER_HASH_BYTES];
    bool finished;

    TW_TRY(container_pass_open(&pass, path));
    TW_TRY(container_read_block(&pass, path, claimed)); /* before all is read for nothing */
    TW_TRY(container_pass_step(&pass, path, INT64_MAX, &finished));
    TW_TRY(container_pass_judge(&pass, path, digest));
done:
    container_pass_close(&pass);
    return st;
}
