/* A folder's name is cut into words, at signs, digits and capitals; one of them may be a word for a
 * split, and others may say nothing ("images", "set"). */
#include "data/split_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    tw_split_role role;
} words[] = {
    {"train", TW_ROLE_TRAIN},
    {"training", TW_ROLE_TRAIN},
    {"trn", TW_ROLE_TRAIN},
    {"trainset", TW_ROLE_TRAIN},
    {"trainingset", TW_ROLE_TRAIN},
    {"trainval", TW_ROLE_TRAIN},
    {"traindata", TW_ROLE_TRAIN},
    {"val", TW_ROLE_VALIDATION},
    {"valid", TW_ROLE_VALIDATION},
    {"validation", TW_ROLE_VALIDATION},
    {"validate", TW_ROLE_VALIDATION},
    {"valset", TW_ROLE_VALIDATION},
    {"validset", TW_ROLE_VALIDATION},
    {"validationset", TW_ROLE_VALIDATION},
    {"dev", TW_ROLE_VALIDATION},
    {"devset", TW_ROLE_VALIDATION},
    {"eval", TW_ROLE_VALIDATION},
    {"evaluation", TW_ROLE_VALIDATION},
    {"evalset", TW_ROLE_VALIDATION},
    {"test", TW_ROLE_TEST},
    {"testing", TW_ROLE_TEST},
    {"tests", TW_ROLE_TEST},
    {"tst", TW_ROLE_TEST},
    {"testset", TW_ROLE_TEST},
    {"testdata", TW_ROLE_TEST},
    {"holdout", TW_ROLE_TEST},
};

static const char *const empty_words[] = {
    "set",  "sets",    "data",     "dataset", "datasets", "image",   "images",    "img",
    "imgs", "picture", "pictures", "pic",     "pics",     "photo",   "photos",    "folder",
    "dir",  "split",   "subset",   "part",    "samples",  "files",   "jpg",       "png",
    "fold", "new",     "final",    "raw",     "full",     "resized", "jpegimages"};

static bool is_empty_word(const char *word)
{
    if (isdigit((unsigned char)word[0])) return true;
    for (size_t i = 0; i < sizeof empty_words / sizeof *empty_words; i++)
        if (strcmp(word, empty_words[i]) == 0) return true;
    return false;
}

/* The next word of *name in small letters; "" at its end. */
static void next_word(char out[256], const char **name)
{
    const char *c = *name;
    size_t n = 0;
    while (*c && !isalnum((unsigned char)*c) && (unsigned char)*c < 0x80) c++;
    for (; n < 255 && (isalnum((unsigned char)*c) || (unsigned char)*c >= 0x80); c++) {
        const bool digit = isdigit((unsigned char)*c) != 0;
        if (n > 0 && digit != (isdigit((unsigned char)c[-1]) != 0)) break;
        if (n > 0 && isupper((unsigned char)*c) && islower((unsigned char)c[-1])) break;
        out[n++] = (char)tolower((unsigned char)*c);
    }
    out[n] = '\0';
    *name = c;
}

tw_split_name tw_split_name_of(const char *folder)
{
    tw_split_name s = {.exact = true};
    char word[256];
    for (next_word(word, &folder); word[0]; next_word(word, &folder)) {
        size_t i = 0;
        while (i < sizeof words / sizeof *words && strcmp(words[i].word, word) != 0) i++;
        if (i < sizeof words / sizeof *words) {
            if (s.role != TW_ROLE_NONE && s.role != words[i].role) return (tw_split_name){0};
            s.role = words[i].role;
            snprintf(s.split, sizeof s.split, "%s",
                     s.role == TW_ROLE_TRAIN  ? "train"
                     : s.role == TW_ROLE_TEST ? "test"
                                              : words[i].word);
        } else if (!is_empty_word(word)) {
            s.exact = false;
            snprintf(s.rest + strlen(s.rest), sizeof s.rest - strlen(s.rest), "%s ", word);
        }
    }
    return s.role == TW_ROLE_NONE ? (tw_split_name){0} : s;
}

bool tw_split_names_pair(const tw_split_name *a, const tw_split_name *b)
{
    return a->role != TW_ROLE_NONE && b->role != TW_ROLE_NONE && a->role != b->role &&
           (a->role == TW_ROLE_TRAIN || b->role == TW_ROLE_TRAIN) && strcmp(a->rest, b->rest) == 0;
}

bool tw_split_name_is_empty(const char *folder)
{
    char word[256];
    bool any = false;
    for (next_word(word, &folder); word[0]; next_word(word, &folder)) {
        if (!is_empty_word(word)) return false;
        any = any || !isdigit((unsigned char)word[0]);
    }
    return any;
}
