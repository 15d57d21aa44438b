/* TensorBoard's event files: TFRecords of Event messages in the encoding of protocol buffers.
 *
 * A record: length (u64), masked CRC-32C of these 8 bytes (u32), the message, its masked CRC-32C
 * (u32), all little-endian. A field of a message: its number and wire type as a varint (0: a
 * varint, 1: 8 bytes, 2: a length and bytes, 5: 4 bytes), then the value. What is used here of
 * event.proto and summary.proto:
 *
 *     Event        wall_time = 1 (double), step = 2 (int64), file_version = 3 (string),
 *                  summary = 5 (Summary), session_log = 7 (SessionLog)
 *     SessionLog   status = 1 (START = 1)
 *     Summary      value = 1 (Value)
 *     Value        tag = 1 (string), simple_value = 2 (float), image = 4 (Image)
 *     Image        height = 1, width = 2, colorspace = 3 (int32), encoded_image_string = 4 (bytes)
 */
#include "train/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tweedie/clock.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

enum { VARINT = 0, EIGHT_BYTES = 1, BYTES = 2, FOUR_BYTES = 5 };
enum { PICTURE_MOST = 1 << 26, HEADER = 29 /* of a PNG file, to its colour type and beyond */ };

struct event_file {
    int file;
    char path[TW_PATH_MAX];
};

/* ---- checksums ---- */

uint32_t event_crc(const void *bytes, int64_t count)
{
    const unsigned char *c = bytes;
    uint32_t crc = 0xffffffffu;
    for (int64_t i = 0; i < count; i++) {
        crc ^= c[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

uint32_t event_masked_crc(const void *bytes, int64_t count)
{
    const uint32_t crc = event_crc(bytes, count);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- messages ---- */

static tw_status add_fixed(tw_text *out, uint64_t value, int bytes)
{
    char little[8];
    for (int i = 0; i < bytes; i++) little[i] = (char)(value >> 8 * i & 0xff);
    return tw_text_add_bytes(out, little, bytes);
}

static tw_status add_varint(tw_text *out, uint64_t value)
{
    char bytes[10];
    int n = 0;
    for (; value >= 0x80; value >>= 7) bytes[n++] = (char)((value & 0x7f) | 0x80);
    bytes[n++] = (char)value;
    return tw_text_add_bytes(out, bytes, n);
}

static tw_status add_number(tw_text *out, int field, int64_t value)
{
    tw_status st = TW_OK;
    TW_TRY(add_varint(out, (uint64_t)field << 3 | VARINT));
    TW_TRY(add_varint(out, (uint64_t)value));
done:
    return st;
}

static tw_status add_double(tw_text *out, int field, double value)
{
    tw_status st = TW_OK;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    TW_TRY(add_varint(out, (uint64_t)field << 3 | EIGHT_BYTES));
    TW_TRY(add_fixed(out, bits, 8));
done:
    return st;
}

static tw_status add_float(tw_text *out, int field, float value)
{
    tw_status st = TW_OK;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    TW_TRY(add_varint(out, (uint64_t)field << 3 | FOUR_BYTES));
    TW_TRY(add_fixed(out, bits, 4));
done:
    return st;
}

static tw_status add_bytes(tw_text *out, int field, const char *bytes, int64_t count)
{
    tw_status st = TW_OK;
    TW_TRY(add_varint(out, (uint64_t)field << 3 | BYTES));
    TW_TRY(add_varint(out, (uint64_t)count));
    TW_TRY(tw_text_add_bytes(out, bytes, count));
done:
    return st;
}

static tw_status add_message(tw_text *out, int field, const tw_text *message)
{
    return add_bytes(out, field, message->data ? message->data : "", message->length);
}

/* ---- records ---- */

static tw_status append(const event_file *f, const tw_text *record)
{
    tw_status st = TW_OK;
    const off_t before = lseek(f->file, 0, SEEK_END);
    TW_CHECK(before >= 0, TW_EIO, "%s: cannot be written: %s", f->path, strerror(errno));
    ssize_t n;
    do n = write(f->file, record->data, (size_t)record->length);
    while (n < 0 && errno == EINTR);
    TW_CHECK(n >= 0, TW_EIO, "%s: cannot be written: %s", f->path, strerror(errno));
    if (n == (ssize_t)record->length) goto done;
    (void)ftruncate(f->file, before); /* where that fails, readers stop before it */
    TW_FAIL(TW_EIO, "%s: only %zd of %lld bytes of a record could be written", f->path, n,
            (long long)record->length);
done:
    return st;
}

static tw_status write_event(const event_file *f, const tw_text *event)
{
    tw_status st = TW_OK;
    tw_text record = {0};
    TW_TRY(add_fixed(&record, (uint64_t)event->length, 8));
    TW_TRY(add_fixed(&record, event_masked_crc(record.data, 8), 4));
    TW_TRY(tw_text_add_bytes(&record, event->data, event->length));
    TW_TRY(add_fixed(&record, event_masked_crc(event->data, event->length), 4));
    TW_TRY(append(f, &record));
done:
    tw_text_free(&record);
    return st;
}

static tw_status write_summary(const event_file *f, int64_t step, double wall,
                               const tw_text *summary)
{
    tw_status st = TW_OK;
    tw_text event = {0};
    TW_TRY(add_double(&event, 1, wall));
    TW_TRY(add_number(&event, 2, step));
    TW_TRY(add_message(&event, 5, summary));
    TW_TRY(write_event(f, &event));
done:
    tw_text_free(&event);
    return st;
}

static tw_status begin_session(const event_file *f, int64_t step)
{
    tw_status st = TW_OK;
    static const char version[] = "brain.Event:2";
    const double wall = tw_clock_wall_seconds();
    tw_text event = {0}, session = {0};
    TW_TRY(add_double(&event, 1, wall));
    TW_TRY(add_bytes(&event, 3, version, sizeof version - 1));
    TW_TRY(write_event(f, &event));
    event.length = 0;
    TW_TRY(add_number(&session, 1, 1));
    TW_TRY(add_double(&event, 1, wall));
    TW_TRY(add_number(&event, 2, step));
    TW_TRY(add_message(&event, 7, &session));
    TW_TRY(write_event(f, &event));
done:
    tw_text_free(&event);
    tw_text_free(&session);
    return st;
}

tw_status event_file_create(event_file **out, const char *folder, int64_t step)
{
    tw_status st = TW_OK;
    static atomic_uint serial;
    event_file *f = NULL;
    char host[64] = "";
    TW_TRY(tw_alloc(&f, 1, sizeof *f, "an event file"));
    f->file = -1;
    TW_CHECK(mkdir(folder, 0777) == 0 || errno == EEXIST, TW_EIO, "%s: cannot be made: %s", folder,
             strerror(errno));
    (void)gethostname(host, sizeof host - 1);
    TW_TRY(tw_format(f->path, sizeof f->path, "%s/events.out.tfevents.%010lld.%s.%ld.%u", folder,
                     (long long)tw_clock_wall_seconds(), host, (long)getpid(),
                     atomic_fetch_add(&serial, 1u)));
    TW_TRY(tw_file_open_own(&f->file, f->path, O_WRONLY | O_CREAT | O_APPEND));
    TW_TRY(begin_session(f, step));
    *out = f;
    f = NULL;
done:
    event_file_destroy(&f);
    return st;
}

void event_file_destroy(event_file **file)
{
    if (!*file) return;
    if ((*file)->file >= 0) close((*file)->file);
    tw_free(file);
}

tw_status event_file_scalars(event_file *f, int64_t step, double wall, const event_scalar *scalars,
                             int count)
{
    tw_status st = TW_OK;
    tw_text summary = {0}, value = {0};
    for (int i = 0; i < count; i++) {
        const char *tag = scalars[i].tag;
        value.length = 0;
        TW_TRY(add_bytes(&value, 1, tag, (int64_t)strlen(tag)));
        TW_TRY(add_float(&value, 2, (float)scalars[i].value));
        TW_TRY(add_message(&summary, 1, &value));
    }
    TW_TRY(write_summary(f, step, wall, &summary));
done:
    tw_text_free(&summary);
    tw_text_free(&value);
    return st;
}

/* ---- pictures ---- */

static tw_status read_picture(tw_text *out, const char *path)
{
    tw_status st = TW_OK;
    char bytes[1 << 14];
    FILE *file = fopen(path, "rbe");
    TW_CHECK(file, TW_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, file)) > 0;) {
        TW_CHECK(out->length < PICTURE_MOST, TW_EDATA, "%s: is larger than %d MiB", path,
                 PICTURE_MOST >> 20);
        TW_TRY(tw_text_add_bytes(out, bytes, (int64_t)n));
    }
    TW_CHECK(!ferror(file), TW_EIO, "%s: cannot be read: %s", path, strerror(errno));
    TW_CHECK(out->length > HEADER && memcmp(out->data, "\x89PNG\r\n\x1a\n", 8) == 0, TW_EDATA,
             "%s: is no PNG file", path);
done:
    if (file) fclose(file);
    return st;
}

static int64_t big_endian(const char *bytes)
{
    const unsigned char *c = (const unsigned char *)bytes;
    return (int64_t)c[0] << 24 | (int64_t)c[1] << 16 | (int64_t)c[2] << 8 | (int64_t)c[3];
}

tw_status event_file_picture(event_file *f, int64_t step, double wall, const char *tag,
                             const char *path)
{
    tw_status st = TW_OK;
    tw_text png = {0}, image = {0}, value = {0}, summary = {0};
    TW_TRY(read_picture(&png, path));
    TW_TRY(add_number(&image, 1, big_endian(png.data + 20)));
    TW_TRY(add_number(&image, 2, big_endian(png.data + 16)));
    TW_TRY(add_number(&image, 3, png.data[25] == 2 ? 3 : 1)); /* PNG's colour type 2 is RGB */
    TW_TRY(add_message(&image, 4, &png));
    TW_TRY(add_bytes(&value, 1, tag, (int64_t)strlen(tag)));
    TW_TRY(add_message(&value, 4, &image));
    TW_TRY(add_message(&summary, 1, &value));
    TW_TRY(write_summary(f, step, wall, &summary));
done:
    tw_text_free(&png);
    tw_text_free(&image);
    tw_text_free(&value);
    tw_text_free(&summary);
    return st;
}
