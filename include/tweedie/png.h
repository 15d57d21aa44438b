/* Pictures for people: PNG files of images, of grids of images, and of the density of points in the
 * plane.
 *
 * Every file is written under a temporary name and renamed (tweedie/output.h: as one of the
 * program's own, so what has its name is replaced). Nothing here is collective. */
#ifndef TWEEDIE_PNG_H
#define TWEEDIE_PNG_H

#include <stdint.h>

#include "tweedie/output.h"
#include "tweedie/text.h"

/* A line of text in a picture: a tEXt chunk, iTXt where it is more than ASCII. */
typedef struct tw_png_note {
    char key[24]; /* "Seed" */
    char text[1024];
} tw_png_note;
enum { TW_PNG_NOTES = 8 };

/* What all pictures that this process writes say from now on, beside the program's version: where
 * they come from. Copied. At most TW_PNG_NOTES; 0: nothing more. For the one thread that writes. */
void tw_png_set_notes(const tw_png_note *notes, int count);

/* Writes one image.
 * @param pixels    [height][width][channels], 0…255
 * @param channels  1 is grey, 3 is RGB; of any other number the first channel is drawn as grey
 * @return TW_EIO naming the file; TW_ESHAPE if a side is not within 1…65535 */
tw_status tw_png_write(const char *path, const uint8_t *pixels, int64_t height, int64_t width,
                       int64_t channels);

/* The same where nothing has the name, or a file of the same bytes. @return TW_EUSAGE where there
 * is another */
tw_status tw_png_write_same(const char *path, const uint8_t *pixels, int64_t height, int64_t width,
                            int64_t channels);

/* The same under a name that a user gave. @return as tw_output_begin too */
tw_status tw_png_write_as(const char *path, tw_output_mode mode, const uint8_t *pixels,
                          int64_t height, int64_t width, int64_t channels);

/* Appends one image to a text, as a URL that holds it ("data:image/png;base64,…"). */
tw_status tw_png_add_url(tw_text *text, const uint8_t *pixels, int64_t height, int64_t width,
                         int64_t channels);

/* Writes `count` images as one picture, row by row, with one dark pixel between neighbours.
 * @param pixels   [count][height][width][channels], channels as in tw_png_write
 * @param columns  images in a row; 0: a picture about as wide as high */
tw_status tw_png_write_grid(const char *path, const uint8_t *pixels, int64_t count, int64_t height,
                            int64_t width, int64_t channels, int64_t columns);

/* Writes the density of points as a heat map (viridis; colour follows the square root of the count,
 * so that tails are seen).
 * @param points      [count][2]: x to the right, y upwards, in the units of `bounds`; points
 * outside are left out
 * @param bounds      x least, x most, y least, y most
 * @param resolution  pixels of the longer side, 16…8192
 * @param blur        deviation of the normal that each point is spread over, in pixels, 0…32; 0:
 * none */
tw_status tw_png_write_heatmap(const char *path, const float *points, int64_t count,
                               const double bounds[4], int64_t resolution, double blur);

#endif
