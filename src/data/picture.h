/* A picture in memory, as it comes out of a PNG or JPEG file, and what importing does to it. */
#ifndef TWEEDIE_DATA_PICTURE_H
#define TWEEDIE_DATA_PICTURE_H

#include <stdint.h>
#include <stdio.h>

#include "tweedie/status.h"

enum {
    PICTURE_SIDE_MAX = 65535,
    PICTURE_PIXELS_MAX = 1 << 27 /* what a header may claim before anything is allocated for it */
};

typedef struct picture {
    int64_t height, width;
    int channels;    /* 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha */
    uint8_t *pixels; /* [height][width][channels], owned; alpha is not premultiplied */
} picture;

void tw_picture_free(picture *p);

/* Allocates the pixels of a picture whose shape a header claims. @return TW_EDATA naming the file
 * if it is too large */
tw_status tw_picture_allocate(picture *p, int64_t height, int64_t width, int channels,
                              const char *path);

/* Reads a PNG or JPEG file, whichever it is by its first bytes. 16 bits become 8, palettes become
 * colours.
 * @return TW_ENOINPUT, or TW_EDATA for a file that is neither, damaged, truncated or CMYK */
tw_status tw_picture_read(picture *out, const char *path);
tw_status tw_picture_read_png(picture *out, FILE *file, const char *path);
tw_status tw_picture_read_jpeg(picture *out, FILE *file, const char *path);

/* Makes it a picture of 1 or 3 channels: alpha is composited on the background, colours become grey
 * by the luma of ITU-R BT.601. */
tw_status tw_picture_flatten(picture *p, int channels, const uint8_t background[3]);

/* Cuts the centre to the aspect of height x width, keeping as much as possible. */
tw_status tw_picture_crop(picture *p, int64_t height, int64_t width);

/* Resizes by a triangle filter as wide as the larger of the two pixel sizes: antialiased when
 * shrinking, bilinear when growing (what Pillow calls BILINEAR). */
tw_status tw_picture_resize(picture *p, int64_t height, int64_t width);

#endif
