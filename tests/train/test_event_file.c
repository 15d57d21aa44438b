/* Event files: checksums against known values, records byte for byte. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "train/event_file.h"
#include "tweedie/png.h"

/* RFC 3720, B.4, and the check value of the catalogue of CRCs. */
static void checksums_are_those_of_crc_32c(void **state)
{
    unsigned char bytes[32];
    (void)state;
    assert_int_equal(event_crc("123456789", 9), 0xe3069283u);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(event_crc(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(event_crc(bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(event_crc(bytes, 32), 0x46dd794eu);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)(31 - i);
    assert_int_equal(event_crc(bytes, 32), 0x113fdb5cu);
    const uint32_t crc = event_crc("abc", 3);
    assert_int_equal(event_masked_crc("abc", 3), (uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8u));
}

static size_t read_only_file(char *path, const char *folder, unsigned char *out, size_t most)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    int count = 0;
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        assert_memory_equal(e->d_name, "events.out.tfevents.", 20);
        snprintf(path, 512, "%s/%s", folder, e->d_name);
        count++;
    }
    closedir(d);
    assert_int_equal(count, 1);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    n = fread(out, 1, most, f);
    fclose(f);
    return n;
}

/* Where the next record begins; its message and length. */
static const unsigned char *take(const unsigned char **at, uint64_t *length)
{
    const unsigned char *record = *at, *message = record + 12;
    uint32_t crc;
    memcpy(length, record, 8); /* these tests run on little-endian machines */
    memcpy(&crc, record + 8, 4);
    assert_int_equal(crc, event_masked_crc(record, 8));
    memcpy(&crc, message + *length, 4);
    assert_int_equal(crc, event_masked_crc(message, (int64_t)*length));
    *at = message + *length + 4;
    return message;
}

static void records_are_the_bytes_of_the_format(void **state)
{
    const char *base = getenv("TMPDIR");
    char folder[256], path[512], inside[512];
    static unsigned char bytes[1 << 16];
    event_file *f = NULL;
    uint64_t n;
    double wall;
    (void)state;
    snprintf(folder, sizeof folder, "%s/tweedie-events.XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(inside, sizeof inside, "%s/tensorboard", folder);
    assert_int_equal(event_file_create(&f, inside, 301), TW_OK);
    const event_scalar scalar = {"a", 0.5};
    assert_int_equal(event_file_scalars(f, 300, 2.0, &scalar, 1), TW_OK);
    event_file_destroy(&f);
    const size_t size = read_only_file(path, inside, bytes, sizeof bytes);
    const unsigned char *at = bytes, *m;
    m = take(&at, &n); /* wall_time, file_version */
    assert_int_equal(n, 9 + 2 + 13);
    assert_int_equal(m[0], 0x09);
    memcpy(&wall, m + 1, 8);
    assert_true(wall > 1e9);
    assert_memory_equal(m + 9,
                        "\x1a\x0d"
                        "brain.Event:2",
                        15);
    m = take(&at, &n); /* a session starts at step 301 */
    assert_int_equal(n, 9 + 3 + 4);
    assert_memory_equal(m + 9, "\x10\xad\x02\x3a\x02\x08\x01", 7);
    m = take(&at, &n); /* wall_time 2, step 300, summary { value { tag: "a" simple_value: 0.5 } } */
    assert_int_equal(n, 9 + 3 + 12);
    assert_memory_equal(m, "\x09\0\0\0\0\0\0\0\x40", 9);
    assert_memory_equal(m + 9, "\x10\xac\x02", 3);
    assert_memory_equal(m + 12,
                        "\x2a\x0a\x0a\x08\x0a\x01"
                        "a\x15\0\0\0\x3f",
                        12);
    assert_ptr_equal(at, bytes + size);
    unlink(path);
    rmdir(inside);
    rmdir(folder);
}

static void a_picture_is_its_file_with_its_size(void **state)
{
    char folder[] = "/tmp/tweedie-events.XXXXXX", path[512], inside[512], png[512];
    static unsigned char bytes[1 << 16];
    static const uint8_t pixels[2 * 3 * 3] = {1, 2, 3, 4};
    event_file *f = NULL;
    uint64_t n;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(inside, sizeof inside, "%s/tensorboard", folder);
    snprintf(png, sizeof png, "%s/p.png", folder);
    assert_int_equal(tw_png_write(png, pixels, 2, 3, 3), TW_OK);
    struct stat info;
    assert_int_equal(stat(png, &info), 0);
    assert_int_equal(event_file_create(&f, inside, 1), TW_OK);
    assert_int_equal(event_file_picture(f, 1, 2.0, "p", png), TW_OK);
    assert_int_equal(event_file_picture(f, 1, 2.0, "p", inside), TW_EIO);
    event_file_destroy(&f);
    (void)read_only_file(path, inside, bytes, sizeof bytes);
    const unsigned char *at = bytes, *m = bytes;
    for (int i = 0; i < 3; i++) m = take(&at, &n);
    const unsigned char *image = memmem(m, n, "\x08\x02\x10\x03\x18\x03\x22", 7);
    assert_non_null(image); /* height 2, width 3, RGB, then the bytes */
    const unsigned char *data = memmem(image, 32, "\x89PNG", 4);
    assert_non_null(data);
    assert_int_equal(m + n - data, info.st_size);
    unlink(path);
    unlink(png);
    rmdir(inside);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_those_of_crc_32c),
        cmocka_unit_test(records_are_the_bytes_of_the_format),
        cmocka_unit_test(a_picture_is_its_file_with_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
