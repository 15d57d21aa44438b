/* y = m x: some of the numbers of a sample. V = I, s = m. Measurements have the shape of samples;
 * what is not known of them is not looked at. */
#include <stddef.h>
#include <string.h>

#include "inverse/operator.h"
#include "tweedie/data.h"
#include "tweedie/memory.h"

extern const tw_operator_kind tw_operator_inpaint;

enum { LEFT, RIGHT, TOP, BOTTOM, NONE };

typedef struct inpaint_config {
    const char *mask;
    tw_config_ints box, coordinates;
    int half;
} inpaint_config;

static const tw_config_field fields[] = {
    {NULL, "mask", TW_CONFIG_PATH, offsetof(inpaint_config, mask), "",
     .help = "a dataset whose first sample is above 0 in model units (white) where a number is "
             "known; of one channel: for all"},
    {NULL, "box", TW_CONFIG_INTS, offsetof(inpaint_config, box), "none", 0, 1e6,
     .help = "unknown: top, left, height, width"},
    {NULL, "half", TW_CONFIG_CHOICE, offsetof(inpaint_config, half), "none",
     .choices = "left|right|top|bottom|none", .help = "the half that is known"},
    {NULL, "coordinates", TW_CONFIG_INTS, offsetof(inpaint_config, coordinates), "none", 0, 8191,
     .help = "channels, or coordinates of points, that are known"},
};

static tw_status use_mask(tw_operator *a, const char *path)
{
    tw_status st = TW_OK;
    tw_dataset *data = NULL;
    float *row = NULL;
    const tw_dataset_options options = {.path = path, .split = "all"};
    TW_TRY(tw_dataset_open(&data, NULL, &options));
    const tw_dataset_spec *s = tw_dataset_get_spec(data);
    TW_CHECK(
        s->count >= 1 && s->height == a->in.height && s->width == a->in.width &&
            (s->channels == a->in.channels || s->channels == 1),
        TW_EDATA,
        "task.mask: %s holds %lld samples of %lld x %lld x %lld; one of %lld x %lld x %lld was "
        "expected, or of one channel",
        path, (long long)s->count, (long long)s->height, (long long)s->width,
        (long long)s->channels, (long long)a->in.height, (long long)a->in.width,
        (long long)a->in.channels);
    const int64_t repeat = a->in.channels / s->channels;
    TW_TRY(tw_alloc(&row, tw_dataset_elements(s), sizeof *row, "a mask"));
    TW_TRY(tw_dataset_read(data, 0, 1, row, NULL));
    for (int64_t i = 0; i < a->dims; i++) a->singular[i] = row[i / repeat] > 0;
    TW_TRY(
        operator_add_digest(a, "mask_digest", row, (size_t)tw_dataset_elements(s) * sizeof *row));
done:
    tw_free(&row);
    tw_dataset_destroy(&data);
    return st;
}

static tw_status use_box(tw_operator *a, const tw_config_ints *box)
{
    tw_status st = TW_OK;
    const int64_t *v = box->values;
    TW_CHECK(box->count == 4 && v[2] >= 1 && v[3] >= 1 && v[0] + v[2] <= a->in.height &&
                 v[1] + v[3] <= a->in.width,
             TW_ECONFIG,
             "task.box: top, left, height, width inside of samples of %lld x %lld were expected",
             (long long)a->in.height, (long long)a->in.width);
    for (int64_t i = 0; i < a->dims; i++) {
        const int64_t pixel = i / a->in.channels, y = pixel / a->in.width, x = pixel % a->in.width;
        a->singular[i] = y < v[0] || y >= v[0] + v[2] || x < v[1] || x >= v[1] + v[3];
    }
done:
    return st;
}

static void use_half(tw_operator *a, int half)
{
    const int64_t h = a->in.height, w = a->in.width;
    for (int64_t i = 0; i < a->dims; i++) {
        const int64_t pixel = i / a->in.channels, y = pixel / w, x = pixel % w;
        a->singular[i] = half == LEFT    ? x < w / 2
                         : half == RIGHT ? x >= w / 2
                         : half == TOP   ? y < h / 2
                                         : y >= h / 2;
    }
}

static tw_status use_coordinates(tw_operator *a, const tw_config_ints *list)
{
    tw_status st = TW_OK;
    for (int64_t k = 0; k < list->count; k++) {
        TW_CHECK(list->values[k] < a->in.channels, TW_ECONFIG,
                 "task.coordinates: %lld; samples have 0 to %lld", (long long)list->values[k],
                 (long long)a->in.channels - 1);
        for (int64_t i = list->values[k]; i < a->dims; i += a->in.channels) a->singular[i] = 1;
    }
done:
    return st;
}

static tw_status setup(tw_operator *a)
{
    tw_status st = TW_OK;
    const inpaint_config *c = a->config;
    const bool mask = c->mask && *c->mask;
    double known = 0;
    TW_CHECK(mask + (c->box.count > 0) + (c->half != NONE) + (c->coordinates.count > 0) == 1,
             TW_ECONFIG,
             "task: what is known of a sample? one of task.mask, task.box, task.half and "
             "task.coordinates");
    TW_CHECK(c->half == NONE || !a->in.points, TW_ECONFIG,
             "task.half: points have none; task.coordinates names what is known");
    TW_TRY(operator_alloc_singular(a));
    if (mask) TW_TRY(use_mask(a, c->mask));
    if (c->box.count > 0) TW_TRY(use_box(a, &c->box));
    if (c->half != NONE) use_half(a, c->half);
    if (c->coordinates.count > 0) TW_TRY(use_coordinates(a, &c->coordinates));
    for (int64_t i = 0; i < a->dims; i++) known += a->singular[i];
    TW_CHECK(known > 0, TW_ECONFIG, "task: nothing of a sample is known");
    /* a->singular may be scaled to units later: the mask itself is kept */
    TW_TRY(tw_alloc(&a->own, a->dims, sizeof(double), "a mask"));
    memcpy(a->own, a->singular, (size_t)a->dims * sizeof(double));
    a->measured = a->own;
done:
    return st;
}

static void forward(const tw_operator *a, const double *x, double *y)
{
    const double *mask = a->own;
    for (int64_t i = 0; i < a->dims; i++) y[i] = mask[i] > 0 ? x[i] : 0;
}

static void copy(const tw_operator *a, const double *x, double *y)
{
    memcpy(y, x, (size_t)a->dims * sizeof *y);
}

const tw_operator_kind tw_operator_inpaint = {
    .kind = {"inpaint", "some of a sample's numbers", fields, sizeof fields / sizeof *fields,
             sizeof(inpaint_config)},
    .setup = setup,
    .forward = forward,
    .adjoint = forward,
    .to_basis = copy,
    .from_basis = copy,
    .channelwise = true,
};
