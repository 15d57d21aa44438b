/* Folders of images.
 *
 *   FOLDER/NAME.png                     images without labels
 *   FOLDER/CLASS/…/NAME.png             the class is the sub-folder; classes are numbered in the
 *                                       order of their names (of bytes)
 *   FOLDER/train/…, FOLDER/test/…       splits, each as one of the two above (image_tree.c)
 *
 * Files are taken in the order of their names. What is left out is counted by reason; files that
 * cannot be read are all named before the import fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/image_tree.h"
#include "data/importer.h"
#include "data/picture.h"
#include "h5/isolate.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { MESSAGE_MAX = 2048, NET_SECONDS = PICTURE_SECONDS + 5 };

typedef struct class
{
    char *name;
    bool trained, held; /* has images in split "train" or none, and in another */
} class;

typedef struct importing {
    const tw_import_options *options;
    tw_spool *spool;
    uint8_t background[3];
    int channels; /* 0 until the first image says */
    int bits;
    class *classes;
    int64_t class_count, class_capacity;
    tw_tally left_out, notes;
    int64_t images, damaged;
    tw_status first_status; /* of the first damaged file */
    char first_message[MESSAGE_MAX];
    bool measuring; /* the first pass of two: only the largest value is wanted */
    double most;
} importing;

static tw_status parse_background(uint8_t out[3], const char *text)
{
    static const struct {
        const char *name;
        uint8_t grey;
    } names[] = {{"white", 255}, {"black", 0}, {"grey", 128}, {"gray", 128}};
    if (!text) text = "white";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i].name) != 0) continue;
        memset(out, names[i].grey, 3);
        return TW_OK;
    }
    if (text[0] != '#' || strlen(text) != 7 || strspn(text + 1, "0123456789abcdefABCDEF") != 6)
        return tw_error_set(
            TW_EUSAGE, "--background \"%s\"; white, black, grey or #rrggbb was expected", text);
    const unsigned long rgb = strtoul(text + 1, NULL, 16);
    out[0] = (uint8_t)(rgb >> 16);
    out[1] = (uint8_t)(rgb >> 8);
    out[2] = (uint8_t)rgb;
    return TW_OK;
}

/* ---- one image ---- */

static tw_status choose_channels(importing *im, const picture *p, const char *path)
{
    tw_status st = TW_OK;
    const int own = p->channels >= 3 ? 3 : 1;
    if (im->channels == 0)
        im->channels = im->options->colour == TW_COLOUR_GREY  ? 1
                       : im->options->colour == TW_COLOUR_RGB ? 3
                                                              : own;
    TW_CHECK(own <= im->channels || im->options->colour == TW_COLOUR_GREY, TW_EDATA,
             "%s: a colour image after grey ones; say --rgb or --grey", path);
done:
    return st;
}

/* With --bits 8 all become 8 bits; without, all must have the same number. */
static tw_status choose_bits(importing *im, picture *p, const char *path)
{
    tw_status st = TW_OK;
    const double by_bits = p->bits < 16 ? (double)((1 << p->bits) - 1) : im->most;
    if (im->options->bits == 8 && p->bits > 8) {
        TW_CHECK(p->bits <= 16 || im->options->white > 0, TW_EDATA,
                 "%s: holds floats; --bits 8 needs --white, the value that becomes 255", path);
        TW_TRY(
            tw_picture_to_8_bits(p, im->options->white > 0 ? (double)im->options->white : by_bits));
    }
    if (im->bits == 0) im->bits = p->bits;
    TW_CHECK(im->bits == p->bits, TW_EDATA,
             "%s: %d bits a value, those before it have %d; --bits 8 makes all alike", path,
             p->bits, im->bits);
done:
    return st;
}

static tw_status put_image(importing *im, picture *p, const char *path, const char *split,
                           int64_t label)
{
    tw_status st = TW_OK;
    const tw_import_options *o = im->options;
    TW_TRY(choose_channels(im, p, path));
    TW_TRY(choose_bits(im, p, path));
    TW_TRY(tw_picture_flatten(p, im->channels, im->background));
    if (o->height > 0) {
        if (o->crop) TW_TRY(tw_picture_crop(p, o->height, o->width));
        TW_TRY(tw_picture_resize(p, o->height, o->width));
    }
    st = tw_spool_describe(im->spool, path, p->values ? TW_DATASET_FLOAT32 : TW_DATASET_UINT8,
                           p->height, p->width, p->channels, label >= 0);
    if (st == TW_EDATA && strstr(tw_error_message(), "labels"))
        st = tw_error_set(st,
                          "%s: images in class folders and images in none are not imported "
                          "together; give the folder with classes alone",
                          path);
    else if (st == TW_EDATA && o->height == 0)
        st = tw_error_set(st, "%s; --size HxW resizes them all", tw_error_message());
    TW_TRY(st);
    TW_TRY(tw_spool_append(im->spool, split, p->values ? (void *)p->values : (void *)p->pixels,
                           label, path));
done:
    return st;
}

/* Takes note of a file that cannot be read, and lets the others be read. The first is told when
 * there is a second: alone it is the message that the import ends with. */
static tw_status note_damaged(importing *im, tw_status st)
{
    if (st != TW_EDATA && st != TW_ENOINPUT) return st;
    if (im->measuring) return TW_OK; /* the second pass meets it again */
    im->damaged++;
    if (im->options->skip_damaged) {
        tw_log_warn("left out: %s", tw_error_message());
        return TW_OK;
    }
    if (im->damaged == 1) {
        im->first_status = st;
        snprintf(im->first_message, sizeof im->first_message, "%s", tw_error_message());
        return TW_OK;
    }
    if (im->damaged == 2) tw_log_warn("%s", im->first_message);
    tw_log_warn("%s", tw_error_message());
    return TW_OK;
}

static void measure(importing *im, const picture *p)
{
    if (p->bits != 16) return;
    const double most = tw_picture_most(p);
    if (most > im->most) im->most = most;
}

static tw_status add_image(importing *im, const char *path, const char *split, int64_t label)
{
    tw_status st = TW_OK;
    picture p = {0};
    im->images++;
    tw_isolate_watch(path, NET_SECONDS);
    st = tw_picture_read(&p, path);
    tw_isolate_watch(NULL, 0);
    if (st != TW_OK) {
        st = note_damaged(im, st);
        goto done;
    }
    if (im->measuring) {
        measure(im, &p);
        goto done;
    }
    if (p.flaw) TW_TRY(tw_tally_add(&im->notes, path, "images %s", p.flaw));
    if (im->damaged > 0 && !im->options->skip_damaged) goto done; /* it will fail: only look */
    TW_TRY(put_image(im, &p, path, split, label));
    if (label >= 0)
        *(!split || strcmp(split, "train") == 0 ? &im->classes[label].trained
                                                : &im->classes[label].held) = true;
done:
    tw_picture_free(&p);
    return st;
}

/* ---- classes ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const class *)a)->name, ((const class *)b)->name);
}

static int64_t find_class(const importing *im, const char *name)
{
    const class key = {.name = (char *)name};
    const class *found = im->class_count ? bsearch(&key, im->classes, (size_t)im->class_count,
                                                   sizeof *im->classes, by_text)
                                         : NULL;
    return found ? found - im->classes : -1;
}

static tw_status note_class(importing *im, const char *name)
{
    tw_status st = TW_OK;
    class *more = NULL;
    for (int64_t i = 0; i < im->class_count; i++)
        if (strcmp(im->classes[i].name, name) == 0) return TW_OK;
    if (im->class_count == im->class_capacity) {
        const int64_t capacity = im->class_capacity ? 2 * im->class_capacity : 64;
        TW_TRY(tw_alloc(&more, capacity, sizeof *more, "class names"));
        if (im->classes) memcpy(more, im->classes, (size_t)im->class_count * sizeof *more);
        tw_free(&im->classes);
        im->classes = more;
        im->class_capacity = capacity;
    }
    TW_TRY(tw_strdup(&im->classes[im->class_count].name, name));
    im->class_count++;
done:
    return st;
}

/* The classes of a root are its sub-folders, or it is one itself. */
static tw_status note_classes(importing *im, const tw_image_root *root)
{
    tw_status st = TW_OK;
    tw_folder f = {0};
    char *inner = NULL;
    int64_t images = 0, classes = 0;
    if (root->class_name) return note_class(im, root->class_name);
    if (!tw_folder_exists(root->path)) return TW_OK;
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(tw_folder_open(&f, root->path, NULL));
    for (int64_t i = 0; i < f.count; i++) {
        TW_TRY(tw_folder_join(inner, root->path, f.entries[i].name));
        if (f.entries[i].is_folder) {
            classes++;
            TW_TRY(note_class(im, f.entries[i].name));
        } else
            images += tw_image_is_named(inner);
    }
    TW_CHECK(images == 0 || classes == 0, TW_EDATA,
             "%s: %lld images beside %lld sub-folders; either images without labels or one "
             "sub-folder for each class was expected",
             root->path, (long long)images, (long long)classes);
done:
    tw_folder_close(&f);
    tw_free(&inner);
    return st;
}

static tw_status name_classes(importing *im)
{
    tw_status st = TW_OK;
    if (im->class_count > 1)
        qsort(im->classes, (size_t)im->class_count, sizeof *im->classes, by_text);
    for (int64_t i = 0; i < im->class_count && !im->options->class_names; i++)
        TW_TRY(tw_spool_name_class(im->spool, i, im->classes[i].name));
done:
    return st;
}

/* Whom a model will hardly learn, or know from the training alone. */
static tw_status note_untrained(importing *im)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < im->class_count; i++)
        if (im->classes[i].held && !im->classes[i].trained)
            TW_TRY(tw_tally_add(&im->notes, im->classes[i].name,
                                "classes without images to train on"));
done:
    return st;
}

/* ---- folders ---- */

/* All images in a folder and below it. A class folder without any is told. */
static tw_status add_folder(importing *im, const char *path, const char *split, int64_t label,
                            const tw_folder_trail *up)
{
    tw_status st = TW_OK;
    tw_folder f = {0};
    tw_folder_trail here;
    char *inner = NULL;
    TW_TRY(tw_folder_enter(&here, path, up));
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(tw_folder_open(&f, path, &im->left_out));
    for (int64_t i = 0; i < f.count; i++) {
        TW_TRY(tw_folder_join(inner, path, f.entries[i].name));
        if (f.entries[i].is_folder)
            TW_TRY(add_folder(im, inner, split, label, &here));
        else if (tw_image_is_named(inner))
            TW_TRY(add_image(im, inner, split, label));
        else
            TW_TRY(tw_image_leave_out(&im->left_out, inner));
    }
done:
    tw_folder_close(&f);
    tw_free(&inner);
    return st;
}

static tw_status add_class(importing *im, const char *path, const char *split, const char *name)
{
    tw_status st = TW_OK;
    const int64_t before = im->images;
    TW_TRY(add_folder(im, path, split, find_class(im, name), NULL));
    if (im->images == before)
        TW_TRY(tw_tally_add(&im->notes, path, "class folders without images"));
done:
    return st;
}

static tw_status add_root(importing *im, const tw_image_root *root)
{
    tw_status st = TW_OK;
    tw_folder f = {0};
    char *inner = NULL;
    if (!tw_folder_exists(root->path)) return add_image(im, root->path, root->split, -1);
    if (root->class_name) return add_class(im, root->path, root->split, root->class_name);
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(tw_folder_open(&f, root->path, &im->left_out));
    for (int64_t i = 0; i < f.count; i++) {
        const char *name = f.entries[i].name;
        TW_TRY(tw_folder_join(inner, root->path, name));
        if (f.entries[i].is_folder)
            TW_TRY(add_class(im, inner, root->split, name));
        else if (tw_image_is_named(inner))
            TW_TRY(add_image(im, inner, root->split, -1));
        else
            TW_TRY(tw_image_leave_out(&im->left_out, inner));
    }
done:
    tw_folder_close(&f);
    tw_free(&inner);
    return st;
}

/* ---- the whole ---- */

/* The number of bits that 16-bit images without an sBIT chunk really use: cameras often leave 10,
 * 12 or 14 as they are, and taken for 16 they would be almost black. */
static tw_status measure_white(importing *im, const tw_image_tree *tree)
{
    tw_status st = TW_OK;
    static const int usual[] = {10, 12, 14, 16};
    if (im->options->bits != 8 || im->options->white > 0) goto done;
    im->measuring = im->left_out.closed = im->notes.closed = true;
    for (int64_t i = 0; i < tree->count; i++) TW_TRY(add_root(im, &tree->roots[i]));
    im->measuring = im->left_out.closed = im->notes.closed = false;
    im->images = 0;
    size_t i = 0;
    while (i < 3 && im->most >= (double)(1 << usual[i])) i++;
    if (im->most > 0 && i < 3)
        tw_log_warn("no value of the 16-bit images exceeds %.0f: taken as %d bits, %d becomes 255 "
                    "(else say --white 65535)",
                    im->most, usual[i], (1 << usual[i]) - 1);
    im->most = (double)((1 << usual[i]) - 1);
done:
    return st;
}

static tw_status judge_damaged(const importing *im)
{
    tw_status st = TW_OK;
    if (im->damaged == 0 || im->options->skip_damaged) goto done;
    TW_CHECK(im->damaged > 1, im->first_status, "%s (--skip-damaged leaves it out)",
             im->first_message);
    TW_FAIL(TW_EDATA,
            "%lld of %lld images cannot be read, as said above; --skip-damaged leaves them out",
            (long long)im->damaged, (long long)im->images);
done:
    return st;
}

static tw_status check_options(const tw_import_options *o)
{
    tw_status st = TW_OK;
    TW_CHECK(!o->crop || o->height > 0, TW_EUSAGE, "--crop needs --size");
    TW_CHECK(o->white == 0 || o->bits == 8, TW_EUSAGE, "--white needs --bits 8");
done:
    return st;
}

static tw_status run(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    importing im = {.options = options, .spool = spool};
    tw_image_tree tree = {0};
    TW_TRY(check_options(options));
    TW_TRY(parse_background(im.background, options->background));
    TW_TRY(tw_image_tree_create(&tree, options, &im.left_out));
    for (int64_t i = 0; i < tree.count; i++) TW_TRY(note_classes(&im, &tree.roots[i]));
    TW_TRY(name_classes(&im));
    TW_TRY(measure_white(&im, &tree));
    for (int64_t i = 0; i < tree.count; i++) TW_TRY(add_root(&im, &tree.roots[i]));
    TW_TRY(note_untrained(&im));
    tw_tally_log(&im.left_out, "left out: ");
    tw_tally_log(&im.notes, "");
    if (options->skip_damaged && im.damaged > 0)
        tw_log_warn("%lld of %lld images were left out, as said above", (long long)im.damaged,
                    (long long)im.images);
    TW_TRY(judge_damaged(&im));
done:
    for (int64_t i = 0; i < im.class_count; i++) tw_free(&im.classes[i].name);
    tw_free(&im.classes);
    tw_tally_free(&im.left_out);
    tw_tally_free(&im.notes);
    tw_image_tree_destroy(&tree);
    return st;
}

const tw_importer tw_import_images = {
    .name = "images",
    .summary = "folders of PNG, JPEG, WebP, TIFF and BMP files; sub-folders are classes, or splits "
               "if named as these",
    .isolated = true,
    .run = run};
