/* Loading batches: from memory, or from a file that is read ahead block by block.
 *
 * Both ways ask order.h which sample a (position, step) loads, so they cannot differ in what they
 * load; they differ in where the sample is found. Streaming keeps two blocks for each position: the
 * one in use, and the one that follows it, which the input thread reads meanwhile. A block is used
 * for as many steps as it has samples, so reading has that long. */
#include <stdio.h>
#include <string.h>

#include "data/dataset.h"
#include "data/order.h"
#include "tweedie/memory.h"

enum { DEFAULT_MEMORY = 1 << 30 };

/* A block of a shard in memory, or on its way there. */
typedef struct slot {
    tw_loader *loader;
    tw_io_job job;
    int64_t block;        /* of the shard; −1: none */
    int64_t first, count; /* samples of the split */
    char *stored;
    int32_t *labels;
    char *conditions;     /* as stored; NULL where none are loaded */
    float *log_variances; /* the same */
} slot;

/* What is remembered of one position between steps. Everything can be found again from the step
 * alone. */
typedef struct position {
    tw_epoch epoch;             /* epoch.epoch −1: none yet */
    int64_t shuffled;           /* epoch * blocks + block that `shuffle` is of; −1: none */
    tw_rng_permutation shuffle; /* inside the block */
    slot slots[2];              /* streaming */
    int current;                /* the slot used last */
} position;

struct tw_loader {
    tw_dataset *dataset;
    const tw_dataset_spec *spec, *condition; /* condition: NULL where none are loaded */
    const tw_dataset_spec *units;            /* what samples are brought to */
    tw_order order;
    bool flip, resident, sampled; /* sampled: latents, of mean and log variance */
    const tw_augment *augment;    /* NULL: images are left alone */
    const void *augment_config;
    float *work;          /* an image */
    int64_t first, count; /* positions of this rank */
    size_t sample_bytes, condition_bytes, bytes;
    int64_t resident_samples;
    position *positions;
    int64_t base;         /* first sample of this rank */
    char *stored;         /* resident: this rank's samples; streaming: all slots */
    int32_t *labels;      /* the same */
    char *conditions;     /* the same, or NULL */
    float *log_variances; /* the same */
};

/* A sample in memory, as stored. */
typedef struct loaded {
    const char *stored, *condition;
    const float *log_variance;
    int32_t label;
} loaded;

static tw_status divisors(char *out, size_t size, int64_t batch)
{
    tw_status st = TW_OK;
    size_t used = 0;
    out[0] = '\0';
    for (int64_t r = 1; r <= batch && used + 24 < size; r++) {
        if (batch % r) continue;
        TW_TRY(tw_format(out + used, size - used, "%s%lld", used ? ", " : "", (long long)r));
        used = strlen(out);
    }
done:
    return st;
}

static tw_status check_batch(const tw_dataset *d, int64_t batch, int ranks)
{
    tw_status st = TW_OK;
    char list[512];
    TW_CHECK(batch > 0, TW_ECONFIG, "a batch of %lld; at least 1 was expected", (long long)batch);
    TW_CHECK(batch <= tw_dataset_count(d), TW_ECONFIG,
             "%s: split \"%s\" has %lld samples, fewer than the batch of %lld", d->path,
             d->split.name, (long long)tw_dataset_count(d), (long long)batch);
    if (batch % ranks) {
        TW_TRY(divisors(list, sizeof list, batch));
        TW_FAIL(TW_ECONFIG,
                "a batch of %lld cannot be divided among %d ranks; these numbers of ranks divide "
                "it: %s",
                (long long)batch, ranks, list);
    }
done:
    return st;
}

static tw_status make_resident(tw_loader *l, int64_t samples)
{
    tw_status st = TW_OK;
    const size_t n = (size_t)samples;
    TW_TRY(tw_alloc_arena(&l->stored, n * l->sample_bytes, "this rank's samples"));
    TW_TRY(tw_alloc_arena(&l->labels, n * sizeof *l->labels, "this rank's labels"));
    if (l->condition)
        TW_TRY(tw_alloc_arena(&l->conditions, n * l->condition_bytes, "this rank's conditions"));
    if (l->sampled)
        TW_TRY(tw_alloc_arena(&l->log_variances, n * l->sample_bytes, "this rank's log variances"));
    l->resident_samples = samples;
done:
    return st;
}

static tw_status read_resident(tw_loader *l)
{
    tw_status st = TW_OK;
    const int64_t n = l->resident_samples;
    if (!l->resident) return TW_OK;
    TW_TRY(tw_dataset_read_stored(l->dataset, l->base, n, l->stored, l->labels));
    if (l->condition)
        TW_TRY(tw_dataset_read_condition_stored(l->dataset, l->base, n, l->conditions));
    if (l->sampled) TW_TRY(tw_dataset_read_log_variance(l->dataset, l->base, n, l->log_variances));
done:
    return st;
}

static tw_status make_slots(tw_loader *l, int64_t slot_samples)
{
    tw_status st = TW_OK;
    const int64_t all = 2 * l->count * slot_samples;
    TW_TRY(tw_alloc_arena(&l->stored, (size_t)all * l->sample_bytes, "blocks of samples"));
    TW_TRY(tw_alloc(&l->labels, all, sizeof *l->labels, "blocks of labels"));
    if (l->condition)
        TW_TRY(tw_alloc_arena(&l->conditions, (size_t)all * l->condition_bytes,
                              "blocks of conditions"));
    if (l->sampled)
        TW_TRY(tw_alloc_arena(&l->log_variances, (size_t)all * l->sample_bytes,
                              "blocks of log variances"));
    for (int64_t i = 0; i < 2 * l->count; i++) {
        slot *s = &l->positions[i / 2].slots[i % 2];
        s->loader = l;
        s->block = -1;
        s->stored = l->stored + (size_t)(i * slot_samples) * l->sample_bytes;
        s->labels = l->labels + i * slot_samples;
        if (l->condition)
            s->conditions = l->conditions + (size_t)(i * slot_samples) * l->condition_bytes;
        if (l->sampled)
            s->log_variances = l->log_variances + i * slot_samples * tw_dataset_elements(l->spec);
    }
done:
    return st;
}

/* Whether this rank's samples stay in memory, and the bytes that they or the slots take. */
static void choose_mode(tw_loader *l, const tw_loader_options *options, int64_t samples,
                        int64_t slot_samples)
{
    const size_t memory = options->memory > 0 ? (size_t)options->memory : DEFAULT_MEMORY,
                 row = l->sample_bytes * (l->sampled ? 2 : 1) + l->condition_bytes;
    const size_t streaming = (size_t)(2 * l->count * slot_samples) * row;
    l->bytes = (size_t)samples * row;
    l->resident =
        options->mode == TW_LOADER_RESIDENT ||
        (options->mode == TW_LOADER_AUTO && (l->bytes <= memory || l->bytes <= streaming));
    if (!l->resident) l->bytes = streaming;
}

static tw_status take_augment(tw_loader *l, const tw_loader_options *options)
{
    tw_status st = TW_OK;
    if (!options->augment || !options->augment->labels) return TW_OK;
    TW_CHECK(l->spec->kind != TW_DATASET_POINTS, TW_ECONFIG,
             "data.augment: %s transforms images; %s holds points", options->augment->kind.name,
             l->dataset->path);
    TW_CHECK(!l->condition, TW_ECONFIG,
             "data.augment: %s transforms images, and their conditions are not transformed with "
             "them; none was expected with data.condition",
             options->augment->kind.name);
    l->augment = options->augment;
    l->augment_config = options->augment_config;
    TW_TRY(tw_alloc(&l->work, tw_dataset_elements(l->spec), sizeof *l->work, "an image"));
done:
    return st;
}

static tw_status create(tw_loader **out, tw_dataset *d, const tw_loader_options *options)
{
    tw_status st = TW_OK;
    tw_loader *l = NULL;
    const int ranks = d->comm ? tw_comm_size(d->comm) : 1,
              rank = d->comm ? tw_comm_rank(d->comm) : 0;
    TW_TRY(check_batch(d, options->batch, ranks));
    TW_TRY(tw_alloc(&l, 1, sizeof *l, "a loader"));
    l->dataset = d;
    l->spec = tw_dataset_get_spec(d);
    TW_CHECK(!options->condition || l->spec->condition, TW_EDATA, "%s: has no /condition", d->path);
    l->condition = options->condition ? l->spec->condition : NULL;
    TW_CHECK(!options->sample_latents || l->spec->log_variance, TW_EDATA,
             "%s: has no /log_variance", d->path);
    l->sampled = options->sample_latents;
    l->units = options->units ? options->units : l->spec;
    l->order = (tw_order){tw_dataset_count(d), options->batch,
                          tw_block_samples(options->order_of ? options->order_of : l->spec),
                          options->seed};
    l->flip = options->flip && l->spec->width > 1;
    TW_TRY(take_augment(l, options));
    l->sample_bytes = tw_dataset_sample_bytes(l->spec);
    l->condition_bytes = l->condition ? tw_dataset_sample_bytes(l->condition) : 0;
    l->count = options->batch / ranks;
    l->first = l->count * rank;
    l->base = tw_order_shard(&l->order, l->first);
    TW_TRY(tw_alloc(&l->positions, l->count, sizeof *l->positions, "a rank's positions"));
    for (int64_t i = 0; i < l->count; i++)
        l->positions[i].epoch.epoch = l->positions[i].shuffled = -1;

    const int64_t samples = tw_order_shard(&l->order, l->first + l->count) - l->base;
    const int64_t shard = l->order.samples / options->batch + 1; /* samples of the largest */
    const int64_t slot_samples = shard < l->order.block ? shard : l->order.block;
    choose_mode(l, options, samples, slot_samples);
    TW_TRY(l->resident ? make_resident(l, samples) : make_slots(l, slot_samples));
    if (!options->later) TW_TRY(read_resident(l));
    *out = l;
    l = NULL;
done:
    tw_loader_destroy(&l);
    return st;
}

tw_status tw_loader_create(tw_loader **out, tw_dataset *dataset, const tw_loader_options *options)
{
    tw_loader *l = NULL;
    tw_status st = create(&l, dataset, options);
    if (dataset->comm && tw_comm_size(dataset->comm) > 1) st = tw_comm_agree(dataset->comm, st);
    if (st == TW_OK)
        *out = l;
    else
        tw_loader_destroy(&l);
    return st;
}

tw_status tw_loader_read(tw_loader *l)
{
    const tw_comm *comm = l->dataset->comm;
    const tw_status st = read_resident(l);
    return comm && tw_comm_size(comm) > 1 ? tw_comm_agree(comm, st) : st;
}

void tw_loader_destroy(tw_loader **loader)
{
    tw_loader *l = *loader;
    if (!l) return;
    for (int64_t i = 0; l->dataset->io && !l->resident && l->labels && i < 2 * l->count; i++)
        (void)tw_io_wait(l->dataset->io, &l->positions[i / 2].slots[i % 2].job);
    tw_free(&l->labels);
    tw_free(&l->stored);
    tw_free(&l->conditions);
    tw_free(&l->log_variances);
    tw_free(&l->positions);
    tw_free(&l->work);
    tw_free(loader);
}

int64_t tw_loader_positions(const tw_loader *l)
{
    return l->count;
}

int64_t tw_loader_first_position(const tw_loader *l)
{
    return l->first;
}

bool tw_loader_is_resident(const tw_loader *l)
{
    return l->resident;
}

size_t tw_loader_bytes(const tw_loader *l)
{
    return l->bytes;
}

int64_t tw_loader_sample_index(const tw_loader *l, int64_t step, int64_t shard)
{
    tw_epoch epoch;
    tw_rng_permutation shuffle;
    const int64_t first = tw_order_shard(&l->order, shard),
                  size = tw_order_shard(&l->order, shard + 1) - first;
    tw_epoch_init(&epoch, &l->order, shard, step / size);
    tw_place p = tw_epoch_place(&epoch, &l->order, step % size);
    tw_epoch_shuffle(&shuffle, &epoch, &l->order, p.block);
    return first + tw_epoch_block_first(&epoch, &l->order, p.block) +
           tw_rng_permute(&shuffle, p.within);
}

static tw_status read_slot(void *self)
{
    tw_status st = TW_OK;
    slot *s = self;
    tw_dataset *d = s->loader->dataset;
    TW_TRY(tw_dataset_read_here(d, s->first, s->count, s->stored, s->labels));
    if (s->conditions) TW_TRY(tw_dataset_read_condition_here(d, s->first, s->count, s->conditions));
    if (s->log_variances)
        TW_TRY(tw_dataset_read_log_variance_here(d, s->first, s->count, s->log_variances));
done:
    return st;
}

/* Says which block a slot is to hold. */
static void aim(slot *s, const tw_epoch *epoch, int64_t block)
{
    const tw_order *order = &s->loader->order;
    s->block = block;
    s->first = tw_order_shard(order, epoch->shard) + tw_epoch_block_first(epoch, order, block);
    s->count = tw_epoch_block_size(epoch, order, block);
    s->job.run = read_slot;
    s->job.self = s;
}

/* The block that follows place `place` of an epoch, perhaps in the next one. */
static int64_t following(const tw_loader *l, const tw_epoch *epoch, int64_t place)
{
    tw_epoch next;
    if (place + 1 < epoch->blocks) return tw_rng_permute(&epoch->places, place + 1);
    tw_epoch_init(&next, &l->order, epoch->shard, epoch->epoch + 1);
    return tw_rng_permute(&next.places, 0);
}

/* Makes the other slot of a position hold its block, and lets the block after it be read ahead into
 * the slot that is left. */
static tw_status change_slot(const tw_loader *l, position *p, const tw_place *place)
{
    tw_status st = TW_OK;
    tw_io *io = l->dataset->io;
    slot *left = &p->slots[p->current], *s = &p->slots[!p->current];
    p->current = !p->current;
    if (io) st = tw_io_wait(io, &s->job);
    if (st != TW_OK ||
        s->block !=
            place->block) { /* a failure may have been that of a block which nobody wants now */
        aim(s, &p->epoch, place->block);
        st = tw_io_call(io, read_slot, s);
        if (st != TW_OK) s->block = -1;
        TW_TRY(st);
    }
    const int64_t next = following(l, &p->epoch, place->place);
    if (io && next != place->block && next != left->block) {
        aim(left, &p->epoch, next);
        tw_io_submit(io, &left->job);
    }
done:
    return st;
}

/* The sample that a position loads at a step. */
static tw_status load(const tw_loader *l, int64_t own, int64_t step, loaded *out)
{
    tw_status st = TW_OK;
    position *p = &l->positions[own];
    const int64_t shard = l->first + own, first = tw_order_shard(&l->order, shard),
                  size = tw_order_shard(&l->order, shard + 1) - first;
    if (p->epoch.epoch != step / size) tw_epoch_init(&p->epoch, &l->order, shard, step / size);
    const tw_place place = tw_epoch_place(&p->epoch, &l->order, step % size);
    const int64_t which = p->epoch.epoch * p->epoch.blocks + place.block;
    if (p->shuffled != which) {
        tw_epoch_shuffle(&p->shuffle, &p->epoch, &l->order, place.block);
        p->shuffled = which;
    }
    int64_t i = tw_rng_permute(&p->shuffle, place.within);
    const int64_t dims = tw_dataset_elements(l->spec);
    if (l->resident) {
        i += first - l->base + tw_epoch_block_first(&p->epoch, &l->order, place.block);
        out->stored = l->stored + (size_t)i * l->sample_bytes;
        out->label = l->labels[i];
        if (l->condition) out->condition = l->conditions + (size_t)i * l->condition_bytes;
        if (l->sampled) out->log_variance = l->log_variances + i * dims;
    } else {
        if (p->slots[p->current].block != place.block) TW_TRY(change_slot(l, p, &place));
        const slot *s = &p->slots[p->current];
        out->stored = s->stored + (size_t)i * l->sample_bytes;
        out->label = s->labels[i];
        if (l->condition) out->condition = s->conditions + (size_t)i * l->condition_bytes;
        if (l->sampled) out->log_variance = s->log_variances + i * dims;
    }
done:
    return st;
}

static bool is_flipped(const tw_loader *l, int64_t shard, int64_t step)
{
    const tw_rng_stream stream = {
        .seed = l->order.seed, .purpose = TW_RNG_FLIP, .position = shard, .step = step};
    uint32_t bits;
    tw_rng_u32(&bits, &stream, 0, 1);
    return bits >> 31;
}

/* Mirrors an image [H][W][C] left to right. */
static void mirror(float *x, const tw_dataset_spec *spec)
{
    const int64_t channels = spec->channels;
    for (int64_t row = 0; row < spec->height; row++, x += spec->width * channels)
        for (int64_t a = 0, b = spec->width - 1; a < b; a++, b--)
            for (int64_t c = 0; c < channels; c++) {
                float kept = x[a * channels + c];
                x[a * channels + c] = x[b * channels + c];
                x[b * channels + c] = kept;
            }
}

/* Own position `own` at a step, to its augmentation. */
static void augment(const tw_loader *l, int64_t own, int64_t step, float *x, float *labels)
{
    const int64_t shard = l->first + own;
    const tw_augment_image image = {.height = l->spec->height,
                                    .width = l->spec->width,
                                    .channels = l->spec->channels,
                                    .stream = {.seed = l->order.seed,
                                               .purpose = TW_RNG_AUGMENT,
                                               .position = shard,
                                               .step = step},
                                    .mirrored = l->flip && is_flipped(l, shard, step)};
    l->augment->run(l->augment_config, &image, x, l->work, labels);
}

void tw_loader_augment_labels(const tw_loader *l, int64_t step, int64_t first, int64_t count,
                              float *labels)
{
    for (int64_t i = 0; l->augment && i < count; i++)
        augment(l, first + i, step, NULL, labels + i * l->augment->labels);
}

static tw_status check_positions(const tw_loader *l, int64_t step, int64_t first, int64_t count)
{
    tw_status st = TW_OK;
    TW_CHECK(step >= 0 && first >= 0 && count >= 0 && first <= l->count - count, TW_EINTERNAL,
             "positions %lld to %lld of %lld were asked for at step %lld", (long long)first,
             (long long)(first + count - 1), (long long)l->count, (long long)step);
done:
    return st;
}

tw_status tw_loader_next(tw_loader *l, int64_t step, int64_t first, int64_t count, float *x,
                         int32_t *labels)
{
    tw_status st = TW_OK;
    const int64_t dims = tw_dataset_elements(l->spec);
    TW_TRY(check_positions(l, step, first, count));
    for (int64_t i = 0; i < count; i++) {
        loaded d = {0};
        TW_TRY(load(l, first + i, step, &d));
        if (l->sampled)
            tw_dataset_sample_latent(l->units, l->order.seed, l->first + first + i, step,
                                     (const float *)(const void *)d.stored, d.log_variance,
                                     x + i * dims);
        else
            tw_dataset_normalise(l->units, 1, d.stored, x + i * dims);
        if (l->flip && is_flipped(l, l->first + first + i, step)) mirror(x + i * dims, l->spec);
        if (l->augment) augment(l, first + i, step, x + i * dims, NULL);
        if (labels) labels[i] = d.label;
    }
done:
    return st;
}

tw_status tw_loader_next_condition(tw_loader *l, int64_t step, int64_t first, int64_t count,
                                   float *y)
{
    tw_status st = TW_OK;
    TW_CHECK(l->condition, TW_EINTERNAL, "conditions were asked for of a loader without them");
    const int64_t numbers = tw_dataset_elements(l->condition);
    TW_TRY(check_positions(l, step, first, count));
    for (int64_t i = 0; i < count; i++) {
        loaded d = {0};
        TW_TRY(load(l, first + i, step, &d));
        tw_dataset_normalise(l->condition, 1, d.condition, y + i * numbers);
        if (l->flip && is_flipped(l, l->first + first + i, step))
            mirror(y + i * numbers, l->condition);
    }
done:
    return st;
}
