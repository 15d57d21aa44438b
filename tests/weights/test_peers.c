/* Published checkpoints, made with tiny networks by the published code itself, give the outputs
 * that this code gave in double. Where $TWEEDIE_PEERS names a folder of further ones, these too. */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_fixture.h"
#include "tweedie/restore.h"
#include "tweedie/weights.h"

/* What the network is given. */
typedef struct inputs {
    double t[2], log_sigma[2];
    int index[2], label[2];
} inputs;

typedef struct peer {
    const char *path, *answers, *output;
    bool ema;
    inputs in;
    bool unit;                  /* theirs is given samples in 0 to 1, ours in -1 to 1 */
    const char *assignments[2]; /* what no shape tells: data.shape=…; NULL: nothing */
} peer;

static bool find_peer(char path[1024], const char *name)
{
    const char *more = getenv("TWEEDIE_PEERS");
    if (access(fixture_path(path, "peers", name), R_OK) == 0) return true;
    snprintf(path, 1024, "%s/%s", more ? more : "", name);
    return more && access(path, R_OK) == 0;
}

static char *temporary(char out[64])
{
    snprintf(out, 64, "/tmp/tweedie-import-%d.h5", (int)getpid());
    return out;
}

static tw_restored *import(const char *path, const tw_weights_import_options *like)
{
    char out[64];
    tw_weights_import_result r = {.system = ""};
    tw_restored *restored = NULL;
    tw_weights_import_options o = *like;
    o.path = path;
    o.out = temporary(out);
    o.replace = true;
    if (tw_weights_import(&r, &o) != TW_OK) fail_msg("%s", tw_error_message());
    tw_weights_import_free(&r);
    if (tw_restore(&restored, NULL, out, NULL) != TW_OK) fail_msg("%s", tw_error_message());
    unlink(out);
    return restored;
}

static tw_plan *make_plan(tw_model *m)
{
    tw_graph *g = NULL;
    tw_plan *p = NULL;
    const tw_plan_options options = {.precision = TW_PRECISION_F32};
    assert_int_equal(tw_graph_create(&g), TW_OK);
    tw_graph_output(g, "y", tw_model_build(g, m, 2, NULL).net);
    if (tw_graph_status(g) != TW_OK || tw_plan_create(&p, g, m->params, &options) != TW_OK)
        fail_msg("%s", tw_error_message());
    tw_graph_destroy(&g);
    return p;
}

/* x[i] = sin(0.37 i + 0.1) over the channels-first batch, for our channels-last one. */
static int64_t channels_first(tw_shape s, int64_t i)
{
    const int64_t c = s.dims[3], pixels = s.dims[1] * s.dims[2];
    return (i / (c * pixels) * c + i % c) * pixels + i / c % pixels;
}

static void run(tw_plan *p, const peer *e)
{
    const tw_plan_run options = {0};
    const tw_shape s = tw_plan_shape(p, "x");
    float *x = tw_plan_input(p, "x"), *t = tw_plan_input(p, "t"),
          *log_sigma = tw_plan_input(p, "log_sigma");
    int32_t *index = tw_plan_input(p, "index"), *label = tw_plan_input(p, "label");
    for (int64_t i = 0; i < tw_shape_count(s); i++)
        x[i] = (float)sin(0.37 * (double)channels_first(s, i) + 0.1);
    for (int64_t i = 0; e->unit && i < tw_shape_count(s); i++) x[i] = 2 * x[i] - 1;
    for (int i = 0; i < 2; i++) {
        if (t) t[i] = (float)e->in.t[i];
        if (log_sigma) log_sigma[i] = (float)e->in.log_sigma[i];
        if (index) index[i] = e->in.index[i];
        if (label) label[i] = e->in.label[i];
    }
    tw_plan_refresh(p);
    tw_plan_execute(p, &options);
}

/* To 1e-5 of the largest output. */
static void compare(const peer *e, const float *y, tw_shape s, const tw_item *answers)
{
    double largest = 0, wanted[4096];
    int64_t n = 0;
    for (const tw_link *l = answers->as.list.first; l; l = l->next, n++) {
        assert_true(n < 4096 && tw_item_number(l->value, &wanted[n]));
        largest = fmax(largest, fabs(wanted[n]));
    }
    assert_int_equal(n, tw_shape_count(s));
    for (int64_t i = 0; i < n; i++) {
        /* the score of samples half as large is twice as large */
        const double met = (e->unit ? 2 : 1) * (double)y[i], w = wanted[channels_first(s, i)];
        if (!(fabs(met - w) <= 1e-5 * largest))
            fail_msg("%s %s: output %d is %.9g, %.9g was expected (of at most %.3g)", e->path,
                     e->output, (int)i, met, w, largest);
    }
}

static void check_peer(const peer *e)
{
    char path[1024], answers[1024];
    if (!find_peer(path, e->path)) {
        printf("%s: not at hand\n", e->path);
        return;
    }
    char text[2][64], *assignments[2] = {text[0], text[1]};
    int count = 0;
    for (; count < 2 && e->assignments[count]; count++)
        snprintf(text[count], sizeof text[count], "%s", e->assignments[count]);
    tw_restored *r =
        import(path, &(tw_weights_import_options){
                         .ema = e->ema, .assignment_count = count, .assignments = assignments});
    tw_plan *p = make_plan(r->model);
    run(p, e);
    fixture_json j = fixture_read_json(fixture_path(answers, "peers", e->answers));
    compare(e, tw_plan_output(p, "y"), tw_plan_shape(p, "y"),
            tw_item_find(tw_item_find(j.root, "outputs"), e->output));
    fixture_free_json(&j);
    tw_plan_destroy(&p);
    tw_restore_destroy(&r);
}

static void check(const char *path, const char *answers, const char *output, bool ema, inputs in)
{
    check_peer(&(peer){.path = path, .answers = answers, .output = output, .ema = ema, .in = in});
}

static const inputs sde = {.t = {3, 250.25}};

static void score_sde_ddpm_gives_its_output(void **state)
{
    (void)state;
    check("sde_ddpm/checkpoint_5.pth", "sde_ddpm.json", "model", false, sde);
    check("sde_ddpm/checkpoint_5.pth", "sde_ddpm.json", "ema", true, sde);
}

static void score_sde_ddpmpp_gives_its_output(void **state)
{
    (void)state;
    check("sde_ddpmpp/checkpoint_2.pth", "sde_ddpmpp.json", "model", false, sde);
    check("sde_ddpmpp/checkpoint_2.pth", "sde_ddpmpp.json", "ema", true, sde);
}

static void score_sde_of_jax_gives_its_output(void **state)
{
    (void)state;
    check("flax_ddpmpp/checkpoint_7", "flax_ddpmpp.json", "params_ema", true, sde);
    check("flax_ddpmpp/checkpoint_7", "flax_ddpmpp.json", "optimizer/target", false, sde);
}

static void check_unit(const char *path, const char *answers, const char *output, bool ema,
                       inputs in)
{
    check_peer(&(peer){.path = path,
                       .answers = answers,
                       .output = output,
                       .ema = ema,
                       .in = in,
                       .unit = true,
                       .assignments = {"data.shape=8,8,3"}});
}

static void ncsn_gives_its_output(void **state)
{
    (void)state;
    check_unit("ncsn/checkpoint_5.pth", "ncsn.json", "model", false, (inputs){.index = {2, 9}});
}

static void ncsnv2_gives_its_output(void **state)
{
    (void)state;
    inputs in = {.index = {3, 11}};
    for (int i = 0; i < 2; i++) /* twelve levels, 50 to 0.01, in model units twice as large */
        in.log_sigma[i] = log(100) + in.index[i] / 11.0 * log(0.01 / 50);
    check_unit("ncsnv2/checkpoint_5.pth", "ncsnv2.json", "model", false, in);
    check_unit("ncsnv2/checkpoint_5.pth", "ncsnv2.json", "ema", true, in);
}

static void improved_diffusion_gives_its_output(void **state)
{
    (void)state;
    static const char out[] = "float32_weights";
    const inputs in = {.t = {3, 250}, .label = {3, 7}};
    check("improved_cond/ema_0.9999_000010.pt", "improved_cond_ema.json", out, true, in);
    check("improved_cond/model000010.pt", "improved_cond_model000010.json", out, false, in);
    check_peer(&(peer){.path = "improved_uncond/ema_0.9999_000010.pt",
                       .answers = "improved_uncond.json",
                       .output = out,
                       .ema = true,
                       .in = in,
                       .assignments = {"data.shape=8,8,3", "network.heads=2"}});
}

static void edm_gives_its_output(void **state)
{
    (void)state;
    const inputs in = {.t = {0.5, -1.25}};
    check("edm_ddpmpp_vp/network-snapshot-000200.pkl", "edm_ddpmpp_vp_network-snapshot-000200.json",
          "ema.inner_network", true, in);
    check("edm_ddpmpp_vp/training-state-000200.pt", "edm_ddpmpp_vp_training-state-000200.json",
          "net.inner_network", false, in);
}

static void diffusers_gives_its_output(void **state)
{
    (void)state;
    const inputs in = {.t = {3, 250}};
    static const char out[] = "float32_weights";
    check("diffusers_safetensors", "diffusers_safetensors.json", out, false, in);
    check("diffusers_bin", "diffusers_bin.json", out, false, in);
    check("diffusers_old_names", "diffusers_old_names.json", out, false, in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_sde_ddpm_gives_its_output),
        cmocka_unit_test(score_sde_ddpmpp_gives_its_output),
        cmocka_unit_test(score_sde_of_jax_gives_its_output),
        cmocka_unit_test(ncsn_gives_its_output),
        cmocka_unit_test(ncsnv2_gives_its_output),
        cmocka_unit_test(improved_diffusion_gives_its_output),
        cmocka_unit_test(edm_gives_its_output),
        cmocka_unit_test(diffusers_gives_its_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
