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
    double scale; /* of our network's output against theirs */
    inputs in;
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

static void run(tw_plan *p, const inputs *in)
{
    const tw_plan_run options = {0};
    const tw_shape s = tw_plan_shape(p, "x");
    float *x = tw_plan_input(p, "x"), *t = tw_plan_input(p, "t"),
          *log_sigma = tw_plan_input(p, "log_sigma");
    int32_t *index = tw_plan_input(p, "index"), *label = tw_plan_input(p, "label");
    for (int64_t i = 0; i < tw_shape_count(s); i++)
        x[i] = (float)sin(0.37 * (double)channels_first(s, i) + 0.1);
    for (int i = 0; i < 2; i++) {
        if (t) t[i] = (float)in->t[i];
        if (log_sigma) log_sigma[i] = (float)in->log_sigma[i];
        if (index) index[i] = in->index[i];
        if (label) label[i] = in->label[i];
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
        const double met = e->scale * (double)y[i], w = wanted[channels_first(s, i)];
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
    tw_restored *r = import(path, &(tw_weights_import_options){.ema = e->ema});
    tw_plan *p = make_plan(r->model);
    run(p, &e->in);
    fixture_json j = fixture_read_json(fixture_path(answers, "peers", e->answers));
    compare(e, tw_plan_output(p, "y"), tw_plan_shape(p, "y"),
            tw_item_find(tw_item_find(j.root, "outputs"), e->output));
    fixture_free_json(&j);
    tw_plan_destroy(&p);
    tw_restore_destroy(&r);
}

static const inputs sde = {.t = {3, 250.25}};

static void score_sde_ddpm_gives_its_output(void **state)
{
    (void)state;
    check_peer(&(peer){"sde_ddpm/checkpoint_5.pth", "sde_ddpm.json", "model", false, 1, sde});
    check_peer(&(peer){"sde_ddpm/checkpoint_5.pth", "sde_ddpm.json", "ema", true, 1, sde});
}

static void score_sde_ddpmpp_gives_its_output(void **state)
{
    (void)state;
    check_peer(&(peer){"sde_ddpmpp/checkpoint_2.pth", "sde_ddpmpp.json", "model", false, 1, sde});
    check_peer(&(peer){"sde_ddpmpp/checkpoint_2.pth", "sde_ddpmpp.json", "ema", true, 1, sde});
}

static void score_sde_of_jax_gives_its_output(void **state)
{
    (void)state;
    check_peer(&(peer){"flax_ddpmpp/checkpoint_7", "flax_ddpmpp.json", "params_ema", true, 1, sde});
    check_peer(
        &(peer){"flax_ddpmpp/checkpoint_7", "flax_ddpmpp.json", "optimizer/target", false, 1, sde});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_sde_ddpm_gives_its_output),
        cmocka_unit_test(score_sde_ddpmpp_gives_its_output),
        cmocka_unit_test(score_sde_of_jax_gives_its_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
