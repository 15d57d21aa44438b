/* Curves by x with axes, a title and a legend: ranges, decades and thinning chosen by what is
 * drawn. Drawing never fails (tweedie/plot.h); nothing here is collective. */
#ifndef TWEEDIE_CHART_H
#define TWEEDIE_CHART_H

#include "tweedie/plot.h"

typedef struct tw_curve {
    const char *name; /* in the legend; NULL: not there */
    int64_t count;
    const double *x, *y; /* [count], x ascending; borrowed */
    tw_colour colour;
    bool discs;  /* a disc at each point: of what is measured now and then */
    bool smooth; /* of a hundred points and more: pale, and over it the mean of its neighbours;
                    its first twentieth does not stretch the axis */
} tw_curve;

/* A vertical line. */
typedef struct tw_chart_mark {
    double x;
    tw_colour colour;
} tw_chart_mark;

typedef struct tw_chart {
    const char *title, *x_label;
    const tw_curve *curves;
    int count;
    const tw_chart_mark *marks;
    int mark_count;
    double last_x; /* the axis goes from 0 to here, or to the last point */
    bool zero;     /* the y axis begins at 0 */
    bool stacked;  /* shares of one over the same x, one upon the other */
} tw_chart;

/* The panel that a chart with this outer box draws its data in. A curve that stays above zero is
 * drawn by decades where the chart spans more than a factor of twelve. */
tw_panel tw_chart_panel(const tw_chart *chart, double left, double top, double width,
                        double height);

void tw_chart_draw(tw_canvas *c, const tw_chart *chart, double left, double top, double width,
                   double height);

/* Fewer points that look the same in `columns` pixels: of each pixel the first, least, largest and
 * last, in their order.
 * @param[out] thin_x, thin_y  [4 columns], or [count] where that is less
 * @return how many there are */
int64_t tw_curve_thin(double *thin_x, double *thin_y, const double *x, const double *y,
                      int64_t count, int64_t columns);

#endif
