/* What is exported is what is imported again, bit for bit; and what may not be exported is said. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_fixture.h"
#include "run/state.h"
#include "tweedie/restore.h"
#include "tweedie/weights.h"
#include "weights/exporter.h"

static char folder[160];

static char *under(char out[256], const char *name)
{
    snprintf(out, 256, "%s/%s", folder, name);
    return out;
}

static void must(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

/* A weights file of a network that was never trained. */
static void make_weights(const char *path, const char *config_text, tw_shape sample)
{
    tw_config *c = NULL;
    tw_model *m = NULL;
    tw_state *state = NULL;
    char *frozen = NULL;
    must(tw_config_create(&c));
    must(tw_config_parse(c, config_text, (int64_t)strlen(config_text), "test"));
    must(tw_model_configure(&m, c));
    must(tw_config_finish(c));
    must(tw_model_create(m, sample, 7));
    must(tw_config_text(c, &frozen));
    const tw_state_group group = {"params", m->params->value};
    must(tw_state_create(&state, m->params, &group, 1));
    tw_state_snapshot(state);
    const tw_checkpoint_meta meta = {.step = 12,
                                     .ranks = 1,
                                     .threads = 1,
                                     .precision = "f32",
                                     .versions = "test",
                                     .weights = "raw",
                                     .source = "test",
                                     .sample_kind = "uint8",
                                     .height = sample.dims[0],
                                     .width = sample.dims[1],
                                     .channels = sample.dims[2],
                                     .config = frozen};
    must(tw_weights_write(path, state->arrays, state->count, &meta));
    tw_state_destroy(&state);
    tw_model_destroy(&m);
    tw_config_destroy(&c);
    tw_free(&frozen);
}

static void export(const char *from, const char *format, const char *to)
{
    tw_text files = {0};
    must(tw_weights_export_as(
        &files, &(tw_weights_export_options){.path = from, .format = format, .folder = to}));
    assert_non_null(files.data);
    tw_text_free(&files);
}

static void import(const char *from, const char *to, bool ema, char *shape)
{
    tw_weights_import_result r = {.system = ""};
    must(tw_weights_import(&r, &(tw_weights_import_options){.path = from,
                                                            .out = to,
                                                            .ema = ema,
                                                            .assignment_count = shape != NULL,
                                                            .assignments = &shape}));
    tw_weights_import_free(&r);
}

/* The same names, shapes and bits. */
static void same_weights(const char *a, const char *b)
{
    tw_weights *x = NULL, *y = NULL;
    must(tw_weights_load(&x, NULL, a, NULL));
    must(tw_weights_load(&y, NULL, b, NULL));
    assert_int_equal(x->count, y->count);
    assert_int_equal(x->storage_count, y->storage_count);
    for (int64_t i = 0; i < x->count; i++)
        assert_string_equal(x->arrays[i].name, y->arrays[i].name);
    assert_memory_equal(x->storage, y->storage, (size_t)x->storage_count * sizeof(float));
    tw_weights_destroy(&x);
    tw_weights_destroy(&y);
}

static const char unet[] = "[network]\nkind = unet\nbase = 32\nmult = 1, 2\nblocks = 1\n"
                           "attention = 8\nattention_placement = %s\n[process]\nkind = %s\n";

static void make_unet(const char *path, const char *placement, const char *process)
{
    char text[256];
    snprintf(text, sizeof text, unet, placement, process);
    make_weights(path, text, TW_SHAPE(16, 16, 3));
}

static void score_sde_round_trip_is_bitwise(void **state)
{
    (void)state;
    char a[256], b[256], c[256], to[256], file[256], shape[] = "data.shape=16,16,3";
    make_unet(under(a, "sde.h5"), "score_sde", "vp");
    export(a, "score_sde", under(to, "sde"));
    import(under(file, "sde/checkpoint.pth"), under(b, "sde-raw.h5"), false, shape);
    import(file, under(c, "sde-ema.h5"), true, shape);
    same_weights(a, b);
    same_weights(a, c);
}

static void every_ncsnpp_is_recognised_by_its_shapes(void **state)
{
    (void)state;
    static const char *const in[] = {"none", "input_skip", "input_skip\nprogressive_combine = cat",
                                     "residual"},
                             *const out[] = {"none", "output_skip", "residual"};
    char shape[] = "data.shape=16,16,3";
    for (int i = 0; i < 4; i++)
        for (int o = 0; o < 3; o++) {
            char text[512], a[256], b[256], to[256], file[256], name[64];
            snprintf(text, sizeof text,
                     "[network]\nkind = ncsnpp\nbase = 4\nmult = 1, 2\nblocks = 1\n"
                     "attention = 8\nembedding = fourier\nfir = yes\nscale_by_sigma = yes\n"
                     "sigma_unit = 2\nprogressive = %s\nprogressive_input = %s\n"
                     "[process]\nkind = ve\nsigma_min = 0.02\nsigma_max = 696\n",
                     out[o], in[i]);
            snprintf(name, sizeof name, "pp-%d-%d", i, o);
            make_weights(under(a, "pp.h5"), text, TW_SHAPE(16, 16, 3));
            export(a, "score_sde", under(to, name));
            snprintf(name, sizeof name, "pp-%d-%d/checkpoint.pth", i, o);
            import(under(file, name), under(b, "pp-again.h5"), true, shape);
            same_weights(a, b);
            unlink(a);
            unlink(b);
        }
}

/* The state dictionary that the published code would write, as safetensors. */
static void publish(const char *from, const char *name)
{
    tw_restored *r = NULL;
    tw_named_arrays a = {0};
    tw_text files = {0};
    must(tw_restore(&r, NULL, from, NULL));
    must(tw_named_arrays_create(&a, r->model));
    tw_exporting e = {.r = r, .folder = folder, .files = &files};
    must(tw_export_arrays(&e, name, a.arrays, a.count, "pt"));
    tw_named_arrays_free(&a);
    tw_restore_destroy(&r);
    tw_text_free(&files);
}

static void guided_diffusion_is_recognised_by_blocks_that_resample(void **state)
{
    (void)state;
    char a[256], b[256], file[256], heads[] = "network.head_channels=32", *assignments[] = {heads};
    tw_weights_import_result r = {.system = ""};
    make_weights(under(a, "adm.h5"),
                 "[network]\nkind = adm\nbase = 32\nmult = 1, 2\nblocks = 1\n"
                 "attention_downsample = 2\nhead_channels = 32\nresblock_updown = yes\n"
                 "classes = 3\n[process]\nkind = ddpm\n[prediction]\n"
                 "variance = learned_range\n",
                 TW_SHAPE(16, 16, 3));
    publish(a, "adm.safetensors");
    must(tw_weights_import(&r, &(tw_weights_import_options){.path = under(file, "adm.safetensors"),
                                                            .out = under(b, "adm-again.h5"),
                                                            .assignment_count = 1,
                                                            .assignments = assignments}));
    assert_string_equal(r.system, "guided-diffusion");
    assert_int_equal(r.height, 16);
    assert_int_equal(r.classes, 3);
    tw_weights_import_free(&r);
    same_weights(a, b);
}

static void diffusers_round_trip_is_bitwise(void **state)
{
    (void)state;
    char a[256], b[256], to[256], again[256];
    make_unet(under(a, "ho.h5"), "ho", "ddpm"); /* becomes a diffusers_unet of the same names */
    export(a, "diffusers", under(to, "pipeline"));
    import(to, under(b, "ho-again.h5"), false, NULL);
    same_weights(a, b);
    export(b, "diffusers", under(again, "pipeline-again"));
    import(again, under(a, "ho-third.h5"), false, NULL);
    same_weights(a, b);
}

static void safetensors_hold_every_parameter_by_our_names(void **state)
{
    (void)state;
    char a[256], to[256], file[256];
    tw_weights *w = NULL;
    tw_archive *archive = NULL;
    make_unet(under(a, "plain.h5"), "ho", "ddpm");
    export(a, "safetensors", under(to, "plain"));
    must(tw_weights_load(&w, NULL, a, NULL));
    must(tw_archive_open(&archive, under(file, "plain/model.safetensors")));
    assert_int_equal(archive->tensors, w->count);
    for (int64_t i = 0; i < w->count; i++) {
        const tw_item *item = tw_item_find(archive->root, w->arrays[i].name);
        assert_non_null(item);
        const tw_tensor *t = item->as.tensor;
        float *values = NULL;
        assert_int_equal(t->rank, w->arrays[i].rank);
        must(tw_alloc(&values, t->count, sizeof *values, "values"));
        must(tw_tensor_read(t, values));
        assert_memory_equal(values, w->arrays[i].data, (size_t)t->count * sizeof *values);
        tw_free(&values);
    }
    tw_archive_close(&archive);
    tw_weights_destroy(&w);
}

static void refuses(const char *from, const char *format, tw_status code, const char *said)
{
    char to[256];
    tw_text files = {0};
    const tw_weights_export_options o = {
        .path = from, .format = format, .folder = under(to, "refused")};
    assert_int_equal(tw_weights_export_as(&files, &o), code);
    if (!strstr(tw_error_message(), said)) fail_msg("%s", tw_error_message());
    tw_text_free(&files);
}

static void what_a_format_cannot_hold_is_refused(void **state)
{
    (void)state;
    char a[256], b[256];
    make_unet(under(a, "placed.h5"), "score_sde", "ddpm");
    make_unet(under(b, "continuous.h5"), "ho", "vp");
    refuses(a, "diffusers", TW_ECONFIG, "network.attention_placement");
    refuses(b, "diffusers", TW_ECONFIG, "process.kind");
    refuses(a, "onnx", TW_EUSAGE, "diffusers");
}

static int enter(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tweedie-test-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int leave(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* A dictionary of the published names, as pytorch-fid's file is; what is no weight is passed over.
 */
static void inception_is_read_by_the_names_of_pytorch_fid(void **state)
{
    (void)state;
    static const char config[] = "[network]\nkind = inception\nclasses = 2\n[process]\nkind = "
                                 "single\n";
    char a[256], b[256], to[256], file[300];
    tw_weights_import_result r = {.system = ""};
    make_weights(under(a, "inception.h5"), config, TW_SHAPE(299, 299, 3));
    export(a, "safetensors", under(to, "inception"));
    snprintf(file, sizeof file, "%s/model.safetensors", to);
    must(tw_weights_import(
        &r, &(tw_weights_import_options){.path = file, .out = under(b, "inception-again.h5")}));
    assert_string_equal(r.system, "inception");
    assert_int_equal(r.tensors, 94 * 5 + 2);
    assert_non_null(strstr(r.assumed.data, "1008 outputs")); /* and this one has 2 */
    same_weights(a, b);
    tw_weights_import_free(&r);
    unlink(a);
    unlink(b);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inception_is_read_by_the_names_of_pytorch_fid),
        cmocka_unit_test(score_sde_round_trip_is_bitwise),
        cmocka_unit_test(every_ncsnpp_is_recognised_by_its_shapes),
        cmocka_unit_test(guided_diffusion_is_recognised_by_blocks_that_resample),
        cmocka_unit_test(diffusers_round_trip_is_bitwise),
        cmocka_unit_test(safetensors_hold_every_parameter_by_our_names),
        cmocka_unit_test(what_a_format_cannot_hold_is_refused),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
