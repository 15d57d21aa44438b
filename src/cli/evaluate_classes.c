/* Sample sets by class: distances of each class, and the accuracy of a classifier. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/evaluate.h"
#include "tweedie/memory.h"
#include "tweedie/model.h"
#include "tweedie/restore.h"

enum { BATCH = 64 };

static tw_status allocate(evaluate_classes *c, int64_t classes)
{
    tw_status st = TW_OK;
    if (c->classes) return TW_OK;
    TW_TRY(tw_alloc(&c->samples, classes, sizeof *c->samples, "classes"));
    TW_TRY(tw_alloc(&c->reference, classes, sizeof *c->reference, "classes"));
    TW_TRY(tw_alloc(&c->hits, classes, sizeof *c->hits, "classes"));
    TW_TRY(tw_alloc(&c->distance, classes, sizeof *c->distance, "classes"));
    TW_TRY(tw_alloc(&c->halves, classes, sizeof *c->halves, "classes"));
    c->classes = classes;
done:
    return st;
}

void evaluate_classes_free(evaluate_classes *c)
{
    tw_free(&c->samples);
    tw_free(&c->reference);
    tw_free(&c->hits);
    tw_free(&c->distance);
    tw_free(&c->halves);
}

static tw_status check_labels(const evaluate_set *s)
{
    tw_status st = TW_OK;
    TW_CHECK(s->label, TW_EDATA,
             "%s: holds no labels; samples of a model with classes have some (tweedie sample "
             "--class all)",
             s->path);
done:
    return st;
}

/* The samples of one class, one after the other. @param[out] out  [count][dims], tw_free */
static tw_status select_class(float **out, int64_t *count, const evaluate_set *s, int32_t class)
{
    tw_status st = TW_OK;
    float *x = NULL;
    int64_t n = 0, at = 0;
    for (int64_t i = 0; i < s->count; i++) n += s->label[i] == class;
    TW_TRY(tw_alloc(&x, n * s->dims, sizeof *x, "samples of a class"));
    for (int64_t i = 0; i < s->count; i++)
        if (s->label[i] == class)
            memcpy(x + at++ * s->dims, s->x + i * s->dims, (size_t)s->dims * sizeof *x);
    *out = x;
    *count = n;
done:
    return st;
}

static tw_status one_class(evaluate_classes *c, const tw_comm *comm, int32_t class,
                           const evaluate_set *samples, const evaluate_set *data,
                           const tw_sliced_options *sliced)
{
    tw_status st = TW_OK;
    float *a = NULL, *b = NULL;
    const int64_t dims = data->dims;
    TW_TRY(select_class(&a, &c->samples[class], samples, class));
    TW_TRY(select_class(&b, &c->reference[class], data, class));
    const int64_t n = c->samples[class], m = c->reference[class], half = m / 2;
    c->distance[class] = c->halves[class] = NAN;
    if (n >= 1 && m >= 1)
        TW_TRY(tw_sliced_wasserstein(&c->distance[class], comm, a, n, b, m, dims, sliced));
    if (half >= 1)
        TW_TRY(tw_sliced_wasserstein(&c->halves[class], comm, b, half, b + half * dims, m - half,
                                     dims, sliced));
done:
    tw_free(&a);
    tw_free(&b);
    return st;
}

tw_status evaluate_by_class(evaluate_classes *c, const tw_comm *comm, const evaluate_set *samples,
                            const evaluate_set *data, const tw_sliced_options *sliced)
{
    tw_status st = TW_OK;
    const int64_t a = tw_dataset_get_spec(samples->file)->num_classes,
                  b = tw_dataset_get_spec(data->file)->num_classes;
    TW_TRY(check_labels(samples));
    TW_TRY(check_labels(data));
    TW_CHECK(a == b, TW_EDATA, "%s has %lld classes, and %s has %lld", samples->path, (long long)a,
             data->path, (long long)b);
    TW_TRY(tw_comm_agree(comm, allocate(c, a)));
    for (int32_t k = 0; k < a; k++)
        TW_TRY(tw_comm_agree(comm, one_class(c, comm, k, samples, data, sliced)));
    c->by_class = true;
done:
    return st;
}

/* ---- a classifier ---- */

static tw_status check_classifier(const tw_restored *r, const char *run,
                                  const evaluate_set *samples, const evaluate_set *data)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *s = tw_dataset_get_spec(data->file), *c = &r->samples;
    const int64_t classes = tw_dataset_get_spec(samples->file)->num_classes;
    TW_CHECK(r->model->net->logits, TW_ECONFIG,
             "--classifier %s: its network, %s, is no classifier; objective.kind = classify trains "
             "one",
             run, r->model->net->kind.name);
    TW_CHECK(c->kind == s->kind && c->height == s->height && c->width == s->width &&
                 c->channels == s->channels,
             TW_ECONFIG,
             "--classifier %s: takes %s of %lld x %lld x %lld, and the samples are %s of %lld x "
             "%lld x %lld",
             run, tw_dataset_kind_name(c->kind), (long long)c->height, (long long)c->width,
             (long long)c->channels, tw_dataset_kind_name(s->kind), (long long)s->height,
             (long long)s->width, (long long)s->channels);
    TW_CHECK(r->model->classes == classes, TW_ECONFIG,
             "--classifier %s: knows %lld classes, and %s has %lld", run,
             (long long)r->model->classes, samples->path, (long long)classes);
done:
    return st;
}

/* Samples first … last − 1, in the classifier's own units and at its smallest time; hits and counts
 * of each class are added. */
static tw_status classify(double *hits, double *counts, const tw_restored *r, const evaluate_set *s,
                          int64_t first, int64_t last)
{
    tw_status st = TW_OK;
    tw_model_factor *f = NULL;
    void *stored = NULL;
    float *x = NULL;
    double t[BATCH];
    int32_t met[BATCH];
    const tw_process *p = r->model->process;
    const double start = p->steps ? 0 : p->start;
    const float alpha = (float)tw_process_alpha(p, start);
    TW_TRY(tw_model_factor_create(&f, r->model, "", BATCH, TW_PRECISION_F32, TW_CONVOLUTION_AUTO));
    TW_TRY(tw_alloc(&stored, BATCH, tw_dataset_sample_bytes(&r->samples), "samples"));
    TW_TRY(tw_alloc(&x, BATCH * s->dims, sizeof *x, "samples"));
    for (int i = 0; i < BATCH; i++) t[i] = start;
    for (int64_t at = first; at < last; at += BATCH) {
        const int64_t n = last - at < BATCH ? last - at : BATCH;
        TW_TRY(tw_dataset_read_stored(s->file, at, n, stored, NULL));
        tw_dataset_normalise(&r->samples, n, stored, x);
        for (int64_t k = 0; k < n * s->dims; k++) x[k] *= alpha;
        TW_TRY(tw_model_factor_classify(f, n, x, t, met));
        for (int64_t i = 0; i < n; i++) {
            hits[s->label[at + i]] += met[i] == s->label[at + i];
            counts[s->label[at + i]] += 1;
        }
    }
done:
    tw_model_factor_destroy(&f);
    tw_free(&stored);
    tw_free(&x);
    return st;
}

tw_status evaluate_classifier(evaluate_classes *c, const tw_comm *comm, const evaluate_set *samples,
                              const evaluate_set *data, const char *run)
{
    tw_status st = TW_OK;
    tw_restored *r = NULL;
    double *sums = NULL;
    const int64_t ranks = tw_comm_size(comm), rank = tw_comm_rank(comm), n = samples->count;
    TW_TRY(check_labels(samples));
    TW_TRY(tw_restore(&r, comm, run, NULL));
    TW_TRY(check_classifier(r, run, samples, data));
    const int64_t classes = r->model->classes;
    st = allocate(c, classes);
    if (st == TW_OK) st = tw_alloc(&sums, 2 * classes, sizeof *sums, "classes");
    TW_TRY(tw_comm_agree(comm, st));
    st = classify(sums, sums + classes, r, samples, n * rank / ranks, n * (rank + 1) / ranks);
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_sum(comm, sums, 2 * classes));
    for (int64_t k = 0; k < classes; k++) {
        c->hits[k] = (int64_t)sums[k];
        c->samples[k] = (int64_t)sums[classes + k];
    }
    c->classified = true;
done:
    tw_restore_destroy(&r);
    tw_free(&sums);
    return st;
}

/* ---- what is said ---- */

static double accuracy(const evaluate_classes *c)
{
    double hits = 0, all = 0;
    for (int64_t k = 0; k < c->classes; k++) {
        hits += (double)c->hits[k];
        all += (double)c->samples[k];
    }
    return hits / all;
}

void evaluate_classes_json(tw_json *json, const evaluate_classes *c)
{
    if (!c->classes) return;
    if (c->classified) tw_json_double(json, "classifier_accuracy", accuracy(c));
    tw_json_list(json, "classes");
    for (int64_t k = 0; k < c->classes; k++) {
        tw_json_object(json, NULL);
        tw_json_int64(json, "class", k);
        tw_json_int64(json, "samples", c->samples[k]);
        if (c->by_class) {
            tw_json_int64(json, "reference", c->reference[k]);
            tw_json_double(json, "sliced_wasserstein", c->distance[k]);
            tw_json_double(json, "sliced_wasserstein_reference", c->halves[k]);
        }
        if (c->classified)
            tw_json_double(json, "classifier_accuracy", (double)c->hits[k] / (double)c->samples[k]);
        tw_json_end(json);
    }
    tw_json_end(json);
}

/* Of a class without samples, or of which the data hold none, nothing can be said. */
static void print_class(const evaluate_classes *c, int64_t k)
{
    printf("%5lld %8lld", (long long)k, (long long)c->samples[k]);
    if (c->by_class) printf(" %12lld", (long long)c->reference[k]);
    if (!c->samples[k] || (c->by_class && !c->reference[k])) {
        printf("  %s\n", c->samples[k] ? "none of the data" : "no samples");
        return;
    }
    if (c->by_class) printf(" %9.5f", c->distance[k]);
    if (c->by_class && c->reference[k] > 1) printf(" %21.5f", c->halves[k]);
    if (c->by_class && c->reference[k] < 2) printf(" %21s", "too few");
    if (c->classified) printf(" %9.4f", (double)c->hits[k] / (double)c->samples[k]);
    printf("\n");
}

void evaluate_classes_print(const evaluate_classes *c)
{
    if (!c->classes) return;
    if (c->classified)
        printf("accuracy of the classifier   %.4f (share of samples that it takes for what their "
               "labels say)\n",
               accuracy(c));
    printf("class  samples%s%s\n",
           c->by_class ? "  of the data  distance  of the data's halves" : "",
           c->classified ? "  accuracy" : "");
    for (int64_t k = 0; k < c->classes; k++) print_class(c, k);
}
