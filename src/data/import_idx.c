/* IDX files, plain or gzip: MNIST, Fashion-MNIST, KMNIST, EMNIST, QMNIST.
 *
 * (Y. LeCun, C. Cortes, C. Burges, "The MNIST database", file formats.) Big-endian: two zero bytes,
 * the type of an element, the number of axes, the length of each axis as 32 bits; then the
 * elements. Images have 3 axes [N, H, W] or 4 [N, H, W, C], of unsigned bytes, or else of any type
 * and then kept as float32; labels are integers [N], or [N, K], of which column 0 is the class
 * (QMNIST).
 *
 * Several files in one call belong together by what they hold and by their names: images and labels
 * of one split are paired in the order given. The images of EMNIST are stored column by column:
 * --transpose. */
#include <stdio.h>
#include <string.h>

#include "data/importer.h"
#include "data/input.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { INPUTS_MAX = 64, LABEL_BYTES = 1 << 16, UBYTE = 0x08 };

/* What the third byte of a file says. */
typedef struct idx_type {
    int code, bytes;
    bool integer;
} idx_type;

static const idx_type types[] = {{UBYTE, 1, true}, {0x09, 1, true},  {0x0B, 2, true},
                                 {0x0C, 4, true},  {0x0D, 4, false}, {0x0E, 8, false}};

typedef struct idx_file {
    const char *path, *split;
    tw_input *input;
    const idx_type *type;
    int axes;
    int64_t dims[4];
} idx_file;

static bool is_images(const idx_file *f)
{
    return f->axes > 2;
}

/* An element, as a double: exact for every type. */
static double element(const idx_type *type, const unsigned char *bytes)
{
    uint64_t bits = 0;
    float f;
    double d;
    for (int i = 0; i < type->bytes; i++) bits = bits << 8 | bytes[i];
    const uint32_t low = (uint32_t)bits;
    switch (type->code) {
    case UBYTE:
        return (double)bits;
    case 0x09:
        return (double)(int8_t)bits;
    case 0x0B:
        return (double)(int16_t)bits;
    case 0x0C:
        return (double)(int32_t)bits;
    case 0x0D:
        memcpy(&f, &low, sizeof f);
        return (double)f;
    default:
        memcpy(&d, &bits, sizeof d);
        return d;
    }
}

/* ---- headers ---- */

static tw_status read_magic(idx_file *f)
{
    tw_status st = TW_OK;
    unsigned char m[4];
    const char *kind = tw_input_kind(f->input);
    TW_TRY(tw_input_read(f->input, m, sizeof m, "the header"));
    if (!kind && m[2] == 0 && m[3] == 0) kind = "a little-endian header; idx is big-endian";
    TW_CHECK(m[0] == 0 && m[1] == 0, TW_EDATA,
             "%s: begins with %02x %02x %02x %02x%s%s%s; an idx file with 00 00 08 was expected",
             f->path, m[0], m[1], m[2], m[3], kind ? " (" : "", kind ? kind : "", kind ? ")" : "");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code == m[2]) f->type = &types[i];
    TW_CHECK(f->type, TW_EDATA,
             "%s: elements of idx type 0x%02x; 0x08 (unsigned bytes), 09, 0b, 0c, 0d or 0e was "
             "expected",
             f->path, m[2]);
    f->axes = m[3];
    TW_CHECK(f->axes >= 1 && f->axes <= 4, TW_EDATA,
             "%s: an idx array of %d axes; 1 or 2 (labels), 3 or 4 (images) were expected", f->path,
             f->axes);
    TW_CHECK(is_images(f) || f->type->integer, TW_EDATA,
             "%s: %d axes of floating-point numbers; labels are integers, images have 3 or 4 axes",
             f->path, f->axes);
done:
    return st;
}

/* Bytes that the axes claim; false where they cannot be counted. */
static bool claimed(int64_t *out, const idx_file *f, const int64_t *dims)
{
    int64_t bytes = f->type->bytes;
    for (int i = 0; i < f->axes; i++)
        if (dims[i] <= 0 || __builtin_mul_overflow(bytes, dims[i], &bytes)) return false;
    *out = bytes;
    return true;
}

/* Whether the lengths would fit the file if their bytes were turned round. */
static bool is_little_endian(const idx_file *f)
{
    int64_t turned[4], bytes;
    for (int i = 0; i < f->axes; i++) turned[i] = __builtin_bswap32((uint32_t)f->dims[i]);
    return !tw_input_is_packed(f->input) && claimed(&bytes, f, turned) &&
           bytes == tw_input_bound(f->input);
}

static tw_status read_header(idx_file *f)
{
    tw_status st = TW_OK;
    unsigned char length[4];
    int64_t bytes = 0;
    bool end = true;
    TW_TRY(read_magic(f));
    for (int i = 0; i < f->axes; i++) {
        TW_TRY(tw_input_read(f->input, length, sizeof length, "the header"));
        f->dims[i] = (int64_t)length[0] << 24 | (int64_t)length[1] << 16 | (int64_t)length[2] << 8 |
                     length[3];
        TW_CHECK(f->dims[i] > 0, TW_EDATA, "%s: axis %d of its array is empty", f->path, i);
    }
    TW_CHECK(!is_little_endian(f), TW_EDATA,
             "%s: the lengths in its header are little-endian; idx files are big-endian", f->path);
    TW_CHECK(claimed(&bytes, f, f->dims), TW_EDATA, "%s: claims more elements than can be counted",
             f->path);
    TW_CHECK(bytes <= tw_input_bound(f->input), TW_EDATA,
             "%s: truncated: it claims %lld bytes of data, at most %lld can follow", f->path,
             (long long)bytes, (long long)tw_input_bound(f->input));
    TW_CHECK(tw_input_is_packed(f->input) || bytes == tw_input_bound(f->input), TW_EDATA,
             "%s: %lld bytes too long for its header", f->path,
             (long long)(tw_input_bound(f->input) - bytes));
    TW_CHECK(is_images(f) || f->axes == 1 || f->dims[1] <= LABEL_BYTES / f->type->bytes, TW_EDATA,
             "%s: labels of %lld columns; at most %d were expected", f->path, (long long)f->dims[1],
             LABEL_BYTES / f->type->bytes);
    TW_TRY(tw_input_at_end(f->input, &end));
    TW_CHECK(!end, TW_EDATA, "%s: truncated: nothing follows its header", f->path);
done:
    return st;
}

/* ---- labels ---- */

/* Labels on their way: a block of rows of the file. */
typedef struct label_reader {
    idx_file *file;           /* NULL: there are none */
    int64_t classes;          /* 0: not said */
    int64_t row, first, rows; /* bytes of one; rows in the block */
    unsigned char block[LABEL_BYTES];
} label_reader;

static tw_status check_label(const label_reader *r, int64_t i, double value,
                             const unsigned char *bytes)
{
    tw_status st = TW_OK;
    const int64_t limit = r->classes > 0 ? r->classes : TW_DATASET_CLASSES_MAX;
    unsigned char turned[8];
    if (value >= 0 && value < (double)limit) goto done;
    for (int k = 0; k < r->file->type->bytes; k++) turned[k] = bytes[r->file->type->bytes - 1 - k];
    const double other = element(r->file->type, turned);
    TW_FAIL(TW_EDATA, "%s: label %lld is %.0f; 0 to %lld was expected%s", r->file->path,
            (long long)i, value, (long long)limit - 1,
            other != value && other >= 0 && other < (double)limit
                ? " (little-endian it would be; idx is big-endian)"
                : "");
done:
    return st;
}

/* The label of sample i, which follow each other; −1 where there are none. */
static tw_status next_label(label_reader *r, int64_t i, int64_t *out)
{
    tw_status st = TW_OK;
    *out = -1;
    if (!r->file) goto done;
    if (i == r->first + r->rows) {
        const int64_t left = r->file->dims[0] - i, most = LABEL_BYTES / r->row;
        r->first = i;
        r->rows = left < most ? left : most;
        TW_TRY(tw_input_read(r->file->input, r->block, (size_t)(r->rows * r->row), "the labels"));
    }
    const unsigned char *bytes = r->block + (i - r->first) * r->row;
    const double value = element(r->file->type, bytes);
    TW_TRY(check_label(r, i, value, bytes));
    *out = (int64_t)value;
done:
    return st;
}

/* ---- images ---- */

/* From [w][h][c], as stored, to [h][w][c], elements of `size` bytes. */
static void transpose(char *out, const char *in, int64_t height, int64_t width, int64_t channels,
                      size_t size)
{
    const size_t pixel = (size_t)channels * size;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            memcpy(out + (size_t)(x * height + y) * pixel, in + (size_t)(y * width + x) * pixel,
                   pixel);
}

/* Float32 of elements of any type. An integer that float32 cannot hold would become another. */
static tw_status to_float(float *out, const unsigned char *in, int64_t count, const idx_type *type,
                          const char *where)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < count; i++) {
        const double value = element(type, in + i * type->bytes);
        out[i] = (float)value;
        TW_CHECK(!type->integer || (double)out[i] == value, TW_EDATA,
                 "%s: element %lld is %.0f, which float32 cannot hold", where, (long long)i, value);
    }
done:
    return st;
}

typedef struct image_buffers {
    unsigned char *raw;
    float *values;
    char *turned;
} image_buffers;

/* The next image, as it will be stored. */
static tw_status read_image(const char **out, image_buffers *b, const idx_file *f, int64_t i,
                            const char *where, bool turn)
{
    tw_status st = TW_OK;
    const int64_t channels = f->axes == 4 ? f->dims[3] : 1,
                  elements = f->dims[1] * f->dims[2] * channels;
    char what[64];
    snprintf(what, sizeof what, "image %lld of %lld", (long long)i, (long long)f->dims[0]);
    TW_TRY(tw_input_read(f->input, b->raw, (size_t)(elements * f->type->bytes), what));
    *out = (const char *)b->raw;
    if (b->values) {
        TW_TRY(to_float(b->values, b->raw, elements, f->type, where));
        *out = (const char *)b->values;
    }
    if (turn) {
        transpose(b->turned, *out, f->dims[1], f->dims[2], channels, b->values ? sizeof(float) : 1);
        *out = b->turned;
    }
done:
    return st;
}

static tw_status make_buffers(image_buffers *b, const idx_file *f, bool turn)
{
    tw_status st = TW_OK;
    const int64_t elements = f->dims[1] * f->dims[2] * (f->axes == 4 ? f->dims[3] : 1);
    TW_TRY(tw_alloc(&b->raw, elements, (size_t)f->type->bytes, "an image"));
    if (f->type->code != UBYTE)
        TW_TRY(tw_alloc(&b->values, elements, sizeof *b->values, "an image"));
    if (turn) TW_TRY(tw_alloc(&b->turned, elements, b->values ? sizeof(float) : 1, "an image"));
done:
    return st;
}

static tw_status check_ends(idx_file *images, idx_file *labels)
{
    tw_status st = TW_OK;
    bool end;
    for (int k = 0; k < 2; k++) {
        const idx_file *f = k ? labels : images;
        if (!f) continue;
        TW_TRY(tw_input_at_end(f->input, &end));
        TW_CHECK(end, TW_EDATA, "%s: data follow the %lld elements that its header claims", f->path,
                 (long long)f->dims[0]);
    }
done:
    return st;
}

/* Images [N, H, W, C] to the spool. `labels` are of the same split, or NULL. */
static tw_status read_pair(const tw_import_options *options, tw_spool *spool, idx_file *images,
                           idx_file *labels)
{
    tw_status st = TW_OK;
    const bool turn = options->transpose;
    const int64_t count = images->dims[0], height = images->dims[turn ? 2 : 1],
                  width = images->dims[turn ? 1 : 2],
                  channels = images->axes == 4 ? images->dims[3] : 1;
    image_buffers buffers = {0};
    label_reader reader = {.file = labels, .classes = options->num_classes};
    TW_CHECK(!labels || labels->dims[0] == count, TW_EDATA,
             "%s holds %lld labels for the %lld images of %s", labels->path,
             (long long)labels->dims[0], (long long)count, images->path);
    if (labels) reader.row = labels->type->bytes * (labels->axes == 2 ? labels->dims[1] : 1);
    if (labels && labels->axes == 2 && labels->dims[1] > 1)
        tw_log_info("%s: rows of %lld numbers; the first of each is the label", labels->path,
                    (long long)labels->dims[1]);
    TW_TRY(tw_spool_describe(spool, images->path,
                             images->type->code == UBYTE ? TW_DATASET_UINT8 : TW_DATASET_FLOAT32,
                             height, width, channels, labels != NULL));
    TW_TRY(make_buffers(&buffers, images, turn));
    for (int64_t i = 0; i < count; i++) {
        char where[1200];
        const char *image;
        int64_t label;
        snprintf(where, sizeof where, "%.1000s: image %lld", images->path, (long long)i);
        TW_TRY(read_image(&image, &buffers, images, i, where, turn));
        TW_TRY(next_label(&reader, i, &label));
        TW_TRY(tw_spool_append(spool, images->split, image, label, where));
    }
    TW_TRY(check_ends(images, labels));
done:
    tw_free(&buffers.raw);
    tw_free(&buffers.values);
    tw_free(&buffers.turned);
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
    for (int i = 0; i < k; i++) place += is_images(&files[i]) && same_split(&files[i], &files[k]);
    for (int i = 0; i < count; i++) {
        if (!same_split(&files[i], &files[k])) continue;
        images += is_images(&files[i]);
        if (!is_images(&files[i]) && labels++ == place) found = &files[i];
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
            images += is_images(&files[k]) && same_split(&files[i], &files[k]);
        TW_CHECK(images > 0, TW_EDATA, "%s holds labels, and no file of images belongs to it",
                 files[i].path);
    }
    for (int i = 0; i < count; i++) {
        if (!is_images(&files[i])) continue;
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
