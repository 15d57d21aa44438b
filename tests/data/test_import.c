/* Importers: each format to a dataset and back, and each kind of bad input with its code and
 * message. */
#include <math.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zlib.h>

#include "data/fixture.h"
#include "tweedie/data.h"
#include "tweedie/log.h"
#include "tweedie/png.h"

static tw_import_options importing(const char *format, int count, const char *const *inputs)
{
    return (tw_import_options){.format = format,
                               .input_count = count,
                               .inputs = inputs,
                               .path = in("out.h5"),
                               .replace = true};
}

/* The inputs as a literal list. */
#define INPUTS(...)                                                                                \
    (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), (const char *const[])      \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* Everything of a dataset. */
typedef struct contents {
    tw_dataset *d;
    const tw_dataset_spec *spec;
    void *stored;
    int32_t *labels;
} contents;

static contents read_all(const char *split)
{
    contents c = {0};
    const tw_dataset_options options = {.path = in("out.h5"), .split = split, .verify = true};
    assert_ok(tw_dataset_open(&c.d, NULL, &options));
    c.spec = tw_dataset_get_spec(c.d);
    const int64_t n = tw_dataset_count(c.d);
    c.stored = malloc((size_t)n * tw_dataset_sample_bytes(c.spec));
    c.labels = malloc((size_t)n * sizeof *c.labels);
    assert_ok(tw_dataset_read_stored(c.d, 0, n, c.stored, c.labels));
    return c;
}

static void release(contents *c)
{
    free(c->stored);
    free(c->labels);
    tw_dataset_destroy(&c->d);
}

/* ---- idx ---- */

/* An idx file; `count` is what the header claims. Element i is i, modulo 251 for images and 10 for
 * labels. */
static void put_idx(const char *path, bool packed, int axes, uint32_t count, uint32_t height,
                    uint32_t width, size_t elements)
{
    unsigned char *bytes = malloc(16 + elements);
    const uint32_t dims[3] = {count, height, width};
    size_t n = 4;
    memcpy(bytes, (unsigned char[]){0, 0, 8, (unsigned char)axes}, 4);
    for (int i = 0; i < axes; i++)
        for (int k = 24; k >= 0; k -= 8) bytes[n++] = (unsigned char)(dims[i] >> k);
    for (size_t i = 0; i < elements; i++)
        bytes[n++] = (unsigned char)(axes == 1 ? i % 10 : i % 251);
    if (packed) {
        gzFile file = gzopen(path, "wb");
        assert_int_equal(gzwrite(file, bytes, (unsigned)n), (int)n);
        assert_int_equal(gzclose(file), Z_OK);
    } else
        put(path, bytes, n);
    free(bytes);
}

static void idx_files_are_paired_and_split_by_their_names(void **state)
{
    (void)state;
    put_idx(in("t10k-images-idx3-ubyte"), false, 3, 40, 4, 3, 40 * 12);
    put_idx(in("train-images-idx3-ubyte.gz"), true, 3, 200, 4, 3, 200 * 12);
    put_idx(in("train-labels-idx1-ubyte.gz"), true, 1, 200, 0, 0, 200);
    put_idx(in("t10k-labels-idx1-ubyte"), false, 1, 40, 0, 0, 40);
    char inputs[4][512]; /* the order does not matter */
    const char *const names[] = {"train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte",
                                 "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"};
    for (int i = 0; i < 4; i++) snprintf(inputs[i], sizeof inputs[i], "%s", in(names[i]));
    tw_import_options o = importing("idx", INPUTS(inputs[0], inputs[1], inputs[2], inputs[3]));
    tw_import_result result;
    o.license = "CC0";
    assert_ok(tw_dataset_import(&o, &result));
    assert_int_equal(result.spec.count, 240);
    contents c = read_all("train");
    assert_int_equal(tw_dataset_count(c.d), 200);
    assert_int_equal(c.spec->height, 4);
    assert_int_equal(c.spec->width, 3);
    assert_int_equal(c.spec->channels, 1);
    assert_int_equal(c.spec->num_classes, 10);
    assert_string_equal(c.spec->name, "out");
    assert_string_equal(c.spec->license, "CC0");
    assert_string_equal(c.spec->splits[0].name, "train");
    assert_non_null(strstr(c.spec->source, "train-images-idx3-ubyte.gz"));
    /* each image is there once, with its own label, and not in the order of the file */
    int seen[200] = {0}, moved = 0;
    const uint8_t *v = c.stored;
    for (int i = 0; i < 200; i++) {
        int k = 0;
        while (k < 200 && !((12 * k) % 251 == v[12 * i] && k % 10 == c.labels[i] && !seen[k])) k++;
        assert_in_range(k, 0, 199);
        seen[k] = 1;
        moved += k != i;
        for (int e = 0; e < 12; e++) assert_int_equal(v[12 * i + e], (12 * k + e) % 251);
    }
    assert_true(moved > 150);
    release(&c);
    o.keep_order = true;
    o.gzip = 3;
    assert_ok(tw_dataset_import(&o, NULL));
    c = read_all("test");
    assert_int_equal(tw_dataset_count(c.d), 40);
    for (int i = 0; i < 480; i++) assert_int_equal(((uint8_t *)c.stored)[i], i % 251);
    for (int i = 0; i < 40; i++) assert_int_equal(c.labels[i], i % 10);
    release(&c);
}

static void the_order_is_a_function_of_the_seed(void **state)
{
    (void)state;
    size_t a_size, b_size;
    put_idx(in("images"), false, 3, 200, 2, 2, 800);
    tw_import_options o = importing("idx", INPUTS(in("images")));
    assert_ok(tw_dataset_import(&o, NULL));
    unsigned char *a = take(in("out.h5"), &a_size);
    assert_ok(tw_dataset_import(&o, NULL));
    unsigned char *b = take(in("out.h5"), &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(b);
    o.seed = 1;
    assert_ok(tw_dataset_import(&o, NULL));
    b = take(in("out.h5"), &b_size);
    assert_true(a_size != b_size || memcmp(a, b, a_size) != 0);
    free(a);
    free(b);
}

static void transposed_images_are_turned(void **state)
{
    (void)state;
    put_idx(in("emnist"), false, 3, 1, 2, 3, 6); /* columns of 3: 0 1 2, 3 4 5 */
    tw_import_options o = importing("idx", INPUTS(in("emnist")));
    o.transpose = true;
    assert_ok(tw_dataset_import(&o, NULL));
    contents c = read_all("all");
    const uint8_t expected[] = {0, 3, 1, 4, 2, 5};
    assert_int_equal(c.spec->height, 3);
    assert_int_equal(c.spec->width, 2);
    assert_int_equal(c.spec->num_classes, 0);
    assert_memory_equal(c.stored, expected, 6);
    release(&c);
}

static void a_part_of_unsplit_samples_becomes_the_test_split(void **state)
{
    (void)state;
    put_idx(in("images"), false, 3, 50, 1, 2, 100);
    tw_import_options o = importing("idx", INPUTS(in("images")));
    o.test_fraction = 0.2;
    assert_ok(tw_dataset_import(&o, NULL));
    contents c = read_all("test");
    assert_int_equal(tw_dataset_count(c.d), 10);
    assert_int_equal(c.spec->splits[0].last, 40);
    release(&c);
    o.test_fraction = 0;
    o.split = "validation";
    assert_ok(tw_dataset_import(&o, NULL));
    c = read_all("validation");
    assert_int_equal(tw_dataset_count(c.d), 50);
    release(&c);
    o.split = "a/b";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--split", "a/b");
    o.split = "x";
    o.test_fraction = 0.5;
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "exclude each other");
    put_idx(in("train-images"), false, 3, 50, 1, 2, 100);
    o = importing("idx", INPUTS(in("train-images")));
    o.test_fraction = 0.2;
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--test-fraction", "\"train\"");
}

static void bad_idx_files_are_refused(void **state)
{
    (void)state;
    tw_import_options one = importing("idx", INPUTS(in("bad")));
    assert_fails(tw_dataset_import(&one, NULL), TW_ENOINPUT, "bad", "No such file");
    put(in("bad"), "", 0);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "truncated", "the header");
    put(in("bad"), "PK\003\004 something else", 18);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "50 4b 03 04", "00 00 08");
    put(in("bad"), "\0\0\x0a\3xxxxxxxxxxxxxxx", 19);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "type 0x0a");
    put(in("bad"), "\0\0\x08\5xxxxxxxxxxxxxxx", 19);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "5 axes");
    put_idx(in("bad"), false, 3, 10, 2, 2, 39);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "truncated", "40 bytes", "39");
    put_idx(in("bad"), false, 3, 10, 2, 2, 41);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "1 bytes too long");
    put_idx(in("bad"), true, 3, 10, 2, 2, 39); /* gzip: found while reading */
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "truncated", "image 9 of 10");
    put_idx(in("bad"), true, 3, 10, 2, 2, 41);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "data follow");
    put_idx(in("bad"), false, 3, 0, 2, 2, 0);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "axis 0", "empty");
    put_idx(in("bad"), false, 3, 4294967295u, 4294967295u, 4294967295u, 100);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad",
                 "more elements than can be counted");
    put_idx(in("bad"), true, 3, 4294967295u, 65535, 30000, 100);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "truncated", "claims");

    size_t size; /* a damaged gzip stream */
    put_idx(in("bad"), true, 3, 1000, 5, 5, 25000);
    unsigned char *bytes = take(in("bad"), &size);
    bytes[size / 2] ^= 0xff;
    put(in("bad"), bytes, size);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad");
    bytes[size / 2] ^= 0xff;
    put(in("bad"), bytes, size / 2);
    assert_fails(tw_dataset_import(&one, NULL), TW_EDATA, "bad", "truncated");
    free(bytes);

    char images[512], labels[512];
    snprintf(images, sizeof images, "%s", in("images"));
    snprintf(labels, sizeof labels, "%s", in("labels"));
    put_idx(images, false, 3, 10, 2, 2, 40);
    put_idx(labels, false, 1, 9, 0, 0, 9);
    tw_import_options two = importing("idx", INPUTS(images, labels));
    assert_fails(tw_dataset_import(&two, NULL), TW_EDATA, labels, images,
                 "9 labels for the 10 images");
    put_idx(labels, false, 1, 10, 0, 0, 10);
    two.num_classes = 9;
    assert_fails(tw_dataset_import(&two, NULL), TW_EDATA, labels, "label 9 is 9", "0 to 8");
    tw_import_options only_labels = importing("idx", INPUTS(labels));
    assert_fails(tw_dataset_import(&only_labels, NULL), TW_EDATA, labels, "no file of images");
    put_idx(in("more"), false, 3, 10, 2, 2, 40);
    tw_import_options three = importing("idx", INPUTS(images, in("more"), labels));
    assert_fails(tw_dataset_import(&three, NULL), TW_EDATA, "2 files of images and 1 of labels");
    put_idx(in("more"), false, 3, 10, 3, 2, 60);
    tw_import_options sizes = importing("idx", INPUTS(images, in("more")));
    assert_fails(tw_dataset_import(&sizes, NULL), TW_EDATA, "more", "3 x 2 x 1", "2 x 2 x 1");
    assert_int_equal(count_files(".out"), 0); /* no scratch file, no part */
}

/* ---- cifar ---- */

static void put_cifar(const char *path, int records, int label_bytes, int label, size_t extra)
{
    const size_t size = (size_t)records * (size_t)(label_bytes + 3072);
    unsigned char *bytes = calloc(1, size + extra);
    for (int i = 0; i < records; i++) {
        unsigned char *r = bytes + (size_t)i * (size_t)(label_bytes + 3072);
        r[label_bytes - 1] = (unsigned char)label;
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < 1024; p++)
                r[label_bytes + 1024 * c + p] = (unsigned char)(p / 8 + 100 * c + i);
    }
    put(path, bytes, size + extra);
    free(bytes);
}

static void cifar_records_become_channels_last_with_fine_labels(void **state)
{
    (void)state;
    put_cifar(in("data_batch_1.bin"), 3, 1, 7, 0);
    put_cifar(in("test_batch.bin"), 2, 1, 9, 0);
    put(in("batches.meta.txt"),
        "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n", 62);
    tw_import_options o = importing("cifar", INPUTS(in("data_batch_1.bin"), in("test_batch.bin")));
    o.keep_order = true;
    assert_ok(tw_dataset_import(&o, NULL));
    contents c = read_all("all");
    assert_int_equal(c.spec->count, 5);
    assert_int_equal(c.spec->num_classes, 10);
    assert_string_equal(c.spec->class_names[9], "truck");
    assert_string_equal(c.spec->splits[0].name, "train");
    assert_int_equal(c.spec->splits[1].first, 3);
    const uint8_t *v = c.stored;
    for (int p = 0; p < 1024; p++)
        for (int k = 0; k < 3; k++)
            assert_int_equal(v[3072 + 3 * p + k], (uint8_t)(p / 8 + 100 * k + 1));
    assert_int_equal(c.labels[0], 7);
    assert_int_equal(c.labels[4], 9);
    release(&c);
    put_cifar(in("train.bin"), 2, 2, 99, 0);
    o = importing("cifar", INPUTS(in("train.bin")));
    assert_ok(tw_dataset_import(&o, NULL));
    c = read_all("train");
    assert_int_equal(c.spec->num_classes, 100);
    assert_int_equal(c.labels[1], 99);
    release(&c);
}

static void bad_cifar_files_are_refused(void **state)
{
    (void)state;
    tw_import_options o = importing("cifar", INPUTS(in("data_batch_9.bin")));
    put_cifar(in("data_batch_9.bin"), 2, 1, 3, 1);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "data_batch_9.bin", "truncated", "3073");
    put_cifar(in("data_batch_9.bin"), 2, 1, 10, 0);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "data_batch_9.bin: record 0", "label 10",
                 "0 to 9");
    put(in("data_batch_9.bin"), "", 0);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "data_batch_9.bin", "is empty");
    put_cifar(in("some"), 1, 1, 0, 5);
    o = importing("cifar", INPUTS(in("some")));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "some", "CIFAR-10 or CIFAR-100");
    char tar[1024] = "cifar-10-batches-bin/";
    memcpy(tar + 257, "ustar", 5);
    put(in("cifar-10-binary.tar"), tar, sizeof tar);
    o = importing("cifar", INPUTS(in("cifar-10-binary.tar")));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "cifar-10-binary.tar", "tar archive",
                 "tar xf");
    put_cifar(in("data_batch_1.bin"), 1, 1, 0, 0);
    put_cifar(in("train.bin"), 1, 2, 0, 0);
    o = importing("cifar", INPUTS(in("data_batch_1.bin"), in("train.bin")));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "train.bin", "CIFAR-100",
                 "data_batch_1.bin");
}

/* ---- images ---- */

static void put_png(const char *name, int height, int width, int channels, int value)
{
    uint8_t *pixels = malloc((size_t)(height * width * channels));
    memset(pixels, value, (size_t)(height * width * channels));
    assert_ok(tw_png_write(in(name), pixels, height, width, channels));
    free(pixels);
}

static void folders(const char *const *names)
{
    for (; *names; names++) assert_int_equal(mkdir(in(*names), 0777), 0);
}

static void sub_folders_of_images_are_classes_in_the_order_of_their_names(void **state)
{
    (void)state;
    folders(
        (const char *const[]){"pets", "pets/dog", "pets/cat", "pets/cat/deep", "pets/.git", NULL});
    put_png("pets/dog/a.PNG", 4, 4, 3, 10);
    put_png("pets/cat/b.png", 4, 4, 3, 20);
    put_png("pets/cat/deep/c.png", 4, 4, 1, 30); /* grey among colour is welcome */
    put_png("pets/.git/d.png", 9, 9, 3, 40);
    put(in("pets/readme.txt"), "hello", 5);
    tw_import_options o = importing("images", INPUTS(in("pets")));
    o.keep_order = true;
    assert_ok(tw_dataset_import(&o, NULL));
    contents c = read_all("all");
    assert_int_equal(c.spec->count, 3);
    assert_int_equal(c.spec->channels, 3);
    assert_int_equal(c.spec->num_classes, 2);
    assert_string_equal(c.spec->class_names[0], "cat");
    assert_string_equal(c.spec->class_names[1], "dog");
    const uint8_t *v = c.stored;
    assert_true(v[0] == 20 && v[48] == 30 && v[96] == 10);
    assert_true(c.labels[0] == 0 && c.labels[1] == 0 && c.labels[2] == 1);
    release(&c);
    o.colour = TW_COLOUR_GREY;
    o.height = 2;
    o.width = 3;
    assert_ok(tw_dataset_import(&o, NULL));
    c = read_all("all");
    assert_int_equal(c.spec->height, 2);
    assert_int_equal(c.spec->width, 3);
    assert_int_equal(c.spec->channels, 1);
    release(&c);
}

static void folders_named_train_and_test_are_splits(void **state)
{
    (void)state;
    folders((const char *const[]){"split", "split/train", "split/test", "split/train/a",
                                  "split/train/b", "split/test/b", NULL});
    put_png("split/train/a/1.png", 3, 3, 1, 1);
    put_png("split/train/b/2.png", 3, 3, 1, 2);
    put_png("split/test/b/3.png", 3, 3, 1, 3);
    tw_import_options o = importing("images", INPUTS(in("split")));
    assert_ok(tw_dataset_import(&o, NULL));
    contents c = read_all("test");
    assert_int_equal(tw_dataset_count(c.d), 1);
    assert_int_equal(c.labels[0], 1);
    assert_int_equal(*(uint8_t *)c.stored, 3);
    assert_int_equal(c.spec->splits[0].last, 2);
    release(&c);
}

static void bad_folders_and_images_are_refused(void **state)
{
    (void)state;
    folders((const char *const[]){"bad_images", "none", "mixed", "mixed/class", NULL});
    tw_import_options o = importing("images", INPUTS(in("nowhere")));
    assert_fails(tw_dataset_import(&o, NULL), TW_ENOINPUT, "nowhere", "No such file");
    o = importing("images", INPUTS(in("none")));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "none", "no samples");
    put_png("mixed/a.png", 3, 3, 1, 1);
    put_png("mixed/class/b.png", 3, 3, 1, 1);
    o = importing("images", INPUTS(in("mixed")));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "mixed", "1 images beside 1 sub-folders");

    o = importing("images", INPUTS(in("bad_images")));
    put_png("bad_images/a.png", 4, 4, 1, 1);
    put_png("bad_images/b.png", 4, 5, 1, 1);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "b.png", "4 x 5 x 1", "4 x 4 x 1",
                 "--size");
    o.crop = true;
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--crop needs --size");
    o.height = o.width = 4;
    assert_ok(tw_dataset_import(&o, NULL));
    put_png("bad_images/b.png", 4, 4, 3, 1);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "b.png", "colour image after grey ones",
                 "--rgb");
    put(in("bad_images/b.png"), "GIF89a", 6);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "b.png", "a GIF image", "--skip-damaged");
    put(in("bad_images/b.png"), "abcdef", 6);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "b.png", "not an image", "61 62 63 64");
    put(in("bad_images/b.png"), "", 0);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "b.png", "is empty");
    o.background = "purple";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "purple", "#rrggbb");
    o.background = "#0000zz";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "#0000zz");
    assert_int_equal(unlink(in("bad_images/b.png")), 0);
    assert_int_equal(symlink("missing", in("bad_images/b.png")), 0);
    o.background = NULL;
    assert_fails(tw_dataset_import(&o, NULL), TW_ENOINPUT, "b.png", "No such file");
}

/* ---- points ---- */

static void text_points_are_normalised_by_what_was_measured(void **state)
{
    (void)state;
    const char *text = "# x y\n1 10\n\n 3\t30 # the second\r\n5  50\r7e0 +70";
    float x[8];
    put(in("points.txt"), text, strlen(text));
    tw_import_options o = importing("points", INPUTS(in("points.txt")));
    o.keep_order = true;
    assert_ok(tw_dataset_import(&o, NULL));
    contents c = read_all("all");
    assert_int_equal(c.spec->kind, TW_DATASET_POINTS);
    assert_int_equal(c.spec->count, 4);
    assert_int_equal(c.spec->channels, 2);
    const float *v = c.stored;
    assert_true(v[2] == 3 && v[3] == 30 && v[7] == 70);
    assert_ok(tw_dataset_read(c.d, 0, 4, x, NULL));
    /* mean 4 and 40, variance 5 and 500 */
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++) assert_true(fabs(x[2 * i + k] - (2 * i - 3) / sqrt(5)) < 1e-6);
    release(&c);
    o.normalise = TW_NORMALISE_RANGE;
    assert_ok(tw_dataset_import(&o, NULL));
    c = read_all("all");
    assert_ok(tw_dataset_read(c.d, 0, 4, x, NULL));
    assert_true(x[0] == -1 && x[1] == -1 && x[6] == 1 && x[7] == 1);
    release(&c);
}

static void bad_text_is_refused_by_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line, *message;
    } cases[] = {
        {"1 2\n3 x4\n", "p.txt:2", "\"x4\" is not a number"},
        {"1 2\n3\n", "p.txt:2", "1 numbers; 2 were expected"},
        {"1 2\n\n3 4 5\n", "p.txt:3", "3 numbers; 2 were expected"},
        {"1 nan\n", "p.txt:1", "not a finite"},
        {"1 1e39\n", "p.txt:1", "not a finite"},
        {"1 2..3\n", "p.txt:1", "\"2..3\" is not a number"},
        {"# nothing\n\n", "p.txt", "no samples"},
    };
    tw_import_options o = importing("points", INPUTS(in("p.txt")));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(in("p.txt"), cases[i].text, strlen(cases[i].text));
        assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, cases[i].line, cases[i].message);
    }
    char *line = malloc(3 << 20);
    memset(line, '1', 3 << 20);
    put(in("p.txt"), line, 3 << 20);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "p.txt:1", "longer than");
    free(line);
}

static void generated_points_have_the_density_they_are_named_for(void **state)
{
    (void)state;
    tw_import_options o = importing("circles", 0, NULL);
    o.count = 4000;
    o.seed = 5;
    assert_ok(tw_dataset_import(&o, NULL));
    contents c = read_all("all");
    assert_int_equal(c.spec->count, 4000);
    assert_int_equal(c.spec->num_classes, 2);
    assert_true(c.spec->scale[0] == 1 && c.spec->offset[0] == 0);
    const float *v = c.stored;
    double outer = 0, square = 0;
    for (int i = 0; i < 4000; i++) {
        const double r = hypot(v[2 * i], v[2 * i + 1]) - (c.labels[i] ? 0.75 : 1.5);
        outer += !c.labels[i];
        square += r * r;
        assert_true(fabs(r) < 0.3); /* six deviations */
    }
    assert_true(fabs(outer - 2000) < 5 * sqrt(1000));
    assert_true(fabs(sqrt(square / 4000) - 0.05) < 0.004);
    release(&c);

    o.format = "mixture";
    assert_ok(tw_dataset_import(&o, NULL));
    c = read_all("all");
    v = c.stored;
    square = 0;
    for (int i = 0; i < 4000; i++) {
        const double angle = 2 * M_PI * c.labels[i] / 8, dx = v[2 * i] - 1.5 * cos(angle),
                     dy = v[2 * i + 1] - 1.5 * sin(angle);
        square += dx * dx + dy * dy;
    }
    assert_true(fabs(square / 8000 - 0.01) < 0.001);
    release(&c);

    o.format = "spiral";
    assert_ok(tw_dataset_import(&o, NULL));
    c = read_all("all");
    v = c.stored;
    for (int i = 0; i < 4000; i++) { /* the angle says the radius, up to whole turns */
        const double r = hypot(v[2 * i], v[2 * i + 1]), angle = atan2(v[2 * i + 1], v[2 * i]);
        const double turn = (r / 2 * 4 * M_PI - angle) / (2 * M_PI);
        assert_true(r < 0.5 || fabs(turn - nearbyint(turn)) < 0.35);
    }
    release(&c);
    o.format = "rings";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "no format \"rings\"");
    o = importing("circles", INPUTS("file"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "makes its points itself");
}

static void an_existing_file_is_only_replaced_when_asked(void **state)
{
    (void)state;
    tw_import_options o = importing("circles", 0, NULL);
    o.path = in("kept.h5");
    o.replace = false;
    o.count = 10;
    assert_ok(tw_dataset_import(&o, NULL));
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "kept.h5", "exists already", "--force");
    o.replace = true;
    assert_ok(tw_dataset_import(&o, NULL));
    o.path = in("no/folder.h5");
    assert_fails(tw_dataset_import(&o, NULL), TW_EIO, "no/folder.h5");
}

/* The peak memory, in KiB, of a process that imports so many points. */
static long peak_of(int64_t count)
{
    struct rusage used;
    int code;
    const pid_t child = fork();
    if (child == 0) {
        tw_import_options o = importing("circles", 0, NULL);
        o.count = count;
        _exit(tw_dataset_import(&o, NULL) == TW_OK ? 0 : 1);
    }
    assert_int_equal(wait4(child, &code, 0, &used), child);
    assert_int_equal(code, 0);
    return used.ru_maxrss;
}

static void memory_does_not_grow_with_the_number_of_samples(void **state)
{
    (void)state;
#ifdef TWEEDIE_SANITIZE
    skip(); /* the sanitizers keep what was freed */
#endif
    const long few = peak_of(20000), many = peak_of(1000000); /* records of 0.24 and 12 MB */
    assert_true(many < few + 2048);
}

static void formats_are_listed(void **state)
{
    (void)state;
    const char *name, *summary;
    int count = 0, found = 0;
    while (tw_import_format(count, &name, &summary)) {
        count++;
        found += strcmp(name, "idx") == 0 || strcmp(name, "circles") == 0;
        assert_true(strlen(summary) > 10);
    }
    assert_int_equal(count, 10);
    assert_int_equal(found, 2);
}

int main(void)
{
    tw_log_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_files_are_paired_and_split_by_their_names),
        cmocka_unit_test(the_order_is_a_function_of_the_seed),
        cmocka_unit_test(transposed_images_are_turned),
        cmocka_unit_test(a_part_of_unsplit_samples_becomes_the_test_split),
        cmocka_unit_test(bad_idx_files_are_refused),
        cmocka_unit_test(cifar_records_become_channels_last_with_fine_labels),
        cmocka_unit_test(bad_cifar_files_are_refused),
        cmocka_unit_test(sub_folders_of_images_are_classes_in_the_order_of_their_names),
        cmocka_unit_test(folders_named_train_and_test_are_splits),
        cmocka_unit_test(bad_folders_and_images_are_refused),
        cmocka_unit_test(text_points_are_normalised_by_what_was_measured),
        cmocka_unit_test(bad_text_is_refused_by_its_line),
        cmocka_unit_test(generated_points_have_the_density_they_are_named_for),
        cmocka_unit_test(an_existing_file_is_only_replaced_when_asked),
        cmocka_unit_test(memory_does_not_grow_with_the_number_of_samples),
        cmocka_unit_test(formats_are_listed),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
