/* Folders of images as people have them: which are splits and which are classes, what is left out,
 * and what is told of it. */
#include <png.h>

#include "data/fixture.h"
#include "data/folder.h"
#include "data/split_name.h"
#include "tweedie/data.h"
#include "tweedie/log.h"
#include "tweedie/png.h"

/* What the program said on standard error is in the file "said". */
static int saved;

static void listen(void)
{
    fflush(stderr);
    saved = dup(2);
    assert_non_null(freopen(in("said"), "w", stderr));
}

static char *heard(void)
{
    size_t size;
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    char *text = (char *)take(in("said"), &size);
    text[size] = '\0';
    return text;
}

#define assert_said(text, ...) check_said((text), (const char *const[]){__VA_ARGS__, NULL})

static void check_said(char *text, const char *const *words)
{
    for (; *words; words++)
        if (!strstr(text, *words)) fail_msg("\"%s\" was not said, but: %s", *words, text);
    free(text);
}

/* An image of one grey at a path of which the folders are made. */
static void image(const char *name, int value)
{
    uint8_t pixels[4];
    char path[512];
    snprintf(path, sizeof path, "%s", in(name));
    for (char *slash = strchr(path + strlen(directory) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0777);
        *slash = '/';
    }
    memset(pixels, value, sizeof pixels);
    assert_ok(tw_png_write(path, pixels, 2, 2, 1));
}

static void images(const char *const *names)
{
    for (int i = 0; names[i]; i++) image(names[i], 10 * (i + 1));
}

#define IMAGES(...) images((const char *const[]){__VA_ARGS__, NULL})

static tw_import_options importing(const char *first, const char *second)
{
    static const char *inputs[2];
    inputs[0] = in(first);
    inputs[1] = second ? in(second) : NULL;
    return (tw_import_options){.format = "images",
                               .input_count = second ? 2 : 1,
                               .inputs = inputs,
                               .path = in("out.h5"),
                               .keep_order = true,
                               .replace = true};
}

/* "train=0:2,test=2:3 | cat,dog | 10.0 20.1 30.0": splits, classes, the value and label of each
 * image in the order of the file. */
static const char *outcome(void)
{
    static char text[1024];
    tw_dataset *d = NULL;
    const tw_dataset_options options = {.path = in("out.h5"), .split = "all", .verify = true};
    assert_ok(tw_dataset_open(&d, NULL, &options));
    const tw_dataset_spec *spec = tw_dataset_get_spec(d);
    uint8_t pixels[64 * 4];
    int32_t labels[64];
    size_t n = 0;
    for (int i = 0; i < spec->split_count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s=%d:%d", i ? "," : "",
                              spec->splits[i].name, (int)spec->splits[i].first,
                              (int)spec->splits[i].last);
    n += (size_t)snprintf(text + n, sizeof text - n, " | ");
    for (int i = 0; i < spec->num_classes; i++)
        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? "," : "", spec->class_names[i]);
    n += (size_t)snprintf(text + n, sizeof text - n, " |");
    assert_true(spec->count <= 64);
    assert_ok(tw_dataset_read_stored(d, 0, spec->count, pixels, labels));
    for (int i = 0; i < spec->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %d.%d", pixels[4 * i], labels[i]);
    tw_dataset_destroy(&d);
    return text;
}

#define assert_outcome(options, text)                                                              \
    do {                                                                                           \
        assert_ok(tw_dataset_import(options, NULL));                                               \
        assert_string_equal(outcome(), text);                                                      \
    } while (0)

/* ---- names ---- */

static void names_of_splits_are_known_in_every_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *name, *split;
        bool exact;
    } cases[] = {
        {"train", "train", true},
        {"Train", "train", true},
        {"TRAINING", "train", true},
        {"TrainSet", "train", true},
        {"training_set", "train", true},
        {"train2017", "train", true},
        {"train-images", "train", true},
        {"images_train", "train", true},
        {"val", "val", true},
        {"Valid", "valid", true},
        {"Validation", "validation", true},
        {"dev", "dev", true},
        {"EVAL", "eval", true},
        {"test", "test", true},
        {"Testing", "test", true},
        {"test1", "test", true},
        {"seg_train", "train", false},
        {"asl_alphabet_test", "test", false},
        {"steam_train", "train", false},
        {"cat", "", false},
        {"latest", "", false},
        {"contest", "", false},
        {"trainer", "", false},
        {"device", "", false},
        {"value", "", false},
        {"train_test_split", "", false},
        {"0", "", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tw_split_name s = tw_split_name_of(cases[i].name);
        assert_string_equal(s.split, cases[i].split);
        assert_int_equal(s.exact, cases[i].exact);
    }
    const tw_split_name a = tw_split_name_of("seg_train"), b = tw_split_name_of("seg_test"),
                        c = tw_split_name_of("toy_test");
    assert_true(tw_split_names_pair(&a, &b));
    assert_false(tw_split_names_pair(&a, &c) || tw_split_names_pair(&b, &b));
    char longest[400];
    memset(longest, 'x', sizeof longest);
    memcpy(longest + 380, "_train", 7);
    assert_string_equal(tw_split_name_of(longest).split, "train");
}

/* ---- splits ---- */

static void splits_in_any_spelling_are_splits(void **state)
{
    (void)state;
    IMAGES("a/Train/cat/1.png", "a/Train/dog/2.png", "a/Valid/cat/3.png", "a/Testing/dog/4.png");
    tw_import_options o = importing("a", NULL);
    assert_outcome(&o, "train=0:2,test=2:3,valid=3:4 | cat,dog | 10.0 20.1 40.1 30.0");
    IMAGES("b/seg_train/seg_train/cat/1.png", "b/seg_test/seg_test/cat/2.png");
    o = importing("b", NULL);
    assert_outcome(&o, "train=0:1,test=1:2 | cat | 10.0 20.0");
    o = importing("b/seg_test", "b/seg_train");
    assert_outcome(&o, "train=0:1,test=1:2 | cat | 10.0 20.0");
    IMAGES("c/train2017/1.png", "c/val2017/2.png");
    o = importing("c", NULL);
    assert_outcome(&o, "train=0:1,val=1:2 |  | 10.-1 20.-1");
}

static void splits_are_found_inside_wrappers_and_beside_folders_without_images(void **state)
{
    (void)state;
    IMAGES("w/archive/chest/train/cat/1.png", "w/archive/chest/test/cat/2.png",
           "w/archive/__MACOSX/chest/train/cat/3.png");
    (void)mkdir(in("w/archive/chest/annotations"), 0777);
    put(in("w/archive/chest/annotations/a.json"), "{}", 2);
    tw_import_options o = importing("w", NULL);
    listen();
    assert_outcome(&o, "train=0:1,test=1:2 | cat | 10.0 20.0");
    assert_said(heard(), "system folders: 1 (", "__MACOSX", "folders without images: 1 (",
                "annotations");
    IMAGES("y/images/train/1.png", "y/images/val/2.png");
    (void)mkdir(in("y/labels"), 0777);
    put(in("y/labels/1.txt"), "0 1 2", 5);
    o = importing("y", NULL);
    assert_outcome(&o, "train=0:1,val=1:2 |  | 10.-1 20.-1");
}

static void inputs_named_as_splits_are_splits(void **state)
{
    (void)state;
    IMAGES("i/train/cat/1.png", "i/test/cat/2.png", "i/more/cat/3.png",
           "i/__MACOSX/train/cat/9.png");
    tw_import_options o = importing("i/test/", "i/train");
    assert_outcome(&o, "train=0:1,test=1:2 | cat | 10.0 20.0");
    o = importing("i/test/cat/2.png", "i/train/cat/1.png");
    assert_outcome(&o, "train=0:1,test=1:2 |  | 10.-1 20.-1");
    o = importing("i/__MACOSX", "i/test");
    assert_outcome(&o, "test=0:1 | cat | 20.0");
    o = importing("i/train", "i/more");
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "more", "tells no split",
                 "--class-folders");
    o = importing("i/train", NULL); /* alone it is no split, so that a part can be held back */
    assert_outcome(&o, "train=0:1 | cat | 10.0");
    o.split = "other";
    assert_outcome(&o, "other=0:1 | cat | 10.0");
    o = importing("i/train", "i/test");
    o.split = "train";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--split train", "splits of their own");
    /* a folder that happens to be called "test" */
    IMAGES("j/test/train/cat/1.png", "j/test/test/cat/2.png");
    o = importing("j/test", NULL);
    assert_outcome(&o, "train=0:1,test=1:2 | cat | 10.0 20.0");
}

static void what_may_be_either_is_refused_and_the_options_decide(void **state)
{
    (void)state;
    IMAGES("v/bus/1.png", "v/car/2.png", "v/train/3.png");
    tw_import_options o = importing("v", NULL);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "v: train", "bus, car", "--split-folders",
                 "--class-folders");
    o.folders = TW_FOLDERS_CLASSES;
    assert_outcome(&o, "train=0:3 | bus,car,train | 10.0 20.1 30.2");
    IMAGES("e/train/cat/1.png", "e/test/cat/2.png", "e/extra/cat/3.png", "e/4.png");
    o = importing("e", NULL);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "e: test, train", "extra",
                 "--split-folders");
    o.folders = TW_FOLDERS_SPLITS;
    listen();
    assert_outcome(&o, "train=0:1,test=1:2 | cat | 10.0 20.0");
    assert_said(heard(), "images in no split folder: 2");
    /* classes first, splits inside */
    IMAGES("g/cat/train/1.png", "g/cat/test/2.png", "g/dog/train/3.png", "g/dog/test/4.png");
    o = importing("g", NULL);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "g/cat/test",
                 "inside of what would be a class");
    o.folders = TW_FOLDERS_SPLITS;
    assert_outcome(&o, "train=0:2,test=2:4 | cat,dog | 10.0 30.1 20.0 40.1");
    o.folders = TW_FOLDERS_CLASSES;
    assert_outcome(&o, "train=0:4 | cat,dog | 20.0 10.0 40.1 30.1");
    IMAGES("n/cat/1.png");
    o = importing("n", NULL);
    o.folders = TW_FOLDERS_SPLITS;
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "no folder in it is named as a split");
}

static void a_class_named_as_a_split_inside_splits_is_a_class(void **state)
{
    (void)state;
    IMAGES("t/train/bus/1.png", "t/train/train/2.png", "t/test/bus/3.png", "t/test/train/4.png");
    tw_import_options o = importing("t", NULL);
    assert_outcome(&o, "train=0:2,test=2:4 | bus,train | 10.0 20.1 30.0 40.1");
    IMAGES("s/steam_train/1.png", "s/car/2.png");
    o = importing("s", NULL);
    assert_outcome(&o, "train=0:2 | car,steam_train | 20.0 10.1");
}

/* ---- what is left out ---- */

static void folders_of_the_system_never_become_classes(void **state)
{
    (void)state;
    IMAGES("p/cat/1.png", "p/cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.png", "p/@eaDir/x.png",
           "p/__MACOSX/cat/2.png", "p/.ipynb_checkpoints/3.png", "p/lost+found/4.png",
           "p/$RECYCLE.BIN/5.png", "p/System Volume Information/6.png", "p/#recycle/7.png",
           "p/.git/8.png", "p/dog/9.PNG", "p/dog/._9.png");
    put(in("p/Thumbs.db"), "x", 1);
    put(in("p/cat/notes.txt"), "x", 1);
    put(in("p/cat/more.TXT"), "x", 1);
    image("p/cat/odd.dat", 1);
    image("p/cat/bare", 120);
    (void)mkdir(in("p/empty"), 0777);
    tw_import_options o = importing("p", NULL);
    listen();
    assert_outcome(&o, "train=0:3 | cat,dog,empty | 10.0 120.0 110.1");
    assert_said(heard(), "left out: system folders: 7 (", "left out: hidden folders: 2 (",
                "left out: hidden files: 1 (", "left out: system files: 1 (",
                "left out: files named .txt: 1 (", "left out: files named .TXT: 1 (",
                "left out: images by their content, but named .dat: 1 (",
                "class folders without images: 1 (", "p/empty");
}

static void all_damaged_files_are_named_in_one_run(void **state)
{
    (void)state;
    IMAGES("d/a/1.png", "d/a/2.png", "d/a/3.png", "d/b/4.png");
    tw_import_options o = importing("d", NULL);
    put(in("d/a/2.png"), "", 0);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "d/a/2.png: is empty", "--skip-damaged");
    put(in("d/b/5.jpg"), "\xff\xd8\xff\xe0", 4);
    put(in("d/b/6.webp"), "no image", 8);
    listen();
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "3 of 6 images cannot be read",
                 "--skip-damaged");
    assert_said(heard(), "d/a/2.png: is empty", "d/b/5.jpg: damaged JPEG",
                "d/b/6.webp: not an image");
    o.skip_damaged = true;
    listen();
    assert_outcome(&o, "train=0:3 | a,b | 10.0 30.0 40.1");
    assert_said(heard(), "left out: ", "d/a/2.png: is empty", "d/b/5.jpg", "d/b/6.webp",
                "3 of 6 images were left out");
}

static void a_png_without_its_end_is_told(void **state)
{
    (void)state;
    size_t size;
    IMAGES("q/1.png", "q/2.png");
    unsigned char *bytes = take(in("q/2.png"), &size);
    put(in("q/2.png"), bytes, size - 12);
    free(bytes);
    tw_import_options o = importing("q", NULL);
    listen();
    assert_outcome(&o, "train=0:2 |  | 10.-1 20.-1");
    assert_said(heard(), "images without its end chunk (IEND)", "q/2.png");
}

static void class_names_have_any_length(void **state)
{
    (void)state;
    char name[256], path[512], expected[600];
    memset(name, 'k', 255);
    name[255] = '\0';
    snprintf(path, sizeof path, "l/%s/1.png", name);
    IMAGES(path, "l/z/2.png");
    tw_import_options o = importing("l", NULL);
    snprintf(expected, sizeof expected, "train=0:2 | %s,z | 10.0 20.1", name);
    assert_outcome(&o, expected);
}

static void links_that_lead_back_are_refused(void **state)
{
    (void)state;
    IMAGES("r/cat/1.png");
    assert_int_equal(symlink("..", in("r/cat/loop")), 0);
    tw_import_options o = importing("r", NULL);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "leads back");
}

static void labelled_and_unlabelled_images_are_not_mixed(void **state)
{
    (void)state;
    IMAGES("k/train/cat/1.png", "k/test/2.png");
    tw_import_options o = importing("k", NULL);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA,
                 "images in class folders and images in none");
    IMAGES("u/train/cat/1.png", "u/test/cat/2.png", "u/test/dog/3.png");
    o = importing("u", NULL);
    listen();
    assert_outcome(&o, "train=0:1,test=1:3 | cat,dog | 10.0 20.0 30.1");
    assert_said(heard(), "classes without images to train on: 1 (dog)");
}

/* ---- bits ---- */

/* A grey image of 16 bits, one row of four values. */
static void deep_image(const char *name, const uint16_t values[4])
{
    FILE *file = fopen(in(name), "wb");
    uint8_t row[8];
    for (int i = 0; i < 8; i++) row[i] = (uint8_t)(values[i / 2] >> (i % 2 ? 0 : 8));
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, 4, 1, 16, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    png_write_info(png, info);
    png_write_row(png, row);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

static void assert_stored(const tw_import_options *o, tw_dataset_kind kind, const double wanted[4])
{
    tw_dataset *d = NULL;
    const tw_dataset_options options = {.path = in("out.h5"), .verify = true};
    union {
        float values[4];
        uint8_t pixels[16];
    } v;
    assert_ok(tw_dataset_import(o, NULL));
    assert_ok(tw_dataset_open(&d, NULL, &options));
    const tw_dataset_spec *spec = tw_dataset_get_spec(d);
    assert_int_equal(spec->kind, kind);
    assert_ok(tw_dataset_read_stored(d, 0, 1, &v, NULL));
    for (int i = 0; i < 4; i++)
        assert_true((kind == TW_DATASET_UINT8 ? v.pixels[i] : v.values[i]) == wanted[i]);
    if (kind != TW_DATASET_UINT8) { /* the least and the largest value are -1 and 1 */
        float x[4];
        assert_ok(tw_dataset_read(d, 0, 1, x, NULL));
        assert_true(x[0] == -1 && x[3] == 1);
    }
    tw_dataset_destroy(&d);
}

static void sixteen_bit_images_keep_their_values_and_range(void **state)
{
    (void)state;
    const uint16_t full[] = {0, 257, 40000, 65535}, twelve[] = {0, 16, 2048, 4095};
    (void)mkdir(in("b16"), 0777);
    deep_image("b16/1.png", full);
    tw_import_options o = importing("b16", NULL);
    assert_stored(&o, TW_DATASET_FLOAT32, (const double[]){0, 257, 40000, 65535});
    o.bits = 8;
    assert_stored(&o, TW_DATASET_UINT8, (const double[]){0, 1, 156, 255});
    deep_image("b16/1.png", twelve); /* 12 bits left as they are: known by the largest value */
    o.bits = 0;
    assert_stored(&o, TW_DATASET_FLOAT32, (const double[]){0, 16, 2048, 4095});
    o.bits = 8;
    listen();
    assert_stored(&o, TW_DATASET_UINT8, (const double[]){0, 1, 128, 255});
    assert_said(heard(), "exceeds 4095", "taken as 12 bits", "--white 65535");
    o.white = 65535;
    assert_stored(&o, TW_DATASET_UINT8, (const double[]){0, 0, 8, 16});
    deep_image("b16/2.png", full); /* one decides for all */
    o.white = 0;
    assert_stored(&o, TW_DATASET_UINT8, (const double[]){0, 0, 8, 16});
}

static void images_of_different_bits_are_not_mixed(void **state)
{
    (void)state;
    const uint16_t full[] = {0, 257, 40000, 65535};
    uint8_t pixels[4] = {0, 1, 2, 3};
    (void)mkdir(in("mix"), 0777);
    deep_image("mix/1.png", full);
    assert_ok(tw_png_write(in("mix/2.png"), pixels, 1, 4, 1));
    tw_import_options o = importing("mix", NULL);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "mix/2.png: 8 bits", "16", "--bits 8");
    o.bits = 8;
    assert_stored(&o, TW_DATASET_UINT8, (const double[]){0, 1, 156, 255});
    o.bits = 0;
    o.white = 5;
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--white needs --bits 8");
}

int main(void)
{
    tw_log_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_splits_are_known_in_every_spelling),
        cmocka_unit_test(splits_in_any_spelling_are_splits),
        cmocka_unit_test(splits_are_found_inside_wrappers_and_beside_folders_without_images),
        cmocka_unit_test(inputs_named_as_splits_are_splits),
        cmocka_unit_test(what_may_be_either_is_refused_and_the_options_decide),
        cmocka_unit_test(a_class_named_as_a_split_inside_splits_is_a_class),
        cmocka_unit_test(folders_of_the_system_never_become_classes),
        cmocka_unit_test(all_damaged_files_are_named_in_one_run),
        cmocka_unit_test(a_png_without_its_end_is_told),
        cmocka_unit_test(class_names_have_any_length),
        cmocka_unit_test(links_that_lead_back_are_refused),
        cmocka_unit_test(labelled_and_unlabelled_images_are_not_mixed),
        cmocka_unit_test(sixteen_bit_images_keep_their_values_and_range),
        cmocka_unit_test(images_of_different_bits_are_not_mixed),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
