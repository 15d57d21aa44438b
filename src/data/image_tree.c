/* What a folder of images means is told by names alone, and the names are those of users: "Train",
 * "val2017", "seg_test". The rules, from the top downward:
 *
 *   all sub-folders with images are named as splits      they are splits
 *   some are, and others hold images too                 an error: which is meant?
 *   none is, but further below some are                  an error likewise
 *   a single sub-folder, of sub-folders or named         looked into: what is packed is often
 *   "images" or the like                                 wrapped once more
 *   else                                                 sub-folders are classes
 *
 * An input that is itself named as a split ("photos/test") is one. --split-folders and
 * --class-folders decide where names cannot. */
#include "data/image_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/importer.h"
#include "data/picture.h"
#include "data/split_name.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

#define DECIDE                                                                                     \
    "--split-folders takes folders named train, valid, test and the like as splits and leaves "    \
    "out "                                                                                         \
    "what is in none of them, --class-folders takes sub-folders as classes whatever their names"

typedef struct level {
    tw_folder f;
    tw_split_name *names;           /* of each entry; of files nothing */
    bool *holds_images;             /* of each entry that is a folder: somewhere below it */
    int64_t images;                 /* beside the folders */
    int64_t holding, exact, others; /* folders: with images, named as splits, with images and not */
    int64_t only;                   /* the last of those that hold images */
} level;

typedef enum meaning { CLASSES, SPLITS, UNCLEAR } meaning;

bool tw_image_is_named(const char *path)
{
    return tw_picture_has_suffix(path) ||
           (!strchr(tw_import_basename(path), '.') && tw_picture_has_content(path));
}

tw_status tw_image_leave_out(tw_tally *tally, const char *path)
{
    const char *name = tw_import_basename(path), *dot = strrchr(name, '.');
    if (!dot) return tw_tally_add(tally, path, "files without a suffix");
    return tw_tally_add(
        tally, path, "%s %.40s",
        tw_picture_has_content(path) ? "images by their content, but named" : "files named", dot);
}

static tw_status has_images(bool *out, const char *path, const tw_folder_trail *up)
{
    tw_status st = TW_OK;
    tw_folder f = {0};
    tw_folder_trail here;
    char *inner = NULL;
    *out = false;
    TW_TRY(tw_folder_enter(&here, path, up));
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(tw_folder_open(&f, path, NULL));
    for (int pass = 0; pass < 2; pass++) /* files first: mostly the answer is here */
        for (int64_t i = 0; i < f.count && !*out; i++) {
            if (f.entries[i].is_folder != (pass == 1)) continue;
            TW_TRY(tw_folder_join(inner, path, f.entries[i].name));
            if (pass == 0)
                *out = tw_image_is_named(inner);
            else
                TW_TRY(has_images(out, inner, &here));
        }
done:
    tw_folder_close(&f);
    tw_free(&inner);
    return st;
}

static void leave_level(level *l)
{
    tw_folder_close(&l->f);
    tw_free(&l->names);
    tw_free(&l->holds_images);
}

static tw_status look(level *l, const char *path)
{
    tw_status st = TW_OK;
    tw_folder_trail here;
    char *inner = NULL;
    TW_TRY(tw_folder_enter(&here, path, NULL));
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(tw_folder_open(&l->f, path, NULL));
    TW_TRY(tw_alloc(&l->names, l->f.count + 1, sizeof *l->names, "names of folders"));
    TW_TRY(tw_alloc(&l->holds_images, l->f.count + 1, sizeof *l->holds_images, "folders"));
    for (int64_t i = 0; i < l->f.count; i++) {
        TW_TRY(tw_folder_join(inner, path, l->f.entries[i].name));
        if (!l->f.entries[i].is_folder) {
            l->images += tw_image_is_named(inner);
            continue;
        }
        TW_TRY(has_images(&l->holds_images[i], inner, &here));
        l->names[i] = tw_split_name_of(l->f.entries[i].name);
        l->exact += l->names[i].role != TW_ROLE_NONE && l->names[i].exact;
        if (!l->holds_images[i]) continue;
        l->holding++;
        l->only = i;
        l->others += l->names[i].role == TW_ROLE_NONE || !l->names[i].exact;
    }
done:
    tw_free(&inner);
    return st;
}

/* "seg_train" and "seg_test" are splits where nothing else is; one alone may be a "steam_train". */
static meaning interpret_pairs(const level *l)
{
    bool pair = false, all = true;
    for (int64_t i = 0; i < l->f.count; i++) {
        if (l->holds_images[i] && l->names[i].role == TW_ROLE_NONE) all = false;
        for (int64_t k = 0; k < i && l->names[i].role != TW_ROLE_NONE; k++)
            pair = pair || tw_split_names_pair(&l->names[i], &l->names[k]);
    }
    if (l->holding == 1 && l->images == 0 && all) return SPLITS;
    return !pair ? CLASSES : all && l->images == 0 ? SPLITS : UNCLEAR;
}

static meaning interpret(const level *l)
{
    if (l->exact == 0) return interpret_pairs(l);
    return l->others == 0 && l->images == 0 ? SPLITS : UNCLEAR;
}

/* "train, test" and "cat, dog": the first few of the folders that are, or are not, named as splits.
 */
static const char *list(char out[256], const level *l, bool splits)
{
    out[0] = '\0';
    for (int64_t i = 0; i < l->f.count; i++) {
        if (!l->f.entries[i].is_folder || (l->names[i].role != TW_ROLE_NONE) != splits) continue;
        if (!splits && !l->holds_images[i]) continue;
        if (strlen(out) + strlen(l->f.entries[i].name) + 8 > 256)
            return memcpy(out + strlen(out), ", ...", 6), out;
        snprintf(out + strlen(out), 256 - strlen(out), "%s%s", out[0] ? ", " : "",
                 l->f.entries[i].name);
    }
    return out;
}

static tw_status refuse_level(const level *l, const char *path)
{
    char splits[256], others[256];
    (void)list(splits, l, true);
    (void)list(others, l, false);
    return tw_error_set(TW_EDATA, "%s: %s: named as splits, but beside them %s%s%s; %s", path,
                        splits, others[0] ? others : "are images",
                        others[0] && l->images ? " and the folder itself" : "",
                        others[0] ? " hold images too" : "", DECIDE);
}

static tw_status add_root(tw_image_tree *t, const char *path, const char *split,
                          const char *class_name)
{
    tw_status st = TW_OK;
    tw_image_root *more = NULL, root = {0};
    if (t->count == t->capacity) {
        const int64_t capacity = t->capacity ? 2 * t->capacity : 16;
        TW_TRY(tw_alloc(&more, capacity, sizeof *more, "folders"));
        if (t->roots) memcpy(more, t->roots, (size_t)t->count * sizeof *more);
        tw_free(&t->roots);
        t->roots = more;
        t->capacity = capacity;
    }
    TW_TRY(tw_strdup(&root.path, path));
    if (split) TW_TRY(tw_strdup(&root.split, split));
    if (class_name) TW_TRY(tw_strdup(&root.class_name, class_name));
    t->roots[t->count++] = root;
    root = (tw_image_root){0};
done:
    tw_free(&root.path);
    tw_free(&root.split);
    return st;
}

/* Images to hold back must not hide inside classes: "cat/train" and "cat/test". */
static tw_status refuse_splits_below(const char *path, const tw_folder_trail *up)
{
    tw_status st = TW_OK;
    tw_folder f = {0};
    tw_folder_trail here;
    char *inner = NULL;
    TW_TRY(tw_folder_enter(&here, path, up));
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(tw_folder_open(&f, path, NULL));
    for (int64_t i = 0; i < f.count; i++) {
        if (!f.entries[i].is_folder) continue;
        bool holds = false;
        const tw_split_name name = tw_split_name_of(f.entries[i].name);
        TW_TRY(tw_folder_join(inner, path, f.entries[i].name));
        if (up && name.exact && (name.role == TW_ROLE_TEST || name.role == TW_ROLE_VALIDATION))
            TW_TRY(has_images(&holds, inner, &here));
        TW_CHECK(!holds, TW_EDATA, "%s: may be a split, inside of what would be a class; %s", inner,
                 DECIDE);
        TW_TRY(refuse_splits_below(inner, &here));
    }
done:
    tw_folder_close(&f);
    tw_free(&inner);
    return st;
}

/* Inside a split, a folder named as one beside others is a class ("train/bus", "train/train"),
 * unless images to hold back would be trained on. */
static bool is_class_inside(const level *l, const char *split, bool asked)
{
    if (!split || l->others == 0 || l->images > 0) return false;
    for (int64_t i = 0; i < l->f.count && strcmp(split, "train") == 0 && !asked; i++)
        if (l->names[i].role > TW_ROLE_TRAIN) return false;
    return true;
}

/* Whether the only folder with images is just a wrapper around what is meant. */
static tw_status is_wrapper(bool *out, const char *inner, const char *name)
{
    tw_status st = TW_OK;
    level l = {0};
    char *further = NULL;
    TW_TRY(look(&l, inner));
    *out = tw_split_name_is_empty(name) || interpret(&l) != CLASSES ||
           (l.images == 0 && l.holding > 1);
    if (!*out && l.images == 0 && l.holding == 1) {
        TW_TRY(tw_alloc(&further, TW_PATH_MAX, 1, "a path"));
        TW_TRY(tw_folder_join(further, inner, l.f.entries[l.only].name));
        TW_TRY(is_wrapper(out, further, l.f.entries[l.only].name));
    }
done:
    leave_level(&l);
    tw_free(&further);
    return st;
}

/* Counts what lies beside folders that are looked into. */
static tw_status leave_out_files(tw_image_tree *t, const char *path)
{
    tw_status st = TW_OK;
    tw_folder f = {0};
    char *inner = NULL;
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(tw_folder_open(&f, path, t->left_out));
    for (int64_t i = 0; i < f.count; i++) {
        TW_TRY(tw_folder_join(inner, path, f.entries[i].name));
        if (!f.entries[i].is_folder) TW_TRY(tw_image_leave_out(t->left_out, inner));
    }
done:
    tw_folder_close(&f);
    tw_free(&inner);
    return st;
}

static tw_status find_roots(tw_image_tree *t, const char *path, const char *split, int depth);

static tw_status find_classes(tw_image_tree *t, const level *l, const char *path, const char *split,
                              int depth)
{
    tw_status st = TW_OK;
    char *inner = NULL;
    bool wrapper = false;
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    if (l->holding == 1 && l->images == 0) {
        TW_TRY(tw_folder_join(inner, path, l->f.entries[l->only].name));
        TW_TRY(is_wrapper(&wrapper, inner, l->f.entries[l->only].name));
    }
    if (wrapper) {
        TW_TRY(leave_out_files(t, path));
        tw_log_info("%s: its only folder with images is looked into (--class-folders: it is a "
                    "class)",
                    inner);
        TW_TRY(find_roots(t, inner, split, depth + 1));
        goto done;
    }
    if (!split || strcmp(split, "train") == 0) TW_TRY(refuse_splits_below(path, NULL));
    TW_TRY(add_root(t, path, split, NULL));
done:
    tw_free(&inner);
    return st;
}

static tw_status find_splits(tw_image_tree *t, const level *l, const char *path, const char *split,
                             int depth)
{
    tw_status st = TW_OK;
    char *inner = NULL;
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(leave_out_files(t, path));
    for (int64_t i = 0; i < l->f.count; i++) {
        if (!l->f.entries[i].is_folder) continue;
        TW_TRY(tw_folder_join(inner, path, l->f.entries[i].name));
        if (!l->holds_images[i]) {
            TW_TRY(tw_tally_add(t->left_out, inner, "folders without images"));
            continue;
        }
        TW_CHECK(!split || strcmp(split, l->names[i].split) == 0, TW_EDATA,
                 "%s: a folder of split \"%s\" inside one of split \"%s\"; %s", inner,
                 l->names[i].split, split, DECIDE);
        TW_TRY(find_roots(t, inner, l->names[i].split, depth + 1));
    }
done:
    tw_free(&inner);
    return st;
}

static tw_status find_roots(tw_image_tree *t, const char *path, const char *split, int depth)
{
    tw_status st = TW_OK;
    level l = {0};
    TW_TRY(look(&l, path));
    meaning m = interpret(&l);
    if (m == UNCLEAR && is_class_inside(&l, split, t->how == TW_FOLDERS_SPLITS)) m = CLASSES;
    if (depth == 0 && m == SPLITS && l.holding > 1) split = NULL; /* "test/" may be any folder */
    if (m == UNCLEAR)
        st = refuse_level(&l, path);
    else
        st = (m == SPLITS ? find_splits : find_classes)(t, &l, path, split, depth);
done:
    leave_level(&l);
    return st;
}

/* --split-folders: every folder that is named as a split, wherever it is. Its class, if its own
 * sub-folders are none, is the folder that it is in, counted from the top. */
static tw_status find_named(tw_image_tree *t, const char *path, const char *class_name,
                            const tw_folder_trail *up)
{
    tw_status st = TW_OK;
    tw_folder_trail here;
    level l = {0};
    char *inner = NULL;
    TW_TRY(tw_folder_enter(&here, path, up));
    TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
    TW_TRY(look(&l, path));
    for (int64_t i = 0; i < l.f.count; i++) {
        const char *name = l.f.entries[i].name;
        TW_TRY(tw_folder_join(inner, path, name));
        if (!l.f.entries[i].is_folder) {
            TW_TRY(tw_image_is_named(inner)
                       ? tw_tally_add(t->left_out, inner, "images in no split folder")
                       : tw_image_leave_out(t->left_out, inner));
        } else if (l.names[i].role != TW_ROLE_NONE) {
            TW_TRY(class_name ? add_root(t, inner, l.names[i].split, class_name)
                              : find_roots(t, inner, l.names[i].split, 1));
        } else {
            const bool wrapper = !up && l.holding == 1 && l.images == 0;
            TW_TRY(find_named(t, inner, class_name || wrapper ? class_name : name, &here));
        }
    }
done:
    leave_level(&l);
    tw_free(&inner);
    return st;
}

/* An input that a shell's "*" brought along. */
static bool is_system(const char *path)
{
    const char *name = tw_import_basename(path);
    return name[0] != '.' && tw_folder_is_system(name);
}

/* What the name of an input tells: of a folder its own, of a file that of a folder just above. */
static tw_split_name name_of_input(const char *path)
{
    tw_split_name name = {0};
    char *full = NULL, *copy = NULL;
    const bool is_folder = tw_folder_exists(path);
    const char *last = tw_import_basename(path);
    if (is_folder && (last[0] == '.' || strcmp(last, "/") == 0)) full = realpath(path, NULL);
    if (tw_strdup(&copy, full ? full : path) == TW_OK) {
        for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--) copy[n - 1] = '\0';
        for (int i = 0; i < 3 && name.role == TW_ROLE_NONE; i++) {
            char *slash = strrchr(copy, '/');
            if (is_folder || i > 0) name = tw_split_name_of(slash ? slash + 1 : copy);
            if (is_folder || !slash) break;
            *slash = '\0';
        }
    }
    tw_free(&copy);
    free(full);
    return name;
}

/* Takes the names of the inputs where all of them are splits. */
static tw_status name_inputs(tw_split_name *names, const tw_import_options *o)
{
    tw_status st = TW_OK;
    int named = 0;
    for (int i = 0; i < o->input_count; i++) names[i] = name_of_input(o->inputs[i]);
    for (int i = 0; i < o->input_count; i++) {
        const bool told = names[i].role != TW_ROLE_NONE;
        bool is_split = told && names[i].exact;
        for (int k = 0; k < o->input_count && told && !is_split; k++)
            is_split = tw_split_names_pair(&names[i], &names[k]);
        named += is_split;
        if (!is_split && o->folders == TW_FOLDERS_AUTO) names[i] = (tw_split_name){0};
    }
    if (o->folders == TW_FOLDERS_AUTO && !o->split)
        for (int i = 0; i < o->input_count; i++)
            TW_CHECK(named == 0 || names[i].role != TW_ROLE_NONE || is_system(o->inputs[i]),
                     TW_EDATA, "%s: tells no split, while other inputs are named as splits; %s",
                     o->inputs[i], DECIDE);
done:
    return st;
}

static tw_status add_input(tw_image_tree *t, const char *path, const tw_split_name *name,
                           tw_import_folders how)
{
    tw_status st = TW_OK;
    const char *split = name->role != TW_ROLE_NONE ? name->split : NULL;
    const int64_t before = t->count;
    TW_CHECK(tw_file_exists(path), TW_ENOINPUT, "%s: cannot be read: %s", path, strerror(errno));
    if (is_system(path)) {
        TW_TRY(tw_tally_add(t->left_out, path, "system folders"));
    } else if (how == TW_FOLDERS_CLASSES || !tw_folder_exists(path)) {
        TW_TRY(add_root(t, path, how == TW_FOLDERS_CLASSES ? NULL : split, NULL));
    } else if (how == TW_FOLDERS_AUTO) {
        TW_TRY(find_roots(t, path, split, 0));
    } else {
        TW_TRY(find_named(t, path, NULL, NULL));
        if (t->count == before && split) TW_TRY(add_root(t, path, split, NULL));
        TW_CHECK(t->count > before, TW_EDATA,
                 "%s: --split-folders: no folder in it is named as a split (train, valid, test)",
                 path);
    }
done:
    return st;
}

/* A single split "train" is none: a part of it may still be held back. Several are not overruled by
 * --split. */
static tw_status settle(tw_image_tree *t, const tw_import_options *o)
{
    tw_status st = TW_OK;
    bool all_train = true;
    for (int64_t i = 0; i < t->count; i++) {
        const char *split = t->roots[i].split, *first = t->roots[0].split;
        all_train = all_train && split && strcmp(split, "train") == 0;
        TW_CHECK(!o->split || (split == NULL) == (first == NULL), TW_EUSAGE,
                 "--split %s: some inputs have a split of their own", o->split);
        TW_CHECK(!o->split || !split || strcmp(split, first) == 0, TW_EUSAGE,
                 "--split %s: the inputs have splits of their own (%s, %s); --class-folders takes "
                 "these as classes",
                 o->split, first, split);
    }
    for (int64_t i = 0; i < t->count && all_train; i++) tw_free(&t->roots[i].split);
    if (t->count > 0 && t->roots[0].split && o->folders == TW_FOLDERS_AUTO && t->count == 1)
        tw_log_info("%s: taken as split \"%s\" by its name (--class-folders: as none)",
                    t->roots[0].path, t->roots[0].split);
done:
    return st;
}

tw_status tw_image_tree_create(tw_image_tree *out, const tw_import_options *options,
                               tw_tally *left_out)
{
    tw_status st = TW_OK;
    tw_image_tree t = {.how = options->folders, .left_out = left_out};
    tw_split_name *names = NULL;
    TW_TRY(tw_alloc(&names, options->input_count, sizeof *names, "names of inputs"));
    TW_TRY(name_inputs(names, options));
    for (int i = 0; i < options->input_count; i++)
        TW_TRY(add_input(&t, options->inputs[i], &names[i], options->folders));
    TW_TRY(settle(&t, options));
    *out = t;
    t = (tw_image_tree){0};
done:
    tw_free(&names);
    tw_image_tree_destroy(&t);
    return st;
}

void tw_image_tree_destroy(tw_image_tree *t)
{
    for (int64_t i = 0; i < t->count; i++) {
        tw_free(&t->roots[i].path);
        tw_free(&t->roots[i].split);
        tw_free(&t->roots[i].class_name);
    }
    tw_free(&t->roots);
    t->count = 0;
}
