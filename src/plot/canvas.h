/* What a canvas is. */
#ifndef PLOT_CANVAS_H
#define PLOT_CANVAS_H

#include "tweedie/plot.h"

struct tw_canvas {
    int64_t width, height;
    int64_t clip[4]; /* x first, behind the last; y likewise */
    float *rgb;      /* [height][width][3], in [0, 1] */
};

#endif
