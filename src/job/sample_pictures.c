/* Pictures of a sample set, from the joined file where there is one, else from its parts. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "job/grid.h"
#include "job/sample_job_internal.h"
#include "tweedie/gallery.h"
#include "tweedie/memory.h"
#include "tweedie/output.h"
#include "tweedie/png.h"

enum { POINTS_MAX = 1 << 20, IMAGES_AT_ONCE = 64, CLASSES_MOST = 32 };

static tw_status read_samples(const sample_job *d, int64_t first, int64_t count, float *x)
{
    tw_status st = TW_OK;
    tw_dataset *file = NULL;
    const tw_dataset_options options = {.path = d->options->out, .split = "all"};
    if (!d->options->join) return sample_parts_read(&d->parts, first, count, x);
    TW_TRY(tw_dataset_open(&file, NULL, &options));
    TW_TRY(tw_dataset_read(file, first - d->options->first, count, x, NULL));
done:
    tw_dataset_destroy(&file);
    return st;
}

static tw_output_mode mode_of(const sample_job *d)
{
    return d->options->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_SAME;
}

/* One for each class, so that classes in turn have columns of their own; 0: as it looks best. */
static int64_t columns_of(const tw_dataset_spec *s)
{
    return s->num_classes >= 2 && s->num_classes <= CLASSES_MOST ? s->num_classes : 0;
}

static tw_status write_grid(const sample_job *d, int64_t count, const float *x)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    tw_output out = {.part = ""};
    TW_TRY(tw_output_begin(&out, o->grid, mode_of(d)));
    st = tw_grid_write(out.part, &d->parts.spec, count, x, columns_of(&d->parts.spec));
    if (st != TW_OK) tw_error_prefix("%s: ", o->grid);
    TW_TRY(st);
    TW_TRY(tw_output_publish(&out));
done:
    tw_output_discard(&out);
    return st;
}

/* "digits, sampled from ema:0.999 after 1200 steps; kind=heun steps=18 …": what the parts say of
 * themselves, without digests. */
static tw_status caption_of(tw_text *out, const sample_job *d)
{
    tw_status st = TW_OK;
    const sample_parts *p = &d->parts;
    const char *path = d->options->weights ? d->options->weights : "", *slash = strrchr(path, '/');
    const char *sampler =
        strncmp(p->sampling, "weights=", 8) == 0 ? strchr(p->sampling, ' ') : NULL;
    const char *end = sampler ? strstr(sampler, " precision=") : NULL;
    if (slash && slash[1]) path = slash + 1;
    TW_TRY(tw_text_add(out, "%s%s%s", path, path[0] ? ", " : "", p->source));
    if (sampler)
        TW_TRY(
            tw_text_add(out, ";%.*s", end ? (int)(end - sampler) : (int)strlen(sampler), sampler));
done:
    return st;
}

/* As many of a dataset as there are samples, but a third of them: a strip.
 * @param[out] out  tw_free */
static tw_status read_reference(float **out, int64_t *count, const sample_job *d, int64_t samples)
{
    tw_status st = TW_OK;
    tw_dataset *file = NULL;
    float *x = NULL;
    const char *path = d->options->grid_reference;
    const tw_dataset_options options = {.path = path};
    TW_TRY(tw_dataset_open(&file, NULL, &options));
    const tw_dataset_spec *s = tw_dataset_get_spec(file), *mine = &d->parts.spec;
    TW_CHECK(s->kind == mine->kind && s->height == mine->height && s->width == mine->width &&
                 s->channels == mine->channels,
             TW_EUSAGE,
             "--reference %s: holds %s of %lld x %lld x %lld; those of the samples, %s of %lld x "
             "%lld x %lld, were expected",
             path, tw_dataset_kind_name(s->kind), (long long)s->height, (long long)s->width,
             (long long)s->channels, tw_dataset_kind_name(mine->kind), (long long)mine->height,
             (long long)mine->width, (long long)mine->channels);
    const int64_t wanted = (samples + 2) / 3,
                  n = tw_dataset_count(file) < wanted ? tw_dataset_count(file) : wanted;
    TW_TRY(tw_alloc(&x, n * tw_dataset_elements(s), sizeof *x, "samples of a picture"));
    TW_TRY(tw_dataset_read(file, 0, n, x, NULL));
    *out = x;
    *count = n;
    x = NULL;
done:
    tw_free(&x);
    tw_dataset_destroy(&file);
    return st;
}

static bool is_dressed(const tw_sample_job_options *o)
{
    return o->grid_zoom > 1 || o->grid_caption || (o->grid_reference && *o->grid_reference);
}

static tw_status write_gallery(const sample_job *d, int64_t count, const float *x)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    tw_gallery g = {
        .spec = &d->parts.spec, .count = count, .x = x, .columns = columns_of(&d->parts.spec)};
    tw_text caption = {0};
    float *real = NULL;
    g.zoom = o->grid_zoom > 0 ? o->grid_zoom : 1;
    if (o->grid_reference && *o->grid_reference)
        TW_TRY(read_reference(&real, &g.real_count, d, count));
    if (o->grid_caption) TW_TRY(caption_of(&caption, d));
    g.caption = caption.data;
    g.real = real;
    TW_TRY(tw_gallery_write(o->grid, mode_of(d), &g));
done:
    tw_text_free(&caption);
    tw_free(&real);
    return st;
}

static tw_status make_grid(const sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    float *x = NULL;
    const int64_t most = d->parts.spec.kind == TW_DATASET_POINTS ? POINTS_MAX : o->grid_count;
    const int64_t count = o->count < most ? o->count : most;
    TW_TRY(tw_alloc(&x, count * tw_dataset_elements(&d->parts.spec), sizeof *x,
                    "samples of a picture"));
    TW_TRY(read_samples(d, o->first, count, x));
    TW_TRY((is_dressed(o) ? write_gallery : write_grid)(d, count, x));
done:
    tw_free(&x);
    return st;
}

static tw_status write_images(const sample_job *d, int64_t first, int64_t count, float *x,
                              uint8_t *pixels)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *s = &d->parts.spec;
    char path[TW_PATH_MAX];
    TW_TRY(read_samples(d, first, count, x));
    tw_dataset_pixels(s, count, x, pixels);
    for (int64_t i = 0; i < count; i++) {
        TW_TRY(tw_format(path, sizeof path, "%s/%06lld.png", d->options->images,
                         (long long)(first + i)));
        TW_TRY((d->options->replace ? tw_png_write : tw_png_write_same)(
            path, pixels + i * tw_dataset_elements(s), s->height, s->width, s->channels));
    }
done:
    return st;
}

/* This rank's share: every ranks-th stretch. */
static tw_status share_images(const sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    const int64_t numbers = IMAGES_AT_ONCE * tw_dataset_elements(&d->parts.spec),
                  end = o->first + o->count;
    float *x = NULL;
    uint8_t *pixels = NULL;
    TW_TRY(tw_alloc(&x, numbers, sizeof *x, "samples of pictures"));
    TW_TRY(tw_alloc(&pixels, numbers, sizeof *pixels, "pictures"));
    for (int64_t at = o->first + d->rank * IMAGES_AT_ONCE; at < end;
         at += (int64_t)d->ranks * IMAGES_AT_ONCE)
        TW_TRY(
            write_images(d, at, end - at < IMAGES_AT_ONCE ? end - at : IMAGES_AT_ONCE, x, pixels));
done:
    tw_free(&x);
    tw_free(&pixels);
    return st;
}

/* "000017.png" of the samples first … first + count − 1. */
static bool is_wanted(const char *name, const tw_sample_job_options *o)
{
    char text[32];
    int64_t index;
    const size_t n = strspn(name, "0123456789");
    if (n < 6 || n > 18 || strcmp(name + n, ".png") != 0) return false;
    snprintf(text, sizeof text, "%.*s", (int)n, name);
    return sscanf(text, "%" SCNd64, &index) == 1 && index >= o->first &&
           index < o->first + o->count;
}

tw_status sample_pictures_are_new(const sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    DIR *folder = NULL;
    if (o->replace) goto done;
    TW_CHECK(!o->grid || !*o->grid || access(o->grid, F_OK) != 0, TW_EUSAGE,
             "%s: exists already; --force replaces it", o->grid);
    folder = o->images && *o->images ? opendir(o->images) : NULL;
    for (const struct dirent *e; folder && (e = readdir(folder)) != NULL;)
        TW_CHECK(!is_wanted(e->d_name, o), TW_EUSAGE, "%s/%s: exists already; --force replaces it",
                 o->images, e->d_name);
done:
    if (folder) closedir(folder);
    return st;
}

static void add_note(tw_png_note *notes, int *count, const char *key, const char *text)
{
    snprintf(notes[*count].key, sizeof notes->key, "%s", key);
    snprintf(notes[*count].text, sizeof notes->text, "%s", text);
    ++*count;
}

/* Where the samples come from: of those that were sampled elsewhere what their parts say. */
static void set_notes(const sample_job *d)
{
    tw_png_note notes[TW_PNG_NOTES];
    char number[32];
    int count = 0;
    if (d->restored) {
        add_note(notes, &count, "Run", d->options->weights);
        snprintf(number, sizeof number, "%lld", (long long)d->restored->meta.step);
        add_note(notes, &count, "Step", number);
        add_note(notes, &count, "Weights", d->restored->meta.weights);
        snprintf(number, sizeof number, "%lld", (long long)d->run.sample.seed);
        add_note(notes, &count, "Seed", number);
    } else {
        add_note(notes, &count, "Source", d->parts.source);
    }
    add_note(notes, &count, "Sampler", d->parts.sampling);
    tw_png_set_notes(notes, count);
}

tw_status sample_pictures(sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    set_notes(d);
    if (o->grid && *o->grid) TW_TRY(sample_agree(d, d->rank == 0 ? make_grid(d) : TW_OK));
    if (o->images && *o->images) TW_TRY(sample_agree(d, share_images(d)));
done:
    return st;
}
