/* Colour maps: stops, linear between them. */
#include "tweedie/plot.h"

#include <math.h>

void tw_colour_bytes(tw_colour colour, uint8_t rgb[3])
{
    rgb[0] = (uint8_t)lrint(255 * colour.r);
    rgb[1] = (uint8_t)lrint(255 * colour.g);
    rgb[2] = (uint8_t)lrint(255 * colour.b);
}

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

/* Lightness falls evenly to both sides of white. */
tw_colour tw_colour_signed(double t)
{
    static const double stops[][3] = {{5, 48, 97},     {33, 102, 172},  {86, 156, 205},
                                      {165, 207, 228}, {247, 247, 247}, {250, 190, 160},
                                      {226, 121, 96},  {186, 38, 51},   {103, 0, 31}};
    return mix(stops, 9, t);
}

tw_colour tw_colour_curve(int k)
{
    static const tw_colour colours[] = {
        {0.12, 0.35, 0.75, 1}, {0.90, 0.42, 0.05, 1}, {0.00, 0.60, 0.52, 1}, {0.78, 0.20, 0.50, 1},
        {0.45, 0.30, 0.70, 1}, {0.55, 0.50, 0.10, 1}, {0.20, 0.62, 0.85, 1}, {0.45, 0.28, 0.18, 1}};
    return colours[k % 8];
}
