/* What a run asks to see of its average. */
#include "train/preview_wants.h"

#include <string.h>

#include "tweedie/log.h"

static bool has_split(const tw_dataset_spec *s, const char *name)
{
    for (int k = 0; k < s->split_count; k++)
        if (strcmp(s->splits[k].name, name) == 0) return true;
    return *name == '\0' || strcmp(name, "all") == 0;
}

/* Many datasets have no second split, and the split of the default is nobody's wish: then there is
 * no validation. One that was asked for by another name is looked for, and missed. */
bool preview_wants_validation(const tw_trainer *t)
{
    return t->c->validate_every > 0 &&
           (strcmp(t->c->validation_split, "test") != 0 ||
            has_split(tw_dataset_get_spec(t->data), t->c->validation_split));
}

void preview_warn(const tw_trainer *t)
{
    if (tw_comm_rank(t->comm) == 0 && t->c->validate_every > 0 && !preview_wants_validation(t))
        tw_log_warn("%s: there is no split \"%s\" to validate on (data.validation_split): no "
                    "validation loss; tweedie import --test-fraction 0.1 sets samples aside for it",
                    t->c->data_path, t->c->validation_split);
}

bool preview_wants_grid(const tw_trainer *t)
{
    return t->c->grid_every > 0;
}

bool preview_wants_quality(const tw_trainer *t)
{
    return t->c->evaluate_every > 0;
}

/* The samples of a grid are given the first conditions of the validation split, and an autoencoder
 * reconstructs its first samples, where there is one. */
bool preview_wants_data(const tw_trainer *t)
{
    const bool reads = t->c->condition || tw_model_is_autoencoder(t->stepper.model);
    return preview_wants_validation(t) ||
           ((preview_wants_grid(t) || preview_wants_quality(t)) && reads &&
            has_split(tw_dataset_get_spec(t->data), t->c->validation_split));
}
