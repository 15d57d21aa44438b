/* Plain safetensors with our names, model.safetensors, and the configuration beside it. */
#include <string.h>

#include "run/state.h"
#include "weights/exporter.h"

extern const tw_exporter tw_export_safetensors;

static tw_status write(tw_exporting *e)
{
    tw_status st = TW_OK;
    tw_state *state = NULL;
    tw_text config = {.data = (char *)(uintptr_t)e->r->meta.config,
                      .length = (int64_t)strlen(e->r->meta.config)};
    const tw_state_group group = {"params", e->r->model->params->value};
    TW_TRY(tw_state_create(&state, e->r->model->params, &group, 1));
    tw_state_snapshot(state);
    TW_TRY(tw_export_arrays(e, "model.safetensors", state->arrays, state->count, "tweedie"));
    TW_TRY(tw_export_text(e, "config.ini", &config));
done:
    tw_state_destroy(&state);
    return st;
}

const tw_exporter tw_export_safetensors = {
    .name = "safetensors",
    .summary = "model.safetensors with our names, and config.ini: any network",
    .conditional = true,
    .write = write,
};
