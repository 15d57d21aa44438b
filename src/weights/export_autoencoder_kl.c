/* A folder that diffusers' AutoencoderKL.from_pretrained opens: config.json,
 * diffusion_pytorch_model.safetensors. What latents are scaled by belongs to the dataset of
 * latents, not to the autoencoder: scaling_factor is left as the library has it. */
#include "weights/exporter.h"

extern const tw_exporter tw_export_autoencoder_kl;

static void put_blocks(tw_json *j, const char *key, int64_t count, const char *type)
{
    tw_json_list(j, key);
    for (int64_t k = 0; k < count; k++) tw_json_string(j, NULL, type);
    tw_json_end(j);
}

static tw_status put_config(tw_json *j, const tw_model *m)
{
    tw_status st = TW_OK;
    static const char *const numbers[] = {"layers_per_block", "latent_channels", "norm_num_groups"};
    tw_text d = {0};
    tw_config_ints channels;
    int64_t number;
    bool attention;
    TW_TRY(tw_choice_describe(&d, &m->network));
    TW_TRY(tw_described_value(&channels, &d, "block_out_channels", TW_CONFIG_INTS, NULL));
    TW_TRY(tw_described_value(&attention, &d, "mid_block_add_attention", TW_CONFIG_BOOL, NULL));
    tw_json_string(j, "_class_name", "AutoencoderKL");
    tw_json_int64(j, "in_channels", m->sample.dims[2]);
    tw_json_int64(j, "out_channels", m->sample.dims[2]);
    tw_json_int64(j, "sample_size", m->sample.dims[0]);
    put_blocks(j, "down_block_types", channels.count, "DownEncoderBlock2D");
    put_blocks(j, "up_block_types", channels.count, "UpDecoderBlock2D");
    tw_json_list(j, "block_out_channels");
    for (int64_t l = 0; l < channels.count; l++) tw_json_int64(j, NULL, channels.values[l]);
    tw_json_end(j);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        TW_TRY(tw_described_value(&number, &d, numbers[k], TW_CONFIG_INT64, NULL));
        tw_json_int64(j, numbers[k], number);
    }
    tw_json_string(j, "act_fn", "silu");
    tw_json_bool(j, "mid_block_add_attention", attention);
done:
    tw_text_free(&d);
    return st;
}

static tw_status write(tw_exporting *e)
{
    tw_status st = TW_OK;
    tw_named_arrays a = {0};
    tw_json j = {0};
    const tw_model *m = e->r->model;
    TW_CHECK(tw_model_is_autoencoder(m) && m->sample.rank == 3, TW_ECONFIG,
             "network.kind: AutoencoderKL is an autoencoder of images, not %s", m->net->kind.name);
    TW_TRY(tw_named_arrays_create(&a, m));
    TW_TRY(tw_export_arrays(e, "diffusion_pytorch_model.safetensors", a.arrays, a.count, "pt"));
    tw_json_object(&j, NULL);
    TW_TRY(put_config(&j, m));
    TW_TRY(tw_export_json(e, "config.json", &j)); /* last: without it the folder is none */
done:
    tw_named_arrays_free(&a);
    return st;
}

const tw_exporter tw_export_autoencoder_kl = {
    .name = "autoencoder_kl",
    .summary = "a folder for diffusers' AutoencoderKL.from_pretrained: autoencoder",
    .write = write,
};
