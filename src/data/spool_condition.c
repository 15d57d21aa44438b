/* Conditions are read by the importer of the samples, into a spool of their own: parts of equal
 * length are stored in the same order. */
#include "data/spool_condition.h"

#include <string.h>

#include "data/coarse.h"
#include "data/format.h"
#include "tweedie/memory.h"

bool tw_spool_condition_is_there(const tw_spool_condition *c)
{
    return c->spool || c->coarse > 0;
}

void tw_spool_condition_free(tw_spool_condition *c)
{
    tw_spool_destroy(&c->spool);
    tw_free(&c->units);
    *c = (tw_spool_condition){0};
}

static tw_status make_coarse(tw_spool_condition *c, int64_t k, const tw_dataset_spec *samples)
{
    tw_status st = TW_OK;
    TW_CHECK(samples->kind != TW_DATASET_POINTS, TW_EUSAGE,
             "--condition-coarse: averages over pixels; these samples are points");
    TW_CHECK(samples->height % k == 0 && samples->width % k == 0, TW_EUSAGE,
             "--condition-coarse %lld: images of %lld x %lld are not made of such blocks; a "
             "divisor of both sides was expected",
             (long long)k, (long long)samples->height, (long long)samples->width);
    c->coarse = k;
    c->spec =
        tw_dataset_condition_spec(samples, samples->kind == TW_DATASET_UINT8, samples->channels);
    c->spec.offset = samples->offset; /* what they are averages of */
    c->spec.scale = samples->scale;
    c->spec.channel_text = samples->channel_text;
done:
    return st;
}

/* Condition i is that of sample i: so many in each part, and images are called the same. */
static tw_status check_parts(const tw_spool_condition *c, const tw_import_options *o,
                             const tw_spool *samples)
{
    tw_status st = TW_OK;
    const int parts = tw_spool_parts(samples);
    TW_CHECK(tw_spool_parts(c->spool) == parts, TW_EDATA,
             "--condition %s: has %d splits, the samples of %s have %d", o->conditions[0],
             tw_spool_parts(c->spool), o->inputs[0], parts);
    for (int i = 0; i < parts; i++) {
        const char *name = tw_spool_part_name(samples, i), *own = tw_spool_part_name(c->spool, i);
        TW_CHECK(!name || !own || strcmp(name, own) == 0, TW_EDATA,
                 "--condition %s: its split \"%s\" is where %s has \"%s\"", o->conditions[0], own,
                 o->inputs[0], name);
        TW_CHECK(tw_spool_part_count(c->spool, i) == tw_spool_part_count(samples, i), TW_EDATA,
                 "--condition %s: holds %lld%s%s for the %lld samples of %s; one for each, in the "
                 "same order, was expected",
                 o->conditions[0], (long long)tw_spool_part_count(c->spool, i),
                 name ? " in split " : "", name ? name : "",
                 (long long)tw_spool_part_count(samples, i), o->inputs[0]);
        TW_CHECK(strcmp(o->format, "images") != 0 ||
                     tw_spool_part_names(c->spool, i) == tw_spool_part_names(samples, i),
                 TW_EDATA,
                 "--condition %s: its images are not called as those of %s; equal names, but for "
                 "the suffix, were expected",
                 o->conditions[0], o->inputs[0]);
    }
done:
    return st;
}

static tw_status check_shape(const tw_dataset_spec *from, const tw_import_options *o,
                             const tw_dataset_spec *samples)
{
    tw_status st = TW_OK;
    TW_CHECK((from->kind == TW_DATASET_POINTS) == (samples->kind == TW_DATASET_POINTS), TW_EDATA,
             "--condition %s: holds %s, and the samples are %s", o->conditions[0],
             tw_dataset_kind_name(from->kind), tw_dataset_kind_name(samples->kind));
    TW_CHECK(tw_coarse_divides(from, samples), TW_EDATA,
             "--condition %s: is of %lld x %lld; the sides of the samples, %lld x %lld, or "
             "divisors of them were expected",
             o->conditions[0], (long long)from->height, (long long)from->width,
             (long long)samples->height, (long long)samples->width);
done:
    return st;
}

static tw_status read_inputs(tw_spool_condition *c, const tw_import_options *o, const char *path,
                             const tw_spool *samples, const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    tw_import_options own = *o;
    own.inputs = o->conditions;
    own.input_count = o->condition_count;
    own.stack = o->condition_count > 1;
    if (o->condition_layout) own.layout = o->condition_layout;
    own.labels = NULL;
    TW_TRY(tw_spool_create(&c->spool, path, o->split));
    st = tw_import_fill(&own, c->spool);
    if (st != TW_OK) tw_error_prefix("--condition: ");
    TW_TRY(st);
    tw_spool_put_first(c->spool, "train");
    const tw_dataset_spec *from = tw_spool_get_spec(c->spool);
    TW_TRY(check_shape(from, o, spec));
    TW_TRY(check_parts(c, o, samples));
    c->spec = tw_dataset_condition_spec(spec, from->kind == TW_DATASET_UINT8, from->channels);
    c->spec.channel_text = tw_spool_channels(c->spool);
    if (c->spec.kind == TW_DATASET_UINT8) goto done;
    TW_TRY(tw_alloc(&c->units, 2 * from->channels, sizeof *c->units, "channel offsets and scales"));
    c->spec.offset = c->units;
    c->spec.scale = c->units + from->channels;
    tw_import_choose_units(o, c->spool, c->units, c->units + from->channels);
done:
    return st;
}

tw_status tw_spool_condition_read(tw_spool_condition *out, const tw_import_options *o,
                                  const char *path, const tw_spool *samples,
                                  const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    TW_CHECK(o->condition_count == 0 || o->condition_coarse == 0, TW_EUSAGE,
             "--condition and --condition-coarse exclude each other");
    TW_CHECK(o->condition_count == 0 || o->input_count > 0, TW_EUSAGE,
             "--condition: is for samples that are read; --format %s makes its own", o->format);
    if (o->condition_coarse > 0) TW_TRY(make_coarse(out, o->condition_coarse, spec));
    if (o->condition_count > 0) TW_TRY(read_inputs(out, o, path, samples, spec));
done:
    return st;
}

/* ---- writing ---- */

typedef struct writing {
    const tw_spool_condition *c;
    const tw_dataset_spec *from; /* of what the spool gives */
    tw_dataset_writer *writer;
    void *row; /* as the file stores it */
} writing;

static tw_status take(void *self, const void *stored, int32_t label)
{
    const writing *w = self;
    (void)label;
    if (w->c->coarse > 0)
        tw_coarse_average(w->from, w->c->coarse, stored, w->row);
    else
        tw_coarse_repeat(w->from, &w->c->spec, stored, w->row);
    return tw_dataset_writer_append_condition(w->writer, 1, w->row);
}

tw_status tw_spool_condition_write(const tw_spool_condition *c, const tw_import_options *o,
                                   tw_spool *samples, int part, tw_dataset_writer *writer)
{
    tw_status st = TW_OK;
    tw_spool *spool = c->spool ? c->spool : samples;
    writing w = {.c = c, .from = tw_spool_get_spec(spool), .writer = writer};
    if (!tw_spool_condition_is_there(c)) return TW_OK;
    TW_TRY(tw_alloc(&w.row, 1, tw_dataset_sample_bytes(&c->spec), "a condition"));
    TW_TRY(tw_spool_each(spool, part, o->keep_order, o->seed, take, &w));
done:
    tw_free(&w.row);
    return st;
}
