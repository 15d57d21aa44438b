/* score_sde_pytorch's checkpoint.pth: {optimizer, model, ema, step} as its restore_checkpoint reads
 * it, in torch's zip format. Model and EMA share their storages: both are the exported weights. The
 * pickle is of protocol 2 and remembers nothing, which every unpickler reads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/output.h"
#include "weights/exporter.h"
#include "weights/zip.h"

extern const tw_exporter tw_export_score_sde;

/* ---- pickles ---- */

static tw_status op(tw_text *p, const char *code)
{
    return tw_text_add(p, "%s", code);
}

static tw_status put_text(tw_text *p, const char *text)
{
    tw_status st = TW_OK;
    const uint32_t n = (uint32_t)strlen(text);
    const char head[5] = {'X', (char)n, (char)(n >> 8), (char)(n >> 16), (char)(n >> 24)};
    TW_TRY(tw_text_add_bytes(p, head, 5));
    TW_TRY(tw_text_add_bytes(p, text, n));
done:
    return st;
}

/* LONG1 of eight bytes. */
static tw_status put_integer(tw_text *p, int64_t value)
{
    char code[10] = {(char)0x8a, 8};
    for (int k = 0; k < 8; k++) code[2 + k] = (char)((uint64_t)value >> 8 * k);
    return tw_text_add_bytes(p, code, sizeof code);
}

static tw_status put_number(tw_text *p, double value)
{
    uint64_t bits;
    char code[9] = {'G'};
    memcpy(&bits, &value, sizeof bits);
    for (int k = 0; k < 8; k++) code[1 + k] = (char)(bits >> 8 * (7 - k));
    return tw_text_add_bytes(p, code, sizeof code);
}

static const char *const ordered_dict = "ccollections\nOrderedDict\n)R";

/* torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()) */
static tw_status put_tensor(tw_text *p, const char *class, int64_t key, int rank,
                            const int64_t *dims)
{
    tw_status st = TW_OK;
    char text[32];
    int64_t stride = 1;
    for (int k = 0; k < rank; k++) stride *= dims[k];
    TW_TRY(op(p, "ctorch._utils\n_rebuild_tensor_v2\n(("));
    TW_TRY(put_text(p, "storage"));
    TW_TRY(tw_text_add(p, "ctorch\n%s\n", class));
    snprintf(text, sizeof text, "%lld", (long long)key);
    TW_TRY(put_text(p, text));
    TW_TRY(put_text(p, "cpu"));
    TW_TRY(put_integer(p, stride));
    TW_TRY(op(p, "tQ"));
    TW_TRY(put_integer(p, 0));
    TW_TRY(op(p, "("));
    for (int k = 0; k < rank; k++) TW_TRY(put_integer(p, dims[k]));
    TW_TRY(op(p, "t("));
    for (int k = 0; k < rank; k++) TW_TRY(put_integer(p, stride /= dims[k]));
    TW_TRY(tw_text_add(p, "t\x89%stR", ordered_dict));
done:
    return st;
}

/* ---- the checkpoint ---- */

/* Adam before its first step, over parameters 0 … count − 1. */
static tw_status put_optimizer(tw_text *p, int64_t count)
{
    tw_status st = TW_OK;
    static const struct {
        const char *name;
        double value;
    } numbers[] = {{"lr", 2e-4}, {"eps", 1e-8}, {"weight_decay", 0}};
    TW_TRY(put_text(p, "optimizer"));
    TW_TRY(op(p, "}("));
    TW_TRY(put_text(p, "state"));
    TW_TRY(op(p, "}"));
    TW_TRY(put_text(p, "param_groups"));
    TW_TRY(op(p, "](}("));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        TW_TRY(put_text(p, numbers[i].name));
        TW_TRY(put_number(p, numbers[i].value));
    }
    TW_TRY(put_text(p, "betas"));
    TW_TRY(op(p, "("));
    TW_TRY(put_number(p, 0.9));
    TW_TRY(put_number(p, 0.999));
    TW_TRY(op(p, "t"));
    TW_TRY(put_text(p, "amsgrad"));
    TW_TRY(op(p, "\x89"));
    TW_TRY(put_text(p, "params"));
    TW_TRY(op(p, "]("));
    for (int64_t i = 0; i < count; i++) TW_TRY(put_integer(p, i));
    TW_TRY(op(p, "eueu"));
done:
    return st;
}

static tw_status put_model(tw_text *p, const tw_named_arrays *a, const int64_t *levels)
{
    tw_status st = TW_OK;
    char name[TW_NAME_MAX + 16];
    TW_TRY(put_text(p, "model"));
    TW_TRY(tw_text_add(p, "%s(", ordered_dict));
    if (*levels > 0) {
        TW_TRY(put_text(p, "module.sigmas"));
        TW_TRY(put_tensor(p, "DoubleStorage", a->count, 1, levels));
    }
    for (int64_t i = 0; i < a->count; i++) {
        snprintf(name, sizeof name, "module.%s", a->arrays[i].name);
        TW_TRY(put_text(p, name));
        TW_TRY(put_tensor(p, "FloatStorage", i, a->arrays[i].rank, a->arrays[i].dims));
    }
    TW_TRY(op(p, "u"));
done:
    return st;
}

static tw_status put_ema(tw_text *p, const tw_named_arrays *a, double decay, int64_t step)
{
    tw_status st = TW_OK;
    TW_TRY(put_text(p, "ema"));
    TW_TRY(op(p, "}("));
    TW_TRY(put_text(p, "decay"));
    TW_TRY(put_number(p, decay));
    TW_TRY(put_text(p, "num_updates"));
    TW_TRY(put_integer(p, step));
    TW_TRY(put_text(p, "shadow_params"));
    TW_TRY(op(p, "]("));
    for (int64_t i = 0; i < a->count; i++)
        if (a->trained[i])
            TW_TRY(put_tensor(p, "FloatStorage", i, a->arrays[i].rank, a->arrays[i].dims));
    TW_TRY(op(p, "eu"));
done:
    return st;
}

static tw_status make_pickle(tw_text *p, const tw_exporting *e, const tw_named_arrays *a,
                             int64_t levels)
{
    tw_status st = TW_OK;
    double decay = 0.9999;
    int64_t trained = 0;
    for (int64_t i = 0; i < a->count; i++) trained += a->trained[i];
    if (sscanf(e->r->meta.weights, "ema:%lf", &decay) != 1) decay = 0.9999;
    TW_TRY(op(p, "\x80\x02}("));
    TW_TRY(put_optimizer(p, trained));
    TW_TRY(put_model(p, a, &levels));
    TW_TRY(put_ema(p, a, decay, e->r->meta.step));
    TW_TRY(put_text(p, "step"));
    TW_TRY(put_integer(p, e->r->meta.step));
    TW_TRY(op(p, "u."));
done:
    return st;
}

enum { SIGMAS = 1000 };

/* The buffer of the VE SDE's noise levels, largest first. @param[out] count  0 for others */
static tw_status fill_sigmas(double sigma[SIGMAS], int64_t *count, const tw_exporting *e)
{
    tw_status st = TW_OK;
    tw_text d = {0}, network = {0};
    char value[256];
    const tw_choice process = {&e->r->model->process->kind->kind,
                               (void *)(uintptr_t)e->r->model->process->config};
    *count = 0;
    if (strcmp(process.kind->name, "ve") != 0) return TW_OK;
    TW_TRY(tw_choice_describe(&d, &process));
    TW_TRY(tw_choice_describe(&network, &e->r->model->network));
    double unit = strtod(tw_described(&network, "sigma_unit", value), NULL);
    if (!(unit > 0)) unit = 1;
    const double from = log(strtod(tw_described(&d, "sigma_max", value), NULL)),
                 to = log(strtod(tw_described(&d, "sigma_min", value), NULL));
    for (int k = 0; k < SIGMAS; k++) sigma[k] = exp(from + (to - from) * k / (SIGMAS - 1)) / unit;
    *count = SIGMAS;
done:
    tw_text_free(&d);
    tw_text_free(&network);
    return st;
}

static tw_status write_entries(tw_zip_writer *w, const tw_exporting *e, const tw_named_arrays *a)
{
    tw_status st = TW_OK;
    tw_text pickle = {0};
    double sigma[SIGMAS];
    char name[64];
    int64_t levels;
    TW_TRY(fill_sigmas(sigma, &levels, e));
    TW_TRY(make_pickle(&pickle, e, a, levels));
    TW_TRY(tw_zip_write(w, "checkpoint/data.pkl", pickle.data, pickle.length));
    TW_TRY(tw_zip_write(w, "checkpoint/byteorder", "little", 6));
    for (int64_t i = 0; i < a->count; i++) {
        int64_t n = sizeof(float);
        for (int k = 0; k < a->arrays[i].rank; k++) n *= a->arrays[i].dims[k];
        snprintf(name, sizeof name, "checkpoint/data/%lld", (long long)i);
        TW_TRY(tw_zip_write(w, name, a->arrays[i].data, n));
    }
    snprintf(name, sizeof name, "checkpoint/data/%lld", (long long)a->count);
    if (levels > 0) TW_TRY(tw_zip_write(w, name, sigma, levels * (int64_t)sizeof *sigma));
    TW_TRY(tw_zip_write(w, "checkpoint/version", "3\n", 2));
    TW_TRY(tw_zip_write_end(w));
done:
    tw_text_free(&pickle);
    return st;
}

static tw_status write(tw_exporting *e)
{
    tw_status st = TW_OK;
    tw_named_arrays a = {0};
    tw_output out = {.part = ""};
    tw_zip_writer w = {0};
    char path[TW_PATH_MAX];
    TW_TRY(tw_named_arrays_create(&a, e->r->model));
    TW_CHECK(strncmp(a.arrays[0].name, "all_modules.", 12) == 0, TW_ECONFIG,
             "the network %s is none of score_sde's", e->r->model->net->kind.name);
    TW_TRY(tw_export_begin(&out, &w.file, path, e, "checkpoint.pth"));
    st = write_entries(&w, e, &a);
    if (st != TW_OK) tw_error_prefix("%s: ", path);
    st = tw_export_end(&out, &w.file, path, e, st);
done:
    tw_zip_writer_free(&w);
    tw_named_arrays_free(&a);
    tw_output_discard(&out);
    return st;
}

const tw_exporter tw_export_score_sde = {
    .name = "score_sde",
    .summary = "checkpoint.pth of score_sde_pytorch: unet and ncsnpp with its names",
    .write = write,
};
