/* Checkpoints: named arrays in, a verified file out, and back. Knows nothing of networks or graphs.
 *
 * A file (see src/checkpoint/container.h) is HDF5 behind a user block of 512 bytes, which holds
 * magic, version, length and the XXH3-128 hash of every byte after it: so a file is judged before
 * the library parses it. It appears under its final name only when it was closed, fsynced, read
 * back and compared; it is never changed in place, and never holds a value that is not finite.
 *
 * - RUN/checkpoints/step-000001000.h5: /params/NAME, /ema/RATE/NAME, the arrays of the optimiser
 *   (/adam/m/NAME, /adam/v/NAME), and /objective/times where an objective remembers losses; f32
 * - RUN/latest: the newest one's path inside RUN: for people; nothing here relies on it
 *
 * Nothing here is collective unless it says so: rank zero works and the caller agrees
 * (tw_comm_agree), or carries the status in the next reduction. All functions that touch HDF5 must
 * be called by one thread at a time in the process ("tweedie/io.h"). Failures, unless said
 * otherwise: TW_EIO for the file system (with its words), TW_ENOINPUT for what is not there,
 * TW_EDATA for a file that does not verify or does not hold what it should; messages name file,
 * object, what was met and what was wanted. */
#ifndef TWEEDIE_CHECKPOINT_H
#define TWEEDIE_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/status.h"

enum {
    TW_CHECKPOINT_DIMS = 8,
    TW_CHECKPOINT_PATH = 4096,
    TW_CHECKPOINT_DIGEST = 33,
    TW_CHECKPOINT_VERSION = 1
};

/* One named array of floats. Group and name are made of [A-Za-z0-9._-], a group of such words
 * joined by '/'. */
typedef struct tw_checkpoint_array {
    const char *group;   /* "params", "ema/0.9999", "adam/m", "adam/v", "objective" */
    const char *name;    /* "down.0.res1.conv1.weight" */
    int rank;            /* 1 … TW_CHECKPOINT_DIMS */
    const int64_t *dims; /* each >= 1 */
    float *data; /* the product of dims, row by row; NULL where only names and shapes are meant */
} tw_checkpoint_array;

/* What else a file says. A writer lends the pointers; tw_checkpoint_meta_clear frees those that a
 * reader made. */
typedef struct tw_checkpoint_meta {
    int64_t step;            /* optimiser steps done */
    int64_t samples;         /* training samples seen */
    uint64_t seed;           /*                                                   */
    int ranks, threads;      /* of the run that wrote it; threads per rank        */
    int restarts;            /* how often the run had been resumed by then        */
    char precision[16];      /* "f32" or "bf16", as it was resolved               */
    char dataset_digest[80]; /*                                                   */
    char versions[1024];     /* of the program and its libraries, one line        */
    char weights[64]; /* weights files: "raw" or "ema:RATE"; in a checkpoint: what a reader takes by
                         default */
    char source[512]; /* weights files: the checkpoint that they came from */
    char sample_kind[16]; /* what samples are: "uint8", "float32", "points"; "" where nobody said */
    char channel_text[4000]; /* names and units of channels as tw_dataset_spec says; "": none */
    int64_t height, width, channels, num_classes;
    const float *offset,
        *scale; /* [channels]: stored values are x scale + offset; NULL for uint8 */
    char encoder[TW_CHECKPOINT_DIGEST]; /* of samples that are latents: the digest of the
                                           autoencoder's weights; "": they are none */
    char condition_kind[16]; /* as sample_kind, of what the network is given beside a sample; "" of
                                an unconditional model */
    int64_t condition_channels;
    char condition_channel_text[4000];               /* as channel_text */
    const float *condition_offset, *condition_scale; /* [condition_channels], or NULL */
    const char *config;   /* the whole configuration as INI text; NULL counts as "" */
    const double *losses; /* tail of the loss history: loss_count rows of step, loss */
    int64_t loss_count;
} tw_checkpoint_meta;

/* Frees config, losses, offsets and scales of a meta that a reader here filled, and nulls them. */
void tw_checkpoint_meta_clear(tw_checkpoint_meta *meta);

/* ---- writing
 * ----------------------------------------------------------------------------------------------------------------------
 */

typedef struct tw_checkpoint_writer tw_checkpoint_writer;

/* Prepares RUN/checkpoints/step-….h5; checks names and shapes. Writes nothing yet and does not call
 * HDF5.
 * @param[out] out  tw_checkpoint_writer_destroy, which removes the temporary file of an unfinished
 * write
 * @param run       the run directory; RUN/checkpoints must exist
 * @param arrays    names, shapes and meta's texts are copied; the data are borrowed and must not
 * change until the writer is destroyed: a snapshot where training goes on
 * @return TW_EINTERNAL for impossible names or shapes */
tw_status tw_checkpoint_writer_create(tw_checkpoint_writer **out, const char *run,
                                      const tw_checkpoint_array *arrays, int64_t count,
                                      const tw_checkpoint_meta *meta);

/* Does one piece of the write (some 16 MB), so that a thread that also reads batches never waits
 * for long. Any failure deletes the temporary file and leaves all older checkpoints untouched;
 * further calls repeat the failure. Also the destruction of a writer that has begun and not ended
 * calls HDF5.
 * @param[out] finished  true when the file is there under its final name
 * @return TW_EDIVERGED naming the array that holds a value that is not finite */
tw_status tw_checkpoint_writer_step(tw_checkpoint_writer *writer, bool *finished);

/* Accepts NULL inside. */
void tw_checkpoint_writer_destroy(tw_checkpoint_writer **writer);

/* create, step until finished, destroy. */
tw_status tw_checkpoint_write(const char *run, const tw_checkpoint_array *arrays, int64_t count,
                              const tw_checkpoint_meta *meta);
tw_status tw_weights_write(const char *path, const tw_checkpoint_array *arrays, int64_t count,
                           const tw_checkpoint_meta *meta);

/* The bytes of a checkpoint of these arrays, nearly. */
int64_t tw_checkpoint_estimate(const tw_checkpoint_array *arrays, int64_t count);

/* Whether RUN, which need not exist yet, can be written and has room for keep + 2 checkpoints of
 * `bytes` beside those that are there.
 * @return TW_EIO saying how much is free and how much is wanted */
tw_status tw_checkpoint_preflight(const char *run, int64_t bytes, int keep);

/* ---- reading one file
 * -------------------------------------------------------------------------------------------------------------
 */

typedef struct tw_checkpoint tw_checkpoint;

/* Checks magic, version, length and hash, and only then opens the file (a checkpoint or a weights
 * file) and lists its arrays: in a child process, since the seal says nothing of who made the file.
 * Every object must be as the writers here make it; one that bears the name of a step holds it.
 * @param[out] out  tw_checkpoint_close
 * @return TW_EDATA for any damage and for a version that this program does not know */
tw_status tw_checkpoint_open(tw_checkpoint **out, const char *path);

/* Accepts NULL inside. */
void tw_checkpoint_close(tw_checkpoint **file);

/* Facts of an open file; everything is borrowed from it. Arrays are sorted by group and name and
 * have no data. */
const char *tw_checkpoint_path(const tw_checkpoint *file);
const char *tw_checkpoint_digest(const tw_checkpoint *file); /* 32 hexadecimal digits */
int64_t tw_checkpoint_bytes(const tw_checkpoint *file);
bool tw_checkpoint_is_weights(const tw_checkpoint *file);
const tw_checkpoint_meta *tw_checkpoint_meta_view(const tw_checkpoint *file);
int64_t tw_checkpoint_count(const tw_checkpoint *file);
const tw_checkpoint_array *tw_checkpoint_array_view(const tw_checkpoint *file, int64_t index);
bool tw_checkpoint_has_group(const tw_checkpoint *file, const char *group);
int64_t tw_checkpoint_find(const tw_checkpoint *file, const char *group,
                           const char *name); /* its index, or -1 */

/* The floats of array `index` into `data`, which has room for them. */
tw_status tw_checkpoint_read_array(const tw_checkpoint *file, int64_t index, float *data);

/* Fills arrays[].data. The groups that `arrays` name must hold exactly these arrays with these
 * shapes; other groups are left alone. On failure the data may be partly filled.
 * @return TW_EDATA naming what is missing, too much or of another shape */
tw_status tw_checkpoint_read(const tw_checkpoint *file, const tw_checkpoint_array *arrays,
                             int64_t count);

/* Reads every array and checks that it is finite; with tw_checkpoint_open, all that can be
 * verified. */
tw_status tw_checkpoint_verify(const tw_checkpoint *file);

/* Magic, version, length and hash alone, without HDF5: what makes a file a valid one.
 * @param[out] digest  may be NULL: 32 hexadecimal digits */
tw_status tw_checkpoint_check(const char *path, char digest[TW_CHECKPOINT_DIGEST]);

/* ---- the checkpoints of a run
 * -----------------------------------------------------------------------------------------------------
 */

/* RUN/checkpoints/step-%09d.h5 */
tw_status tw_checkpoint_name(char *out, size_t size, const char *run, int64_t step);

/* The steps of the files in RUN/checkpoints that bear the name of a checkpoint, newest (largest)
 * first, verified or not.
 * @param[out] steps  tw_free; NULL where there are none */
tw_status tw_checkpoint_list(const char *run, int64_t **steps, int64_t *count);

/* The newest checkpoint that verifies, by step number. Says (tw_log_warn) which newer ones do not
 * and why.
 * @param[out] path     "" where the run has no checkpoint at all
 * @param[out] step     -1 then
 * @return TW_EDATA where there are checkpoints and none verifies */
tw_status tw_checkpoint_find_newest(const char *run, char *path, size_t size, int64_t *step);

/* As above for all ranks: rank zero looks. Collective. */
tw_status tw_checkpoint_find_newest_all(const tw_comm *comm, const char *run, char *path,
                                        size_t size, int64_t *step);

/* Removes temporary files that a killed trainer left in RUN: of checkpoints, pictures, `latest` and
 * `config.ini`; and of exports, where they are a day old. Only for who holds the lock of the run.
 */
tw_status tw_checkpoint_clean(const char *run);

/* Deletes old checkpoints: all but the newest `keep`, the two newest that verify, those whose step
 * is a multiple of `every` (0: none), and those that the text file RUN/checkpoints/hold names, one
 * step number or file name a line, '#' for comments.
 * A line of it that is neither stops everything: nothing is removed.
 * @param dry_run       only say what would go
 * @param[out] removed  may be NULL: steps, tw_free */
tw_status tw_checkpoint_prune(const char *run, int64_t keep, int64_t every, bool dry_run,
                              int64_t **removed, int64_t *removed_count);

/* The same in pieces, as tw_checkpoint_writer_step: each reads some 16 MB or removes a file. Calls
 * no HDF5. */
typedef struct tw_checkpoint_pruner tw_checkpoint_pruner;
tw_status tw_checkpoint_pruner_create(tw_checkpoint_pruner **out, const char *run, int64_t keep,
                                      int64_t every, bool dry_run);
tw_status tw_checkpoint_pruner_step(tw_checkpoint_pruner *pruner, bool *finished);
void tw_checkpoint_pruner_destroy(tw_checkpoint_pruner **pruner);

/* Copies every valid checkpoint of RUN (and its exported weights) that is not there yet to the
 * directory `to`: temporary name, fsync, read back, compare, rename, fsync of the directory, one
 * line in TO/manifest.jsonl. May run beside the trainer, be killed anywhere and repeated; two at
 * once on one directory: the second fails with TW_ELOCKED. What does not verify in RUN is warned of
 * and left out.
 * @param[out] copied   how many files were copied now; skipped: were there already */
tw_status tw_checkpoint_drain(const char *run, const char *to, int64_t *copied, int64_t *skipped);

/* ---- weights
 * ----------------------------------------------------------------------------------------------------------------------
 */

/* One set of parameters in memory, with what is needed to build their network. */
typedef struct tw_weights {
    tw_checkpoint_meta meta; /* meta.config holds the network's configuration, meta.weights says
                                which: "raw" or "ema:RATE" */
    char digest[TW_CHECKPOINT_DIGEST]; /* of the file that they came from */
    int64_t count;
    tw_checkpoint_array *arrays; /* group "params", with data */
    float *storage;              /* what the arrays point into */
    int64_t storage_count;
} tw_weights;

/* Reads what a user calls weights into memory: a run directory (its newest verified checkpoint), a
 * checkpoint, or a weights file. Rank zero reads, all receive. Collective; `comm` NULL: this
 * process alone.
 * @param[out] out  tw_weights_destroy
 * @param path      RUN or file
 * @param which     "raw", "ema:RATE", or NULL for the file's default (the first EMA rate of the
 * run, else raw)
 * @return TW_EDATA naming what the file has where it lacks `which` */
tw_status tw_weights_load(tw_weights **out, const tw_comm *comm, const char *path,
                          const char *which);

/* Accepts NULL inside. */
void tw_weights_destroy(tw_weights **weights);

/* Copies weights into arrays[].data by name: exactly these names and shapes; groups are ignored.
 * @return TW_EDATA naming what is missing, too much or of another shape */
tw_status tw_weights_copy(const tw_weights *weights, const tw_checkpoint_array *arrays,
                          int64_t count);

/* Writes one set of parameters of a checkpoint as a weights file.
 * @param from,which  as `path` and `which` of tw_weights_load
 * @param path        of the new file; NULL: RUN/weights/step-%09d-WHICH.h5, only where `from` is a
 * run; that is the run's own, and is made anew where it exists
 * @param replace     a `path` that exists may be replaced
 * @param[out] made   may be NULL: at least TW_CHECKPOINT_PATH bytes for the path written */
tw_status tw_weights_export(const char *from, const char *which, const char *path, bool replace,
                            char *made);

#endif
