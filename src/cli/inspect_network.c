/* Networks, plans and configurations, as `tweedie inspect` shows them. */
#include <stdio.h>
#include <sys/stat.h>

#include "cli/inspect.h"
#include "tweedie/checkpoint.h"
#include "tweedie/fingerprint.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/restore.h"
#include "tweedie/setup.h"

static tw_status print_fingerprint(const tw_fingerprint *f, const tw_inspect_network *n)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "params", f->params);
    tw_json_list(&json, "first8");
    for (int i = 0; i < 8; i++) tw_json_double(&json, NULL, f->first8[i]);
    tw_json_end(&json);
    tw_json_double(&json, "sum", f->sum);
    tw_json_double(&json, "sumsq", f->sumsq);
    tw_json_double(&json, "L", f->loss);
    tw_json_double(&json, "input_grad_sumsq", f->input_grad_sumsq);
    tw_json_double(&json, "param_grad_norm", f->param_grad_norm);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    if (n->json) {
        printf("%s\n", json.text.data);
    } else {
        printf("parameters             %lld\noutput, first 8       ", (long long)f->params);
        for (int i = 0; i < 8; i++) printf(" %.9g", f->first8[i]);
        printf("\nsum                    %.9g\nsum of squares         %.9g\nL                      "
               "%.9g\n",
               f->sum, f->sumsq, f->loss);
        printf("|dL/dx| squared        %.9g\n|dL/dtheta|            %.9g\n", f->input_grad_sumsq,
               f->param_grad_norm);
    }
done:
    tw_text_free(&json.text);
    return st;
}

static tw_status check_labels(const tw_inspect_network *n, int64_t classes)
{
    tw_status st = TW_OK;
    TW_CHECK(classes || !n->labels.count, TW_EUSAGE,
             "--labels: the network is told no classes (network.classes = 0)");
    TW_CHECK(!classes || n->labels.count == n->times.count, TW_EUSAGE,
             "inspect --fingerprint: --labels A,B is needed, a class for each of the %lld times",
             (long long)n->times.count);
    for (int64_t i = 0; i < n->labels.count; i++)
        TW_CHECK(n->labels.values[i] >= 0 && n->labels.values[i] < classes, TW_EUSAGE,
                 "--labels: class %lld; 0 to %lld was expected", (long long)n->labels.values[i],
                 (long long)classes - 1);
done:
    return st;
}

static tw_status measure(const tw_inspect_network *n, tw_model *m, tw_precision precision,
                         bool keep)
{
    tw_status st = TW_OK;
    tw_fingerprint f;
    TW_TRY(check_labels(n, m->classes));
    const tw_fingerprint_inputs inputs = {n->times.count, n->times.values, n->labels.values, keep};
    const tw_plan_options options = {.precision = precision};
    TW_TRY(tw_fingerprint_measure(&f, m, &inputs, &options));
    TW_TRY(print_fingerprint(&f, n));
done:
    return st;
}

static bool holds_weights(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return true;
    return tw_checkpoint_check(path, NULL) == TW_OK;
}

/* Weights as they are, in f32. */
static tw_status measure_weights(const tw_inspect_network *n)
{
    tw_status st = TW_OK;
    tw_restored *r = NULL;
    TW_CHECK(n->assignment_count == 0, TW_EUSAGE, "%s: weights take no settings",
             n->assignments[0]);
    TW_TRY(tw_restore(&r, NULL, n->config, NULL));
    TW_TRY(measure(n, r->model, TW_PRECISION_F32, true));
done:
    tw_restore_destroy(&r);
    return st;
}

tw_status tw_inspect_fingerprint(const tw_inspect_network *n)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    TW_CHECK(n->times.count > 0, TW_EUSAGE,
             "inspect --fingerprint: --times A,B is needed, a time for each sample of the batch");
    if (holds_weights(n->config)) return measure_weights(n);
    TW_TRY(tw_setup_open(&setup, NULL, n->config, n->assignment_count, n->assignments));
    TW_TRY(measure(n, setup.model, setup.precision, false));
done:
    tw_setup_close(&setup);
    return st;
}

tw_status tw_inspect_plan(const tw_inspect_network *n)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    tw_objective *objective = NULL;
    TW_TRY(tw_setup_open(&setup, NULL, n->config, n->assignment_count, n->assignments));
    TW_TRY(tw_objective_add_params(setup.objective, setup.model, 0));
    TW_TRY(tw_params_use_gradient(setup.model->params, NULL));
    const tw_objective_options options = {.batch = setup.batch,
                                          .global_batch = setup.global_batch,
                                          .precision = setup.precision,
                                          .convolution = setup.convolution,
                                          .packing = TW_PACKING_EACH_RUN,
                                          .gradients = true,
                                          .lend_gradients = true,
                                          .recompute = setup.recompute};
    TW_TRY(tw_objective_create(&objective, setup.model, setup.objective, &options));
    tw_plan_print(tw_objective_plan(objective), stdout);
done:
    tw_objective_destroy(&objective);
    tw_setup_close(&setup);
    return st;
}

tw_status tw_inspect_ranks(const tw_inspect_network *n, int64_t most)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    TW_TRY(tw_setup_read(&setup, n->config, n->assignment_count, n->assignments));
    printf("%lld\n", (long long)tw_setup_ranks(&setup, most));
done:
    tw_setup_close(&setup);
    return st;
}

tw_status tw_inspect_keys(const tw_inspect_network *n)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    char *text = NULL;
    TW_TRY(tw_setup_read(&setup, n->config, n->assignment_count, n->assignments));
    TW_TRY(tw_config_help(setup.config, &text));
    fputs(text, stdout);
done:
    tw_free(&text);
    tw_setup_close(&setup);
    return st;
}
