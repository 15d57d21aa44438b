/* Folders of PNG and JPEG files.
 *
 *   FOLDER/NAME.png                    images without labels
 *   FOLDER/CLASS/…/NAME.png            the class is the sub-folder; classes are numbered in the
 * order of their names (of bytes) FOLDER/train/…, FOLDER/test/…   where all sub-folders are named
 * train, test, val or validation: splits, each as one of the two above
 *
 * Files are taken in the order of their names; hidden ones, and those with other suffixes than
 * .png, .jpg and .jpeg, are left out. The orientation that a camera wrote into a JPEG file is not
 * applied. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/importer.h"
#include "data/picture.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { DEPTH_MAX = 8 };

typedef struct importing {
    const tw_import_options *options;
    tw_spool *spool;
    uint8_t background[3];
    int channels; /* 0 until the first image says */
    char **classes;
    int64_t class_count, class_capacity;
    int64_t left_out;
} importing;

/* The entries of a folder, in the order of their names. */
typedef struct folder {
    struct dirent **entries;
    int count;
} folder;

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static tw_status open_folder(folder *out, const char *path)
{
    out->count = scandir(path, &out->entries, is_visible, by_name);
    if (out->count < 0)
        return tw_error_set(TW_ENOINPUT, "%s: cannot be listed: %s", path, strerror(errno));
    return TW_OK;
}

static void close_folder(folder *f)
{
    for (int i = 0; i < f->count; i++) free(f->entries[i]);
    free(f->entries);
    *f = (folder){0};
}

static tw_status join(char *out, const char *path, const char *name)
{
    return tw_format(out, TW_PATH_MAX, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
                     name);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_image_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 ||
                   strcasecmp(dot, ".jpeg") == 0);
}

static bool is_split_name(const char *name)
{
    return strcmp(name, "train") == 0 || strcmp(name, "test") == 0 || strcmp(name, "val") == 0 ||
           strcmp(name, "validation") == 0;
}

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

static tw_status add_image(importing *im, const char *path, const char *split, int64_t label)
{
    tw_status st = TW_OK;
    const tw_import_options *o = im->options;
    picture p = {0};
    TW_TRY(tw_picture_read(&p, path));
    TW_TRY(choose_channels(im, &p, path));
    TW_TRY(tw_picture_flatten(&p, im->channels, im->background));
    if (o->height > 0) {
        if (o->crop) TW_TRY(tw_picture_crop(&p, o->height, o->width));
        TW_TRY(tw_picture_resize(&p, o->height, o->width));
    }
    st = tw_spool_describe(im->spool, path, TW_DATASET_UINT8, p.height, p.width, p.channels,
                           label >= 0);
    if (st == TW_EDATA && o->height == 0)
        st = tw_error_set(st, "%s; --size HxW resizes them all", tw_error_message());
    TW_TRY(st);
    TW_TRY(tw_spool_append(im->spool, split, p.pixels, label, path));
done:
    tw_picture_free(&p);
    return st;
}

/* All images in a folder and below it. */
static tw_status add_folder(importing *im, const char *path, const char *split, int64_t label,
                            int depth)
{
    tw_status st = TW_OK;
    folder f = {0};
    char *inner = NULL;
    TW_CHECK(depth < DEPTH_MAX, TW_EDATA, "%s: more than %d folders deep", path, DEPTH_MAX);
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(open_folder(&f, path));
    for (int i = 0; i < f.count; i++) {
        TW_TRY(join(inner, path, f.entries[i]->d_name));
        if (is_folder(inner))
            TW_TRY(add_folder(im, inner, split, label, depth + 1));
        else if (is_image_name(inner))
            TW_TRY(add_image(im, inner, split, label));
        else
            im->left_out++;
    }
done:
    close_folder(&f);
    tw_free(&inner);
    return st;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int64_t find_class(const importing *im, const char *name)
{
    char *const *found = im->class_count ? bsearch(&name, im->classes, (size_t)im->class_count,
                                                   sizeof *im->classes, by_text)
                                         : NULL;
    return found ? found - im->classes : -1;
}

static tw_status note_class(importing *im, const char *name)
{
    tw_status st = TW_OK;
    char **more = NULL;
    for (int64_t i = 0; i < im->class_count; i++)
        if (strcmp(im->classes[i], name) == 0) return TW_OK;
    if (im->class_count == im->class_capacity) {
        const int64_t capacity = im->class_capacity ? 2 * im->class_capacity : 64;
        TW_TRY(tw_alloc(&more, capacity, sizeof *more, "class names"));
        if (im->classes) memcpy(more, im->classes, (size_t)im->class_count * sizeof *more);
        tw_free(&im->classes);
        im->classes = more;
        im->class_capacity = capacity;
    }
    TW_TRY(tw_strdup(&im->classes[im->class_count], name));
    im->class_count++;
done:
    return st;
}

/* Calls `visit` for each root: the folder itself with split NULL, or each of its splits. */
static tw_status each_root(importing *im, const char *path,
                           tw_status (*visit)(importing *im, const char *root, const char *split))
{
    tw_status st = TW_OK;
    folder f = {0};
    char *inner = NULL;
    int folders = 0, splits = 0;
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(open_folder(&f, path));
    for (int i = 0; i < f.count; i++) {
        TW_TRY(join(inner, path, f.entries[i]->d_name));
        if (!is_folder(inner)) continue;
        folders++;
        splits += is_split_name(f.entries[i]->d_name);
    }
    if (splits == 0 || splits < folders) {
        TW_TRY(visit(im, path, NULL));
        goto done;
    }
    for (int i = 0; i < f.count; i++) {
        TW_TRY(join(inner, path, f.entries[i]->d_name));
        if (is_folder(inner)) TW_TRY(visit(im, inner, f.entries[i]->d_name));
    }
done:
    close_folder(&f);
    tw_free(&inner);
    return st;
}

/* Notes the classes of a root: its sub-folders. */
static tw_status visit_classes(importing *im, const char *root, const char *split)
{
    tw_status st = TW_OK;
    folder f = {0};
    char *inner = NULL;
    int64_t images = 0, classes = 0;
    (void)split;
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(open_folder(&f, root));
    for (int i = 0; i < f.count; i++) {
        TW_TRY(join(inner, root, f.entries[i]->d_name));
        if (is_folder(inner)) {
            classes++;
            TW_TRY(note_class(im, f.entries[i]->d_name));
        } else
            images += is_image_name(inner);
    }
    TW_CHECK(images == 0 || classes == 0, TW_EDATA,
             "%s: %lld images beside %lld sub-folders; either images without labels or one "
             "sub-folder for each class was expected",
             root, (long long)images, (long long)classes);
done:
    close_folder(&f);
    tw_free(&inner);
    return st;
}

static tw_status visit_images(importing *im, const char *root, const char *split)
{
    tw_status st = TW_OK;
    folder f = {0};
    char *inner = NULL;
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(open_folder(&f, root));
    for (int i = 0; i < f.count; i++) {
        const char *name = f.entries[i]->d_name;
        TW_TRY(join(inner, root, name));
        if (is_folder(inner))
            TW_TRY(add_folder(im, inner, split, find_class(im, name), 0));
        else if (is_image_name(inner))
            TW_TRY(add_image(im, inner, split, -1));
        else
            im->left_out++;
    }
done:
    close_folder(&f);
    tw_free(&inner);
    return st;
}

static tw_status name_classes(importing *im)
{
    tw_status st = TW_OK;
    if (im->class_count > 1)
        qsort(im->classes, (size_t)im->class_count, sizeof *im->classes, by_text);
    for (int64_t i = 0; i < im->class_count && !im->options->class_names; i++)
        TW_TRY(tw_spool_name_class(im->spool, i, im->classes[i]));
done:
    return st;
}

static tw_status run(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    importing im = {.options = options, .spool = spool};
    TW_CHECK(!options->crop || options->height > 0, TW_EUSAGE, "--crop needs --size");
    TW_TRY(parse_background(im.background, options->background));
    for (int i = 0; i < options->input_count; i++) {
        const char *path = options->inputs[i];
        TW_CHECK(tw_file_exists(path), TW_ENOINPUT, "%s: cannot be read: %s", path,
                 strerror(errno));
        if (is_folder(path)) TW_TRY(each_root(&im, path, visit_classes));
    }
    TW_TRY(name_classes(&im));
    for (int i = 0; i < options->input_count; i++) {
        if (is_folder(options->inputs[i]))
            TW_TRY(each_root(&im, options->inputs[i], visit_images));
        else
            TW_TRY(add_image(&im, options->inputs[i], NULL, -1));
    }
    if (im.left_out > 0)
        tw_log_info("%lld files that are not named .png, .jpg or .jpeg were left out",
                    (long long)im.left_out);
done:
    for (int64_t i = 0; i < im.class_count; i++) tw_free(&im.classes[i]);
    tw_free(&im.classes);
    return st;
}

const tw_importer tw_import_images = {.name = "images",
                                      .summary = "a folder of PNG and JPEG files; sub-folders are "
                                                 "classes, or splits if named train and test",
                                      .run = run};
