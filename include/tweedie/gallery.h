/* Samples as one picture, with what a reader needs beside them: a title for what they are, data to
 * compare them with, a caption; of fields every channel in colours, with a colour bar in the units
 * of the data. Not collective. */
#ifndef TWEEDIE_GALLERY_H
#define TWEEDIE_GALLERY_H

#include "tweedie/data.h"
#include "tweedie/plot.h"

enum { TW_GALLERY_ZOOM_MAX = 64 };

typedef struct tw_gallery {
    const tw_dataset_spec *spec; /* images */
    int64_t count, real_count;
    const float *x, *real; /* [count][H][W][C], model units; real NULL: none beside */
    int64_t zoom;          /* pixels of the picture to one of a sample, 1 … TW_GALLERY_ZOOM_MAX */
    int64_t columns;       /* of samples; 0: about as wide as high */
    const char *caption;   /* a line below, or NULL */
} tw_gallery;

/* Whether samples are drawn as fields, a channel at a time in a colour map: all but bytes of one
 * and three channels, and three channels of floats that have no names. */
bool tw_gallery_is_field(const tw_dataset_spec *spec);

/* How large the picture is, in pixels. @return TW_EUSAGE for points, for a zoom out of range, and
 * where a side is larger than a canvas may be, saying which zoom fits */
tw_status tw_gallery_size(const tw_gallery *g, int64_t *width, int64_t *height);

/* @return TW_ENOMEM */
tw_status tw_gallery_draw(tw_canvas *c, const tw_gallery *g, double left, double top);

/* Both, as a file: SVG where it ends in ".svg", else PNG. @return as those, and as tw_output_begin
 */
tw_status tw_gallery_write(const char *path, tw_output_mode mode, const tw_gallery *g);

#endif
