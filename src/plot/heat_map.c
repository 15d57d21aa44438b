/* Points in the plane as a heat map with axes. */
#include <math.h>

#include "plot/canvas.h"
#include "tweedie/memory.h"

enum { CELLS = 210 };

/* Adds the point's Gaussian to its neighbours. */
static void spread(double *cells, double x, double y, double blur)
{
    const int reach = (int)ceil(3 * blur);
    for (int64_t row = (int64_t)y - reach; row <= (int64_t)y + reach; row++)
        for (int64_t col = (int64_t)x - reach; col <= (int64_t)x + reach; col++)
            if (row >= 0 && row < CELLS && col >= 0 && col < CELLS)
                cells[row * CELLS + col] +=
                    exp(-0.5 * (pow((double)row + 0.5 - y, 2) + pow((double)col + 0.5 - x, 2)) /
                        (blur * blur));
}

void tw_panel_density(tw_canvas *c, const tw_panel *p, const float *points, int64_t count)
{
    const double blur = fmin(3, fmax(0.8, 60 / sqrt((double)count)));
    double *cells = NULL;
    if (c->status == TW_OK)
        c->status = tw_alloc(&cells, CELLS * CELLS, sizeof *cells, "a heat map");
    if (!cells) return;
    for (int64_t i = 0; i < count; i++) {
        const double x = ((double)points[2 * i] - p->x[0]) / (p->x[1] - p->x[0]) * CELLS,
                     y = (1 - ((double)points[2 * i + 1] - p->y[0]) / (p->y[1] - p->y[0])) * CELLS;
        if (fabs(x) < 1e6 && fabs(y) < 1e6) spread(cells, x, y, blur);
    }
    tw_panel_image(c, p, CELLS, CELLS, cells, 0, tw_colour_viridis);
    tw_free(&cells);
}
