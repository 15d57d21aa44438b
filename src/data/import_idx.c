/* IDX files, plain or gzip: MNIST, Fashion-MNIST, KMNIST, EMNIST.
 *
 * (Y. LeCun, C. Cortes, C. Burges, "The MNIST database", file formats.) Big-endian: two zero bytes,
 * the type of an element (0x08: unsigned byte), the number of axes, the length of each axis as 32
 * bits; then the elements. Images have 3 axes [N, H, W] or 4 [N, H, W, C], labels one.
 *
 * Several files in one call belong together by what they hold and by their names: images and labels
 * of one split are paired in the order given. The images of EMNIST are stored column by column:
 * --transpose. */
#include <stdio.h>
#include <string.h>

#include "data/importer.h"
#include "data/input.h"
#include "tweedie/memory.h"

enum { INPUTS_MAX = 64, LABEL_BLOCK = 4096 };

typedef struct idx_file {
    const char *path, *split;
    tw_input *input;
    int axes;
    int64_t dims[4];
} idx_file;

static tw_status read_header(idx_file *f)
{
    tw_status st = TW_OK;
    unsigned char magic[4], length[4];
    int64_t elements = 1;
    bool end = true;
    TW_TRY(tw_input_read(f->input, magic, sizeof magic, "the header"));
    TW_CHECK(magic[0] == 0 && magic[1] == 0, TW_EDATA,
             "%s: begins with %02x %02x %02x %02x; an idx file with 00 00 08 was expected", f->path,
             magic[0], magic[1], magic[2], magic[3]);
    TW_CHECK(magic[2] == 8, TW_EDATA,
             "%s: elements of idx type 0x%02x; 0x08, unsigned bytes, was expected", f->path,
             magic[2]);
    f->axes = magic[3];
    TW_CHECK(f->axes == 1 || f->axes == 3 || f->axes == 4, TW_EDATA,
             "%s: an idx array of %d axes; 1 (labels), 3 or 4 (images) were expected", f->path,
             f->axes);
    for (int i = 0; i < f->axes; i++) {
        TW_TRY(tw_input_read(f->input, length, sizeof length, "the header"));
        f->dims[i] = (int64_t)length[0] << 24 | (int64_t)length[1] << 16 | (int64_t)length[2] << 8 |
                     length[3];
        TW_CHECK(f->dims[i] > 0, TW_EDATA, "%s: axis %d of its array is empty", f->path, i);
        TW_CHECK(!__builtin_mul_overflow(elements, f->dims[i], &elements), TW_EDATA,
                 "%s: claims more elements than can be counted", f->path);
    }
    TW_CHECK(elements <= tw_input_bound(f->input), TW_EDATA,
             "%s: truncated: it claims %lld bytes of data, at most %lld can follow", f->path,
             (long long)elements, (long long)tw_input_bound(f->input));
    TW_CHECK(tw_input_is_packed(f->input) || elements == tw_input_bound(f->input), TW_EDATA,
             "%s: %lld bytes too long for its header", f->path,
             (long long)(tw_input_bound(f->input) - elements));
    TW_TRY(tw_input_at_end(f->input, &end));
    TW_CHECK(!end, TW_EDATA, "%s: truncated: nothing follows its header", f->path);
done:
    return st;
}

/* Images [N, H, W, C] to the spool. `labels` are of the same split, or NULL. */
static tw_status read_pair(const tw_import_options *options, tw_spool *spool, idx_file *images,
                           idx_file *labels)
{
    tw_status st = TW_OK;
    const int64_t count = images->dims[0], height = images->dims[1], width = images->dims[2],
                  channels = images->axes == 4 ? images->dims[3] : 1;
    unsigned char *stored = NULL, *turned = NULL, block[LABEL_BLOCK];
    bool end;
    TW_CHECK(!labels || labels->dims[0] == count, TW_EDATA,
             "%s holds %lld labels for the %lld images of %s", labels->path,
             (long long)labels->dims[0], (long long)count, images->path);
    TW_TRY(tw_spool_describe(spool, images->path, TW_DATASET_UINT8,
                             options->transpose ? width : height,
                             options->transpose ? height : width, channels, labels != NULL));
    const size_t bytes = (size_t)(height * width * channels);
    TW_TRY(tw_alloc(&stored, (int64_t)bytes, 1, "an image"));
    TW_TRY(tw_alloc(&turned, (int64_t)bytes, 1, "an image"));
    for (int64_t i = 0; i < count; i++) {
        char what[64], where[1200];
        snprintf(what, sizeof what, "image %lld of %lld", (long long)i, (long long)count);
        TW_TRY(tw_input_read(images->input, stored, bytes, what));
        const int64_t left = count - i < LABEL_BLOCK ? count - i : LABEL_BLOCK;
        if (labels && i % LABEL_BLOCK == 0)
            TW_TRY(tw_input_read(labels->input, block, (size_t)left, "the labels"));
        for (size_t k = 0; options->transpose && k < bytes;
             k++) { /* from [w][h][c], as stored, to [h][w][c] */
            const int64_t c = (int64_t)k % channels, row = (int64_t)k / channels / width,
                          column = (int64_t)k / channels % width;
            turned[(column * height + row) * channels + c] = stored[k];
        }
        const int label = labels ? block[i % LABEL_BLOCK] : -1;
        TW_CHECK(!labels || options->num_classes == 0 || label < options->num_classes, TW_EDATA,
                 "%s: label %lld is %d; 0 to %lld was expected", labels->path, (long long)i, label,
                 (long long)options->num_classes - 1);
        snprintf(where, sizeof where, "%.1000s: image %lld", images->path, (long long)i);
        TW_TRY(tw_spool_append(spool, images->split, options->transpose ? turned : stored, label,
                               where));
    }
    for (int k = 0; k < 2; k++) {
        const idx_file *f = k ? labels : images;
        if (!f) continue;
        TW_TRY(tw_input_at_end(f->input, &end));
        TW_CHECK(end, TW_EDATA, "%s: data follow the %lld elements that its header claims", f->path,
                 (long long)count);
    }
done:
    tw_free(&stored);
    tw_free(&turned);
    return st;
}

static bool same_split(const idx_file *a, const idx_file *b)
{
    return a->split == b->split || (a->split && b->split && strcmp(a->split, b->split) == 0);
}

/* The labels for images k: of its split, those that stand at the same place among the labels as it
 * among the images. */
static tw_status find_labels(idx_file *files, int count, int k, idx_file **out)
{
    tw_status st = TW_OK;
    int images = 0, labels = 0, place = 0;
    idx_file *found = NULL;
    for (int i = 0; i < k; i++) place += files[i].axes > 1 && same_split(&files[i], &files[k]);
    for (int i = 0; i < count; i++) {
        if (!same_split(&files[i], &files[k])) continue;
        images += files[i].axes > 1;
        if (files[i].axes == 1 && labels++ == place) found = &files[i];
    }
    TW_CHECK(labels == 0 || labels == images, TW_EDATA,
             "%s: %d files of images and %d of labels %s%s; one of each was expected",
             files[k].path, images, labels, files[k].split ? "for split " : "without a split",
             files[k].split ? files[k].split : "");
    *out = found;
done:
    return st;
}

static tw_status run(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    idx_file files[INPUTS_MAX] = {0}, *labels = NULL;
    const int count = options->input_count;
    TW_CHECK(count <= INPUTS_MAX, TW_EUSAGE, "%d inputs; at most %d idx files were expected", count,
             INPUTS_MAX);
    for (int i = 0; i < count; i++) {
        files[i].path = options->inputs[i];
        files[i].split = tw_import_split_of(files[i].path);
        TW_TRY(tw_input_open(&files[i].input, files[i].path));
        TW_TRY(read_header(&files[i]));
    }
    for (int i = 0; i < count; i++) { /* labels without images would be left out silently */
        int images = 0;
        for (int k = 0; k < count; k++)
            images += files[k].axes > 1 && same_split(&files[i], &files[k]);
        TW_CHECK(images > 0, TW_EDATA, "%s holds labels, and no file of images belongs to it",
                 files[i].path);
    }
    for (int i = 0; i < count; i++) {
        if (files[i].axes == 1) continue;
        TW_TRY(find_labels(files, count, i, &labels));
        TW_TRY(read_pair(options, spool, &files[i], labels));
    }
done:
    for (int i = 0; i < count && i < INPUTS_MAX; i++) tw_input_close(&files[i].input);
    return st;
}

const tw_importer tw_import_idx = {.name = "idx",
                                   .summary = "MNIST and its kin: idx files of images and labels, "
                                              "plain or gzip, paired and split by their names",
                                   .run = run};
