/* CIFAR-10 and CIFAR-100 binary files, plain or gzip.
 *
 * (A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.) Records without a
 * header: CIFAR-10 one byte of label, CIFAR-100 one byte of coarse and one of fine label (the fine
 * one is taken); then 3072 bytes, the red, green and blue planes of 32 x 32. Which of the two a
 * file is, its name says (data_batch_1.bin, test_batch.bin; train.bin, test.bin), else its size.
 * Class names are taken from batches.meta.txt or fine_label_names.txt beside it. */
#include <stdio.h>
#include <string.h>

#include "data/importer.h"
#include "data/input.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, PIXELS = 3 * PLANE };

static tw_status choose_label_bytes(int *out, const char *path, const tw_input *input)
{
    tw_status st = TW_OK;
    const char *name = tw_import_basename(path);
    const int64_t bytes = tw_input_bound(input);
    const bool packed = tw_input_is_packed(input);
    bool ten = strstr(name, "batch") != NULL,
         hundred =
             !ten && (strncmp(name, "train.bin", 9) == 0 || strncmp(name, "test.bin", 8) == 0);
    if (!ten && !hundred) { /* the name does not say */
        ten = !packed && bytes % (1 + PIXELS) == 0;
        hundred = !packed && bytes % (2 + PIXELS) == 0;
        TW_CHECK(ten != hundred, TW_EDATA,
                 "%s: neither its name (data_batch_1.bin, train.bin) nor its size says whether it "
                 "is CIFAR-10 or CIFAR-100",
                 path);
    }
    *out = ten ? 1 : 2;
    TW_CHECK(packed || bytes % (*out + PIXELS) == 0, TW_EDATA,
             "%s: truncated: %lld bytes are not a multiple of the %d of a CIFAR-%d record", path,
             (long long)bytes, *out + PIXELS, ten ? 10 : 100);
done:
    return st;
}

/* The same data come in three versions; only the binary one is read. */
static tw_status check_version(const char *path, const tw_input *input)
{
    tw_status st = TW_OK;
    const char *kind = tw_input_kind(input);
    TW_CHECK(!kind || !strstr(kind, "pickle"), TW_EDATA,
             "%s: is CIFAR's Python version (a pickle); the binary version (cifar-10-binary.tar.gz "
             "or cifar-100-binary.tar.gz) was expected",
             path);
    TW_CHECK(!kind || !strstr(kind, "MATLAB"), TW_EDATA,
             "%s: is CIFAR's Matlab version; the binary version (cifar-10-binary.tar.gz or "
             "cifar-100-binary.tar.gz) was expected",
             path);
    TW_CHECK(!kind, TW_EDATA, "%s: is %s; CIFAR records were expected", path, kind);
done:
    return st;
}

static tw_status read_records(tw_spool *spool, const char *path, tw_input *input, int label_bytes)
{
    tw_status st = TW_OK;
    unsigned char record[2 + PIXELS], image[PIXELS];
    const int classes = label_bytes == 1 ? 10 : 100;
    bool end;
    TW_TRY(tw_spool_describe(spool, path, TW_DATASET_UINT8, SIDE, SIDE, 3, true));
    TW_TRY(tw_input_at_end(input, &end));
    TW_CHECK(!end, TW_EDATA, "%s: is empty; CIFAR records were expected", path);
    for (int64_t i = 0; !end; i++) {
        char what[64], where[1200];
        snprintf(what, sizeof what, "record %lld", (long long)i);
        snprintf(where, sizeof where, "%.1000s: record %lld", path, (long long)i);
        TW_TRY(tw_input_read(input, record, (size_t)(label_bytes + PIXELS), what));
        const int label = record[label_bytes - 1];
        TW_CHECK(label < classes, TW_EDATA, "%s has label %d; 0 to %d was expected of CIFAR-%d",
                 where, label, classes - 1, classes);
        for (int p = 0; p < PLANE; p++)
            for (int c = 0; c < 3; c++) image[3 * p + c] = record[label_bytes + c * PLANE + p];
        TW_TRY(tw_spool_append(spool, tw_import_split_of(path), image, label, where));
        TW_TRY(tw_input_at_end(input, &end));
    }
done:
    return st;
}

/* Class names from the text file that comes with the data, if it is there and has one for each
 * class. */
static tw_status read_names(tw_spool *spool, const char *path, int label_bytes)
{
    tw_status st = TW_OK;
    char text[TW_PATH_MAX], line[TW_DATASET_NAME_MAX];
    tw_input *input = NULL;
    const int classes = label_bytes == 1 ? 10 : 100;
    const int directory = (int)(tw_import_basename(path) - path);
    bool more = true;
    TW_TRY(tw_format(text, sizeof text, "%.*s%s", directory, path,
                     label_bytes == 1 ? "batches.meta.txt" : "fine_label_names.txt"));
    if (!tw_file_exists(text)) goto done;
    TW_TRY(tw_input_open(&input, text));
    for (int i = 0; i < classes; i++) {
        TW_TRY(tw_input_line(input, line, sizeof line, &more));
        TW_CHECK(more && line[0], TW_EDATA, "%s: %d class names; %d were expected", text, i,
                 classes);
        TW_TRY(tw_spool_name_class(spool, i, line));
    }
done:
    tw_input_close(&input);
    return st;
}

static tw_status run(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    tw_input *input = NULL;
    int first_label_bytes = 0, label_bytes = 0;
    for (int i = 0; i < options->input_count; i++) {
        const char *path = options->inputs[i];
        TW_TRY(tw_input_open(&input, path));
        TW_TRY(check_version(path, input));
        TW_TRY(choose_label_bytes(&label_bytes, path, input));
        if (i == 0) first_label_bytes = label_bytes;
        TW_CHECK(label_bytes == first_label_bytes, TW_EDATA, "%s: CIFAR-%d, unlike %s", path,
                 label_bytes == 1 ? 10 : 100, options->inputs[0]);
        TW_TRY(read_records(spool, path, input, label_bytes));
        tw_input_close(&input);
    }
    if (!options->class_names) TW_TRY(read_names(spool, options->inputs[0], label_bytes));
done:
    tw_input_close(&input);
    return st;
}

const tw_importer tw_import_cifar = {.name = "cifar",
                                     .summary =
                                         "CIFAR-10 and CIFAR-100 binary files (data_batch_1.bin … "
                                         "test_batch.bin, train.bin, test.bin)",
                                     .run = run};
