/* The augmentations of EDM (Karras et al. 2022, appendix F.2), after those of StyleGAN2 with little
 * data (Karras et al. 2020). Each happens to an image with a probability of its own, in this order,
 * and tells the network of itself:
 *
 *   what                                            labels
 *   mirroring left to right (data.flip)             1
 *   mirroring upside down, in half of the cases     1
 *   scaling by 2^(0.2 w), w normal                  w
 *   turning by θ, uniform over the circle           cos θ − 1, sin θ
 *   stretching by 2^(0.2 w) along one direction     w cos r, w sin r
 *     and shrinking by it across: along the rows,
 *     or in half of the cases at an angle r
 *   moving by w / 8 of the sides, w normal          w of the columns, w of the rows
 *
 * The map of the last four is one affine map, through which the image is seen once; the paper's
 * code resamples by a wavelet at twice the resolution, cubic convolution stands here. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "data/warp.h"
#include "tweedie/augment.h"

extern const tw_augment tw_augment_edm;

typedef struct edm_config {
    double probability;
} edm_config;

static const tw_config_field fields[] = {
    {NULL, "augment_probability", TW_CONFIG_DOUBLE, offsetof(edm_config, probability), "0.12", 0, 1,
     .fixed = true, .help = "of each transformation of an image"},
};

static const double deviation = 0.2, shift = 0.125; /* of log2 of a scale; in units of a side */

enum { LABELS = 9, NORMALS = 64 /* the stream's elements from here on are normal */ };

/* What is done to one image. */
typedef struct transformation {
    bool mirrored, upside_down, seen;     /* seen: through the map below */
    double scale, angle, stretch, across; /* log2 scales in units of `deviation`; angles */
    double right, down;                   /* in units of `shift` */
} transformation;

static transformation choose(const edm_config *c, const tw_augment_image *image)
{
    float u[9], z[4];
    tw_rng_uniform(u, &image->stream, 0, 9);
    tw_rng_normal(z, &image->stream, NORMALS, 4);
    bool does[5];
    for (int k = 0; k < 5; k++) does[k] = (double)u[k] < c->probability;
    transformation t = {.mirrored = image->mirrored,
                        .upside_down = does[0] && u[5] < 0.5f,
                        .seen = does[1] || does[2] || does[3] || does[4]};
    if (does[1]) t.scale = (double)z[0];
    if (does[2]) t.angle = M_PI * (2 * (double)u[6] - 1);
    if (does[3]) t.stretch = (double)z[1];
    if (does[3] && u[8] < 0.5f) t.across = M_PI * (2 * (double)u[7] - 1);
    if (does[4]) t.right = (double)z[2], t.down = (double)z[3];
    return t;
}

static void tell(float *labels, const transformation *t)
{
    const double told[LABELS] = {t->mirrored,
                                 t->upside_down,
                                 t->scale,
                                 cos(t->angle) - 1,
                                 sin(t->angle),
                                 t->stretch * cos(t->across),
                                 t->stretch * sin(t->across),
                                 t->right,
                                 t->down};
    for (int k = 0; k < LABELS; k++) labels[k] = (float)told[k];
}

static tw_affine_map turn(double angle)
{
    return (tw_affine_map){cos(angle), -sin(angle), 0, sin(angle), cos(angle), 0};
}

/* From where a pixel of the result is, to where it was: the steps undone, the last first. A turn by
 * θ is one against the clock, as the picture is looked at. */
static tw_affine_map way_back(const transformation *t, int64_t height, int64_t width)
{
    const double s = exp2(-deviation * t->scale), a = exp2(deviation * t->stretch);
    const tw_affine_map steps[] = {
        {1, 0, -t->right * shift * (double)width, 0, 1, -t->down * shift * (double)height},
        turn(t->across),
        {1 / a, 0, 0, 0, a, 0},
        turn(-t->across),
        turn(t->angle),
        {s, 0, 0, 0, s, 0},
    };
    tw_affine_map map = steps[0];
    for (size_t k = 1; k < sizeof steps / sizeof *steps; k++)
        map = tw_affine_map_then(&map, &steps[k]);
    return map;
}

static void turn_upside_down(float *x, float *work, const tw_augment_image *image)
{
    const int64_t row = image->width * image->channels;
    const size_t bytes = (size_t)row * sizeof *x;
    for (int64_t i = 0, k = image->height - 1; i < k; i++, k--) {
        memcpy(work, x + i * row, bytes);
        memcpy(x + i * row, x + k * row, bytes);
        memcpy(x + k * row, work, bytes);
    }
}

static void run(const void *config, const tw_augment_image *image, float *x, float *work,
                float *labels)
{
    const transformation t = choose(config, image);
    if (labels) tell(labels, &t);
    if (!x) return;
    if (t.upside_down) turn_upside_down(x, work, image);
    if (!t.seen) return;
    const tw_affine_map map = way_back(&t, image->height, image->width);
    memcpy(work, x, (size_t)(image->height * image->width * image->channels) * sizeof *x);
    tw_warp(x, work, image->height, image->width, image->channels, &map);
}

const tw_augment tw_augment_edm = {
    .kind = {"edm", "mirrored, scaled, turned, stretched and moved at random", fields,
             sizeof fields / sizeof *fields, sizeof(edm_config)},
    .labels = LABELS,
    .run = run,
};
