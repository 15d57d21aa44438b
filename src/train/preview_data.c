/* A picture of the data. */
#include "train/preview_data.h"

#include "job/grid.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { DATA_POINTS = 4096 };

void preview_write_data(const tw_trainer *t, latent_decoder *decoder, float *decoded)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_dataset_get_spec(t->data);
    const int64_t wanted = spec->kind == TW_DATASET_POINTS ? DATA_POINTS : t->c->grid_count,
                  count = tw_dataset_count(t->data) < wanted ? tw_dataset_count(t->data) : wanted;
    float *x = NULL;
    char path[TW_PATH_MAX];
    TW_TRY(tw_rundir_file(path, sizeof path, t->past.rundir, "samples/data.png"));
    if (tw_file_exists(path)) goto done;
    TW_TRY(tw_alloc(&x, count * tw_dataset_elements(spec), sizeof *x, "a picture of the data"));
    TW_TRY(tw_dataset_read(t->data, 0, count, x, NULL));
    if (decoder->codec) {
        latent_decoder_run(decoder, count, x, decoded);
        spec = &decoder->network->samples;
    }
    TW_TRY(tw_grid_write(path, spec, count, decoder->codec ? decoded : x, 0));
done:
    if (st != TW_OK) tw_log_warn("no picture of the data: %s", tw_error_message());
    tw_free(&x);
}
