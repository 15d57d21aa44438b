/* Colour maps: stops, linear between them. */
#include "tweedie/plot.h"

static tw_colour mix(const double (*stops)[3], int count, double t)
{
    const double place = (t < 0 || t != t ? 0 : t > 1 ? 1 : t) * (count - 1);
    const int i = place >= count - 1 ? count - 2 : (int)place;
    const double f = place - i;
    double c[3];
    for (int k = 0; k < 3; k++) c[k] = (stops[i][k] + f * (stops[i + 1][k] - stops[i][k])) / 255;
    return (tw_colour){c[0], c[1], c[2], 1};
}

/* S. van der Walt, N. Smith, 2015. */
tw_colour tw_colour_viridis(double t)
{
    static const double stops[][3] = {
        {68, 1, 84},    {72, 40, 120},  {62, 73, 137},  {49, 104, 142}, {38, 130, 142},
        {31, 158, 137}, {53, 183, 121}, {110, 206, 88}, {181, 222, 43}, {253, 231, 37}};
    return mix(stops, 10, t);
}

tw_colour tw_colour_paper(double t)
{
    static const double stops[][3] = {
        {255, 255, 255}, {226, 236, 247}, {187, 212, 236}, {135, 181, 222}, {86, 146, 202}};
    return mix(stops, 5, t);
}

tw_colour tw_colour_warm(double t)
{
    static const double stops[][3] = {
        {70, 30, 130}, {150, 40, 140}, {215, 70, 100}, {245, 130, 50}, {250, 190, 40}};
    return mix(stops, 5, t);
}
