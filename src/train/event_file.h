/* Event files as TensorBoard reads them: records of a length, its checksum, the bytes, and theirs.
 */
#ifndef TW_TRAIN_EVENT_FILE_H
#define TW_TRAIN_EVENT_FILE_H

#include <stdint.h>

#include "tweedie/status.h"

typedef struct event_file event_file;

/* Makes FOLDER/events.out.tfevents.TIME.HOST.PID.SERIAL, and FOLDER where it is missing. The first
 * records say the format's version and that a session starts, which has TensorBoard forget what
 * earlier files say of this step and later ones.
 * @param step  the first that this session takes
 * @param[out] out  event_file_destroy */
tw_status event_file_create(event_file **out, const char *folder, int64_t step);
void event_file_destroy(event_file **file);

typedef struct event_scalar {
    const char *tag; /* "train/loss" */
    double value;
} event_scalar;

/* One event. A record is written whole or not at all. @return TW_EIO */
tw_status event_file_scalars(event_file *f, int64_t step, double wall, const event_scalar *scalars,
                             int count);
/* A picture, as its PNG file. @return TW_EDATA where it is none */
tw_status event_file_picture(event_file *f, int64_t step, double wall, const char *tag,
                             const char *path);

/* CRC-32C (Castagnoli), and as records have it: turned by 15 bits, and a constant added. */
uint32_t event_crc(const void *bytes, int64_t count);
uint32_t event_masked_crc(const void *bytes, int64_t count);

#endif
