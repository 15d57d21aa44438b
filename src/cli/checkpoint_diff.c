/* What differs between two checkpoints: the test of every claim about resuming. */
#include "cli/checkpoint_diff.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tweedie/checkpoint.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"

/* The result of one array. */
typedef struct difference {
    int64_t elements, differing;
    double largest; /* of the absolute differences */
} difference;

typedef struct comparison {
    tw_checkpoint *a, *b;
    bool as_json;
    tw_json json;
    tw_text lines;               /* a line for each array that differs, told behind the totals */
    int64_t compared, differing; /* arrays */
    int64_t losses;              /* rows of the history */
    difference total;            /* over all arrays that have values to compare */
    float *x, *y;
    int64_t room;
} comparison;

tw_status checkpoint_resolve(char *out, size_t size, const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    int64_t step;
    TW_TRY(tw_format(out, size, "%s", path));
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) goto done;
    TW_TRY(tw_checkpoint_find_newest(path, out, size, &step));
    TW_CHECK(step >= 0, TW_ENOINPUT, "%s: the run has no checkpoint yet", path);
done:
    return st;
}

static tw_status tell(comparison *c, const tw_checkpoint_array *array, const char *what,
                      const difference *d)
{
    const char *slash = array->group[0] ? "/" : "";
    c->differing++;
    if (!c->as_json && d)
        return tw_text_add(&c->lines, "%s%s/%s: %lld of %lld values differ, by at most %g\n", slash,
                           array->group, array->name, (long long)d->differing,
                           (long long)d->elements, d->largest);
    if (!c->as_json)
        return tw_text_add(&c->lines, "%s%s/%s: %s\n", slash, array->group, array->name, what);
    tw_json_object(&c->json, NULL);
    tw_json_string(&c->json, "group", array->group);
    tw_json_string(&c->json, "name", array->name);
    if (what) tw_json_string(&c->json, "what", what);
    if (d) {
        tw_json_int64(&c->json, "values", d->elements);
        tw_json_int64(&c->json, "differing", d->differing);
        tw_json_double(&c->json, "largest", d->largest);
    }
    tw_json_end(&c->json);
    return TW_OK;
}

static void add_total(comparison *c, const difference *d)
{
    c->total.elements += d->elements;
    c->total.differing += d->differing;
    c->total.largest = fmax(c->total.largest, d->largest);
}

static tw_status make_room(comparison *c, int64_t elements)
{
    tw_status st = TW_OK;
    if (elements <= c->room) return TW_OK;
    tw_free(&c->x);
    tw_free(&c->y);
    c->room = 0;
    TW_TRY(tw_alloc(&c->x, elements, sizeof *c->x, "an array of a checkpoint"));
    TW_TRY(tw_alloc(&c->y, elements, sizeof *c->y, "an array of a checkpoint"));
    c->room = elements;
done:
    return st;
}

static difference measure(const float *x, const float *y, int64_t n)
{
    difference d = {.elements = n};
    for (int64_t i = 0; i < n; i++) {
        if (memcmp(&x[i], &y[i], sizeof *x) == 0)
            continue; /* NOLINT(bugprone-suspicious-memory-comparison): bits are what is compared */
        d.differing++; /* also 0 and -0 */
        d.largest = fmax(d.largest, fabs((double)x[i] - (double)y[i]));
    }
    return d;
}

static tw_status compare_array(comparison *c, int64_t index_a, int64_t index_b)
{
    tw_status st = TW_OK;
    const tw_checkpoint_array *a = tw_checkpoint_array_view(c->a, index_a),
                              *b = tw_checkpoint_array_view(c->b, index_b);
    int64_t n = 1;
    c->compared++;
    if (a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0) {
        return tell(c, a, "has another shape", NULL);
    }
    for (int i = 0; i < a->rank; i++) n *= a->dims[i]; /* checked when the file was opened */
    TW_TRY(make_room(c, n));
    TW_TRY(tw_checkpoint_read_array(c->a, index_a, c->x));
    TW_TRY(tw_checkpoint_read_array(c->b, index_b, c->y));
    difference d = measure(c->x, c->y, n);
    add_total(c, &d);
    if (d.differing > 0) TW_TRY(tell(c, a, NULL, &d));
done:
    return st;
}

static tw_status compare_arrays(comparison *c)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < tw_checkpoint_count(c->a); i++) {
        const tw_checkpoint_array *a = tw_checkpoint_array_view(c->a, i);
        int64_t k = tw_checkpoint_find(c->b, a->group, a->name);
        if (k < 0)
            TW_TRY(tell(c, a, "only in the first", NULL));
        else
            TW_TRY(compare_array(c, i, k));
    }
    for (int64_t i = 0; i < tw_checkpoint_count(c->b); i++) {
        const tw_checkpoint_array *b = tw_checkpoint_array_view(c->b, i);
        if (tw_checkpoint_find(c->a, b->group, b->name) < 0)
            TW_TRY(tell(c, b, "only in the second", NULL));
    }
done:
    return st;
}

/* The losses of all steps, which tell of those whose parameters are long gone. */
static tw_status compare_losses(comparison *c)
{
    const tw_checkpoint_meta *a = tw_checkpoint_meta_view(c->a), *b = tw_checkpoint_meta_view(c->b);
    const tw_checkpoint_array history = {.group = "", .name = "loss_history"};
    difference d = {.elements = 2 * a->loss_count};
    c->losses = a->loss_count;
    if (a->loss_count != b->loss_count) {
        return tell(c, &history, "has another length", NULL);
    }
    for (int64_t i = 0; i < d.elements; i++) {
        if (a->losses[i] == b->losses[i]) continue; /* none is NaN: a run ends before */
        d.differing++;
        d.largest = fmax(d.largest, fabs(a->losses[i] - b->losses[i]));
    }
    return d.differing > 0 ? tell(c, &history, NULL, &d) : TW_OK;
}

static tw_status conclude(comparison *c)
{
    tw_status st = TW_OK;
    int64_t step_a = tw_checkpoint_meta_view(c->a)->step,
            step_b = tw_checkpoint_meta_view(c->b)->step;
    bool different = c->differing > 0 || step_a != step_b;
    if (c->as_json) {
        tw_json_end(&c->json);
        tw_json_bool(&c->json, "different", different);
        tw_json_int64(&c->json, "step_a", step_a);
        tw_json_int64(&c->json, "step_b", step_b);
        tw_json_int64(&c->json, "arrays_compared", c->compared);
        tw_json_int64(&c->json, "arrays_differing", c->differing);
        tw_json_end(&c->json);
        TW_TRY(tw_json_finish(&c->json));
        printf("%s\n", c->json.text.data);
    } else {
        if (step_a != step_b) printf("step: %lld and %lld\n", (long long)step_a, (long long)step_b);
        if (different)
            printf("different: %lld arrays; %lld of %lld values, by at most %g\n%s",
                   (long long)c->differing, (long long)c->total.differing,
                   (long long)c->total.elements, c->total.largest,
                   c->lines.data ? c->lines.data : "");
        else
            printf("equal: step %lld, %lld arrays and %lld losses, bit for bit\n",
                   (long long)step_a, (long long)c->compared, (long long)c->losses);
    }
    if (different) st = TW_DIFFERENT;
done:
    return st;
}

tw_status checkpoint_diff(const char *a, const char *b, bool as_json)
{
    tw_status st = TW_OK;
    comparison c = {.as_json = as_json};
    char path_a[TW_CHECKPOINT_PATH], path_b[TW_CHECKPOINT_PATH];
    TW_TRY(checkpoint_resolve(path_a, sizeof path_a, a));
    TW_TRY(checkpoint_resolve(path_b, sizeof path_b, b));
    TW_TRY(tw_checkpoint_open(&c.a, path_a));
    TW_TRY(tw_checkpoint_open(&c.b, path_b));
    tw_json_object(&c.json, NULL);
    tw_json_string(&c.json, "a", path_a);
    tw_json_string(&c.json, "b", path_b);
    tw_json_list(&c.json, "arrays");
    TW_TRY(compare_arrays(&c));
    TW_TRY(compare_losses(&c));
    TW_TRY(conclude(&c));
done:
    tw_checkpoint_close(&c.a);
    tw_checkpoint_close(&c.b);
    tw_free(&c.x);
    tw_free(&c.y);
    tw_text_free(&c.lines);
    tw_text_free(&c.json.text);
    return st;
}
