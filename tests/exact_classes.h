/* A mixture whose modes are classes: the exact scores p(x) and p(x | y), the exact posterior
 * log p(y | x_t) with its gradient, all in double. Header only; no test of its own. */
#ifndef TESTS_EXACT_CLASSES_H
#define TESTS_EXACT_CLASSES_H

#include <stdbool.h>
#include <string.h>

#include "exact_mixture.h"
#include "tweedie/guidance.h"

typedef struct classes {
    mixture all, of[MODES_MAX]; /* together, and each by itself */
    tw_labels labels;
    const int32_t *asked;
    int64_t calls, points; /* of the score */
} classes;

/* @param m  its modes are the classes */
static inline void classes_init(classes *c, const mixture *m, const tw_process *p,
                                const tw_labels *labels)
{
    *c = (classes){.all = *m, .labels = *labels};
    c->all.process = p;
    c->labels.classes = m->modes;
    for (int k = 0; k < m->modes; k++) {
        c->of[k] = c->all;
        c->of[k].modes = 1;
        c->of[k].weight[0] = 1;
        memcpy(c->of[k].mean[0], m->mean[k], sizeof m->mean[k]);
        memcpy(c->of[k].std[0], m->std[k], sizeof m->std[k]);
    }
}

static inline mixture *classes_of(classes *c, int64_t i, int64_t index)
{
    const int32_t label = c->asked ? c->asked[i] : tw_label_of(&c->labels, index);
    return label == TW_NO_CLASS ? &c->all : &c->of[label];
}

static inline tw_status classes_vjp(void *self, int64_t n, const float *x, const double *t,
                                    const int64_t *index, const float *v, float *score, float *vjp)
{
    classes *c = self;
    const int64_t dims = c->all.dims;
    c->calls++;
    c->points += n;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = i * dims;
        const tw_status st =
            mixture_vjp(classes_of(c, i, index[i]), 1, x + at, t + i, index + i, v ? v + at : NULL,
                        score ? score + at : NULL, vjp ? vjp + at : NULL);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

static inline tw_status classes_eval(void *self, int64_t n, const float *x, const double *t,
                                     const int64_t *index, float *score)
{
    return classes_vjp(self, n, x, t, index, NULL, score, NULL);
}

static inline tw_status classes_energy(void *self, int64_t n, const float *x, const double *t,
                                       const int64_t *index, float *score, double *energy)
{
    classes *c = self;
    for (int64_t i = 0; i < n; i++)
        energy[i] =
            -mixture_at(classes_of(c, i, index[i]), x + i * c->all.dims, t[i], NULL, NULL, NULL);
    return classes_eval(self, n, x, t, index, score);
}

static inline void classes_condition(void *self, const int32_t *label)
{
    ((classes *)self)->asked = label;
}

static inline tw_score classes_score(classes *c)
{
    return (tw_score){.self = c,
                      .dims = c->all.dims,
                      .eval = classes_eval,
                      .vjp = classes_vjp,
                      .eval_energy = classes_energy,
                      .condition = classes_condition,
                      .classes = c->all.modes,
                      .unlabelled = true};
}

/* log p(y | x_t) = log w_y p_t(x | y) / p_t(x); at temperature T its softmax of log w_k p_t(x | k)
 * divided by T, as a classifier's logits. */
static inline tw_status classes_factor_eval(void *self, int64_t n, const float *x, const double *t,
                                            const int32_t *label, double temperature,
                                            float *gradient, double *log_factor)
{
    classes *c = self;
    const int64_t dims = c->all.dims;
    for (int64_t i = 0; i < n; i++) {
        double z[MODES_MAX] = {0}, s[MODES_MAX][MIXTURE_DIMS_MAX], top = -INFINITY, sum = 0;
        for (int k = 0; k < c->all.modes; k++) {
            z[k] = (log(c->all.weight[k]) +
                    mixture_at(&c->of[k], x + i * dims, t[i], s[k], NULL, NULL)) /
                   temperature;
            top = fmax(top, z[k]);
        }
        for (int k = 0; k < c->all.modes; k++) sum += exp(z[k] - top);
        for (int64_t d = 0; d < dims; d++) {
            double g = s[label[i]][d];
            for (int k = 0; k < c->all.modes; k++) g -= exp(z[k] - top) / sum * s[k][d];
            gradient[i * dims + d] = (float)(g / temperature);
        }
        if (log_factor) log_factor[i] = z[label[i]] - top - log(sum);
    }
    return TW_OK;
}

static inline tw_log_factor classes_factor(classes *c)
{
    return (tw_log_factor){.self = c,
                           .dims = c->all.dims,
                           .classes = c->all.modes,
                           .classifier = true,
                           .text = "exact",
                           .eval = classes_factor_eval};
}

#endif
