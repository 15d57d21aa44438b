/* sample.class: which class each sample is of. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "run/run_config.h"
#include "tweedie/memory.h"
#include "tweedie/rundir.h"
#include "tweedie/text.h"

static int64_t count_words(const char *text)
{
    int64_t n = 0;
    bool inside = false;
    for (; *text; text++) {
        const bool word = !isspace((unsigned char)*text);
        n += word && !inside;
        inside = word;
    }
    return n;
}

/* The file's classes, as many as it has words. */
static tw_status read_list(int32_t **out, int64_t *count, const char *path, int64_t classes)
{
    tw_status st = TW_OK;
    char *text = NULL, *rest = NULL;
    int32_t *list = NULL;
    int64_t k = 0, one;
    st = tw_rundir_read_text(&text, path);
    if (st == TW_ENOINPUT) {
        st = tw_error_set(TW_ECONFIG,
                          "sample.class: \"%s\" is neither a class from 0 to %lld, all or none, "
                          "nor a file of them",
                          path, (long long)classes - 1);
    }
    TW_TRY(st);
    *count = count_words(text);
    TW_CHECK(*count > 0, TW_EDATA, "sample.class: %s holds no classes", path);
    TW_TRY(tw_alloc(&list, *count, sizeof *list, "classes of samples"));
    for (char *w = strtok_r(text, " \t\r\n\v\f", &rest); w;
         w = strtok_r(NULL, " \t\r\n\v\f", &rest)) {
        TW_CHECK(tw_text_to_int64(w, &one) && one >= 0 && one < classes, TW_EDATA,
                 "sample.class: %s: class %lld of the file is \"%s\"; 0 to %lld was expected", path,
                 (long long)k + 1, w, (long long)classes - 1);
        list[k++] = (int32_t)one;
    }
    *out = list;
    list = NULL;
done:
    tw_free(&text);
    tw_free(&list);
    return st;
}

tw_status tw_run_labels(tw_labels *out, int32_t **list, const char *text, int64_t classes,
                        bool unlabelled)
{
    tw_status st = TW_OK;
    int64_t one = TW_NO_CLASS;
    tw_labels l = {.classes = classes, .each = strcmp(text, "all") == 0, .one = TW_NO_CLASS};
    *list = NULL;
    if (l.each) goto done;
    TW_CHECK(classes, TW_ECONFIG,
             "sample.class: %s; the network was told no classes in training "
             "(network.classes = 0)",
             text);
    if (strcmp(text, "none") == 0) {
        TW_CHECK(unlabelled, TW_ECONFIG,
                 "sample.class: none; a network that was also trained without labels "
                 "(network.label_dropout above 0), and no classifier to guide it, was expected");
        goto done;
    }
    if (tw_text_to_int64(text, &one)) {
        TW_CHECK(one >= 0 && one < classes, TW_ECONFIG,
                 "sample.class: %s; 0 to %lld, all or none was expected", text,
                 (long long)classes - 1);
        l.one = (int32_t)one;
        goto done;
    }
    TW_TRY(read_list(list, &l.count, text, classes));
    l.list = *list;
    l.cycled = true;
done:
    if (st == TW_OK) *out = l;
    return st;
}

tw_status tw_run_labels_describe(tw_text *out, const tw_labels *labels, const char *text)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a of 64 bits */
    if (!labels->list) return tw_text_add(out, " class=%s", text);
    for (int64_t i = 0; i < labels->count; i++)
        h = (h ^ (uint64_t)labels->list[i]) * 0x100000001b3u;
    return tw_text_add(out, " class=list:%lld:%016llx", (long long)labels->count,
                       (unsigned long long)h);
}
