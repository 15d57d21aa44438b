/* Opening datasets, alone or on all ranks, and reading from them.
 *
 * Reading is independent: each rank reads its own samples when it needs them. So each opens the
 * file with MPI-IO for itself (MPI_COMM_SELF), which gives it the file system's hints. Opened on a
 * communicator, parallel HDF5 would open and close the file collectively, and a rank that meets an
 * error where the others do not would leave them waiting inside the library. The ranks agree on
 * every step instead.
 *
 * What is opened is what was judged: the file stays open from before its judgement on, the library
 * opens it by that descriptor (MPI-IO by name, compared on both sides), and arrays in one piece are
 * read from it without the library. */
#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "data/digest.h"
#include "h5/h5.h"
#include "tweedie/comm_mpi.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

static int size_of(const tw_comm *comm)
{
    return comm ? tw_comm_size(comm) : 1;
}

static tw_status agree(const tw_comm *comm, tw_status st)
{
    return size_of(comm) > 1 ? tw_comm_agree(comm, st) : st;
}

/* Opens the judged file. Where it is another one now this is what is told; what is open then is the
 * caller's to close. */
static tw_status open_judged(tw_dataset_file *out, const tw_dataset *d, hid_t access)
{
    char name[32];
    const bool by_name = d->parallel && access != H5P_DEFAULT;
    const tw_status opened = tw_dataset_file_open(
        out, d->path, by_name ? d->path : tw_judged_name(&d->judged, name, d->path), access);
    const tw_status st = tw_judged_check(&d->judged, true, d->path);
    return st == TW_OK ? opened : st;
}

/* The file as one process sees it. */
static tw_status look(tw_dataset *d)
{
    tw_status st = TW_OK;
    const char *path = d->path;
    tw_dataset_file format = TW_DATASET_FILE_CLOSED;
    int64_t bytes;
    TW_TRY(tw_file_size(&bytes, path));
    htri_t is = H5Fis_hdf5(path);
    TW_CHECK(is > 0, TW_EDATA, "%s: not an HDF5 file (%lld bytes); a dataset was expected", path,
             (long long)bytes);
    TW_TRY(tw_dataset_judge(&d->judged, path));
    TW_TRY(tw_judged_check(&d->judged, true, path));
    TW_TRY(open_judged(&format, d, H5P_DEFAULT));
done:
    tw_dataset_file_close(&format);
    return st;
}

/* "striping_factor=8, romio_cb_read=enable" as an MPI_Info. */
static tw_status make_hints(MPI_Info *out, const char *text)
{
    tw_status st = TW_OK;
    MPI_Info info = MPI_INFO_NULL;
    char copy[TW_DATASET_TEXT_MAX], *rest = NULL;
    TW_TRY(tw_format(copy, sizeof copy, "%s", text));
    TRY_MPI(MPI_Info_create(&info));
    for (char *pair = strtok_r(copy, ", ", &rest); pair; pair = strtok_r(NULL, ", ", &rest)) {
        char *value = strchr(pair, '=');
        TW_CHECK(value && value != pair && value[1], TW_ECONFIG,
                 "data.hints: \"%s\" is not key=value", pair);
        *value++ = '\0';
        TRY_MPI(MPI_Info_set(info, pair, value));
    }
    *out = info;
    info = MPI_INFO_NULL;
done:
    if (info != MPI_INFO_NULL) MPI_Info_free(&info);
    return st;
}

static hid_t set_of(const tw_dataset_file *f, int array)
{
    const hid_t sets[] = {[TW_JUDGED_SAMPLES] = f->samples.set,
                          [TW_JUDGED_LABELS] = f->labels,
                          [TW_JUDGED_CONDITIONS] = f->conditions.set,
                          [TW_JUDGED_LOG_VARIANCES] = f->log_variances.set};
    return sets[array];
}

/* What an array that is there holds; of labels the samples'. */
static const tw_dataset_spec *spec_of(const tw_dataset_file *f, int array)
{
    return array == TW_JUDGED_CONDITIONS && f->condition         ? f->condition
           : array == TW_JUDGED_LOG_VARIANCES && f->log_variance ? f->log_variance
                                                                 : &f->spec;
}

/* Of an array that is not in one piece: its index of chunks, which was walked over in the child, is
 * read once, and chunks then from the judged file. */
static tw_status open_chunks(tw_dataset *d, int array)
{
    tw_status st = TW_OK;
    tw_h5_array a;
    const hid_t dataset = set_of(&d->format, array);
    const char *object =
        array == TW_JUDGED_LABELS ? "/labels" : tw_format_object(spec_of(&d->format, array));
    if (dataset < 0 || d->judged.pieces[array].bytes > 0) goto done;
    TW_TRY(tw_h5_look(&a, dataset, d->path, object));
    if (a.chunk_rows == 0) goto done;
    TW_TRY(tw_alloc(&d->chunks[array], 1, sizeof *d->chunks[array], "chunks"));
    TW_TRY(tw_h5_chunks_open(d->chunks[array], dataset, d->transfer, &a, d->judged.file, d->path,
                             object));
done:
    return st;
}

static tw_status open_to_read(tw_dataset *d, const char *hints)
{
    tw_status st = TW_OK;
    hid_t access = H5I_INVALID_HID;
    MPI_Info info = MPI_INFO_NULL;
    TRY_H5(access = H5Pcreate(H5P_FILE_ACCESS), TW_ENOMEM, "%s: out of memory", d->path);
    TRY_H5(d->transfer = H5Pcreate(H5P_DATASET_XFER), TW_ENOMEM, "%s: out of memory", d->path);
    if (d->comm && hints && *hints)
        TW_TRY(
            make_hints(&info, hints)); /* one rank does without, but a mistake is one there too */
    if (d->parallel) {
        TRY_H5(H5Pset_fapl_mpio(access, MPI_COMM_SELF, info), TW_EINTERNAL,
               "%s: no parallel reading", d->path);
        TRY_H5(H5Pset_dxpl_mpio(d->transfer, H5FD_MPIO_INDEPENDENT), TW_EINTERNAL,
               "%s: no parallel reading", d->path);
    }
    /* MPI-IO opens a file by its own name: what it means is checked on both sides */
    TW_TRY(open_judged(&d->format, d, access));
    for (int i = 0; i < TW_JUDGED_ARRAYS; i++) TW_TRY(open_chunks(d, i));
done:
    tw_h5_close(&access);
    if (info != MPI_INFO_NULL) MPI_Info_free(&info);
    return st;
}

static tw_status choose_split(tw_dataset *d, const char *name)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = &d->format.spec;
    const char *wanted = name && name[0] ? name : "train";
    char splits[TW_DATASET_TEXT_MAX];
    const char *names[TW_DATASET_SPLITS_MAX];
    tw_text near = {0};
    d->split = (tw_dataset_split){.name = "all", .first = 0, .last = spec->count};
    for (int i = 0; i < spec->split_count; i++) {
        if (strcmp(spec->splits[i].name, wanted) != 0) continue;
        d->split = spec->splits[i];
        return TW_OK;
    }
    if (!name || !name[0] || strcmp(name, "all") == 0) return TW_OK;
    TW_TRY(tw_format_print_splits(spec, splits));
    for (int i = 0; i < spec->split_count; i++) names[i] = spec->splits[i].name;
    TW_TRY(tw_text_add_nearest(&near, name, names, spec->split_count));
    TW_FAIL(TW_ECONFIG, "%s: there is no split \"%s\"; there are %s, and \"all\"%s", d->path, name,
            splits, near.data ? near.data : "");
done:
    tw_text_free(&near);
    return st;
}

/* What tw_dataset_open does on the thread that makes HDF5 calls. */
typedef struct opening {
    tw_dataset *d;
    const tw_dataset_options *options;
} opening;

static tw_status look_first(void *self)
{
    const opening *o = self;
    tw_status st = tw_h5_start();
    return st == TW_OK ? look(o->d) : st;
}

static tw_status open_here(void *self)
{
    const opening *o = self;
    return open_to_read(o->d, o->options->hints);
}

static tw_status verify(tw_dataset *d)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = &d->format.spec;
    const tw_dataset_split chosen = d->split;
    tw_digest *digest = NULL;
    char met[TW_DATASET_DIGEST_MAX];
    d->split.first = 0; /* the digest is that of the whole file */
    d->split.last = spec->count;
    TW_TRY(tw_digest_create(&digest));
    TW_TRY(tw_digest_add_dataset(digest, d));
    tw_digest_text(digest, met);
    TW_CHECK(strcmp(met, spec->digest) == 0, TW_EDATA,
             "%s: damaged: the digest of its samples is %s, the file says %s", d->path, met,
             spec->digest);
done:
    d->split = chosen;
    tw_digest_destroy(&digest);
    return st;
}

tw_status tw_dataset_open(tw_dataset **out, const struct tw_comm *comm,
                          const tw_dataset_options *options)
{
    tw_status st = TW_OK;
    tw_dataset *d = NULL;
    st = tw_alloc(&d, 1, sizeof *d, "a dataset");
    if (st == TW_OK) {
        d->comm = comm;
        d->io = options->io;
        d->format = TW_DATASET_FILE_CLOSED;
        d->transfer = H5I_INVALID_HID;
        d->judged.file = -1;
        /* an input thread that reads in parallel beside the main thread's reductions needs an MPI
         * that bears it */
        d->parallel = size_of(comm) > 1 && (!options->io || tw_comm_threaded(comm));
        st = tw_strdup(&d->path, options->path);
    }
    TW_TRY(agree(comm, st));
    opening o = {.d = d, .options = options};
    TW_TRY(agree(comm, tw_io_call(d->io, look_first, &o)));
    TW_TRY(agree(comm, tw_io_call(d->io, open_here, &o)));
    TW_TRY(agree(comm, choose_split(d, options->split)));
    if (options->verify) TW_TRY(agree(comm, comm && tw_comm_rank(comm) > 0 ? TW_OK : verify(d)));
    *out = d;
    d = NULL;
done:
    tw_dataset_destroy(&d);
    return st;
}

static tw_status close_here(void *self)
{
    tw_dataset *d = self;
    for (int i = 0; i < TW_JUDGED_ARRAYS; i++) {
        if (d->chunks[i]) tw_h5_chunks_close(d->chunks[i]);
        tw_free(&d->chunks[i]);
    }
    tw_h5_close(&d->transfer);
    tw_dataset_file_close(&d->format);
    tw_judged_close(&d->judged);
    return TW_OK;
}

void tw_dataset_destroy(tw_dataset **dataset)
{
    tw_dataset *d = *dataset;
    if (!d) return;
    (void)tw_io_call(d->io, close_here, d);
    tw_free(&d->path);
    tw_free(dataset);
}

const tw_dataset_spec *tw_dataset_get_spec(const tw_dataset *d)
{
    return &d->format.spec;
}

const tw_dataset_split *tw_dataset_get_split(const tw_dataset *d)
{
    return &d->split;
}

int64_t tw_dataset_count(const tw_dataset *d)
{
    return d->split.last - d->split.first;
}

/* Rows of an array in chunks, which are of little-endian numbers. */
static tw_status read_chunks(tw_h5_chunks *c, int64_t first, int64_t count, void *out)
{
    tw_h5_box box = {.start = {first}};
    int64_t strides[8];
    memcpy(box.extent, c->dims, sizeof box.extent);
    box.extent[0] = count;
    tw_h5_dense_strides(c->rank, box.extent, c->element, strides);
    return count > 0 ? tw_h5_chunks_read_box(c, &box, out, strides) : TW_OK;
}

/* Rows of an array: in one piece from where the child said that it lies, else by the index of its
 * chunks. */
static tw_status read_rows(tw_dataset *d, int array, int64_t first, int64_t count, void *out)
{
    const bool labels = array == TW_JUDGED_LABELS;
    const tw_dataset_spec *spec = spec_of(&d->format, array);
    const size_t bytes = labels ? sizeof(int32_t) : tw_dataset_sample_bytes(spec);
    if (d->judged.pieces[array].bytes > 0)
        return tw_judged_read(&d->judged, array, first, count, bytes, out, d->path);
    if (d->chunks[array]) return read_chunks(d->chunks[array], first, count, out);
    if (labels)
        return tw_h5_read_rows(d->format.labels, d->transfer, H5T_NATIVE_INT32, first, count, out,
                               d->path, "/labels");
    return tw_h5_read_rows(set_of(&d->format, array), d->transfer,
                           tw_format_memory_type(spec->kind), first, count, out, d->path,
                           tw_format_object(spec));
}

static tw_status check_range(const tw_dataset *d, int64_t first, int64_t count)
{
    tw_status st = TW_OK;
    TW_CHECK(first >= 0 && count >= 0 && first <= tw_dataset_count(d) - count, TW_EINTERNAL,
             "%s: samples %lld to %lld of %lld were asked for", d->path, (long long)first,
             (long long)(first + count - 1), (long long)tw_dataset_count(d));
done:
    return st;
}

enum { LABEL_BLOCK = 1 << 24 };

/* Samples, conditions or log variances. */
static tw_status read_array(tw_dataset *d, int array, const tw_dataset_spec *spec, int64_t first,
                            int64_t count, void *stored)
{
    tw_status st = TW_OK;
    const int64_t block = tw_block_samples(spec) * 16;
    for (int64_t done = 0; done < count; done += block) {
        const int64_t n = count - done < block ? count - done : block,
                      from = d->split.first + first + done;
        void *to = (char *)stored + (size_t)done * tw_dataset_sample_bytes(spec);
        TW_TRY(read_rows(d, array, from, n, to));
        TW_TRY(tw_format_check_samples(spec, from, n, to, d->path));
    }
done:
    return st;
}

tw_status tw_dataset_read_here(tw_dataset *d, int64_t first, int64_t count, void *stored,
                               int32_t *labels)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = &d->format.spec;
    TW_TRY(check_range(d, first, count));
    if (stored) TW_TRY(read_array(d, TW_JUDGED_SAMPLES, spec, first, count, stored));
    for (int64_t done = 0; labels && spec->num_classes > 0 && done < count; done += LABEL_BLOCK) {
        const int64_t n = count - done < LABEL_BLOCK ? count - done : LABEL_BLOCK,
                      from = d->split.first + first + done;
        TW_TRY(read_rows(d, TW_JUDGED_LABELS, from, n, labels + done));
        TW_TRY(tw_format_check_labels(spec, from, n, labels + done, d->path));
    }
    if (labels && spec->num_classes == 0)
        for (int64_t i = 0; i < count; i++) labels[i] = -1;
done:
    return st;
}

tw_status tw_dataset_read_condition_here(tw_dataset *d, int64_t first, int64_t count, void *stored)
{
    tw_status st = TW_OK;
    TW_TRY(check_range(d, first, count));
    TW_CHECK(d->format.condition, TW_EDATA, "%s: has no /condition", d->path);
    TW_TRY(read_array(d, TW_JUDGED_CONDITIONS, d->format.condition, first, count, stored));
done:
    return st;
}

tw_status tw_dataset_read_log_variance_here(tw_dataset *d, int64_t first, int64_t count,
                                            float *values)
{
    tw_status st = TW_OK;
    TW_TRY(check_range(d, first, count));
    TW_CHECK(d->format.log_variance, TW_EDATA, "%s: has no /log_variance", d->path);
    TW_TRY(read_array(d, TW_JUDGED_LOG_VARIANCES, d->format.log_variance, first, count, values));
done:
    return st;
}

typedef struct reading {
    tw_dataset *d;
    int64_t first, count;
    void *stored;
    int32_t *labels;
} reading;

static tw_status read_on_thread(void *self)
{
    const reading *r = self;
    return tw_dataset_read_here(r->d, r->first, r->count, r->stored, r->labels);
}

tw_status tw_dataset_read_stored(tw_dataset *d, int64_t first, int64_t count, void *stored,
                                 int32_t *labels)
{
    reading r = {.d = d, .first = first, .count = count, .stored = stored, .labels = labels};
    return tw_io_call(d->io, read_on_thread, &r);
}

tw_status tw_dataset_read(tw_dataset *d, int64_t first, int64_t count, float *x, int32_t *labels)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = &d->format.spec;
    const int64_t block = tw_block_samples(spec), dims = tw_dataset_elements(spec);
    void *stored = NULL;
    TW_TRY(tw_alloc_arena(&stored,
                          (size_t)(count < block ? count : block) * tw_dataset_sample_bytes(spec),
                          "a block of samples"));
    for (int64_t done = 0; done < count; done += block) {
        int64_t n = count - done < block ? count - done : block;
        TW_TRY(tw_dataset_read_stored(d, first + done, n, stored, labels ? labels + done : NULL));
        tw_dataset_normalise(spec, n, stored, x + done * dims);
    }
done:
    tw_free(&stored);
    return st;
}

static tw_status read_condition_on_thread(void *self)
{
    const reading *r = self;
    return tw_dataset_read_condition_here(r->d, r->first, r->count, r->stored);
}

tw_status tw_dataset_read_condition_stored(tw_dataset *d, int64_t first, int64_t count,
                                           void *stored)
{
    reading r = {.d = d, .first = first, .count = count, .stored = stored};
    return tw_io_call(d->io, read_condition_on_thread, &r);
}

tw_status tw_dataset_read_condition(tw_dataset *d, const tw_dataset_spec *units, int64_t first,
                                    int64_t count, float *y)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = d->format.condition;
    void *stored = NULL;
    TW_CHECK(spec, TW_EDATA, "%s: has no /condition", d->path);
    const int64_t block = tw_block_samples(spec), numbers = tw_dataset_elements(spec);
    TW_TRY(tw_alloc_arena(&stored,
                          (size_t)(count < block ? count : block) * tw_dataset_sample_bytes(spec),
                          "a block of conditions"));
    for (int64_t done = 0; done < count; done += block) {
        const int64_t n = count - done < block ? count - done : block;
        TW_TRY(tw_dataset_read_condition_stored(d, first + done, n, stored));
        tw_dataset_normalise(units ? units : spec, n, stored, y + done * numbers);
    }
done:
    tw_free(&stored);
    return st;
}

static tw_status read_log_variance_on_thread(void *self)
{
    const reading *r = self;
    return tw_dataset_read_log_variance_here(r->d, r->first, r->count, r->stored);
}

tw_status tw_dataset_read_log_variance(tw_dataset *d, int64_t first, int64_t count, float *values)
{
    reading r = {.d = d, .first = first, .count = count, .stored = values};
    return tw_io_call(d->io, read_log_variance_on_thread, &r);
}

typedef struct text_request {
    tw_dataset *d;
    const char *key;
    char *out;
    size_t size;
} text_request;

static tw_status get_text_here(void *self)
{
    tw_status st = TW_OK;
    const text_request *r = self;
    bool found;
    TW_TRY(tw_h5_has_attribute(&found, r->d->format.file, r->d->path, "/", r->key));
    if (found)
        TW_TRY(tw_h5_read_text(r->d->format.file, r->d->path, "/", r->key, r->out, r->size));
    else
        r->out[0] = '\0';
done:
    return st;
}

tw_status tw_dataset_get_text(tw_dataset *d, const char *key, char *out, size_t size)
{
    text_request r = {.d = d, .key = key, .out = out, .size = size};
    return tw_io_call(d->io, get_text_here, &r);
}
