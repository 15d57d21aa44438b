/* Threads and precision of a rank. */
#include "run/compute.h"

#include <omp.h>
#include <stddef.h>

#include "tweedie/log.h"

static const tw_config_field fields[] = {
    {"compute", "precision", TW_CONFIG_CHOICE, offsetof(tw_compute_config, precision), "auto",
     .choices = "auto|f32|bf16", .fixed = true,
     .help = "auto: bf16 where it is faster (AMX, AMD Zen 4 and later), else f32; a run keeps it"},
    {"compute", "convolution", TW_CONFIG_CHOICE, offsetof(tw_compute_config, convolution), "auto",
     .choices = "auto|direct|winograd", .fixed = true,
     .help =
         "3 x 3 kernels at stride 1: by definition, by Winograd's algorithm wherever it can be, or "
         "(auto) where it is faster"},
    {"compute", "threads", TW_CONFIG_INT64, offsetof(tw_compute_config, threads), "0", 0, 4096,
     .help = "OpenMP threads of a rank; 0: what the launcher gives"},
};

tw_status tw_compute_config_bind(tw_compute_config *out, tw_config *config)
{
    static const tw_precision choices[] = {TW_PRECISION_AUTO, TW_PRECISION_F32, TW_PRECISION_BF16};
    static const tw_convolution algorithms[] = {TW_CONVOLUTION_AUTO, TW_CONVOLUTION_DIRECT,
                                                TW_CONVOLUTION_WINOGRAD};
    tw_status st = tw_config_bind(config, fields, sizeof fields / sizeof *fields, out);
    out->precision = (int)choices[out->precision];
    out->convolution = (int)algorithms[out->convolution];
    return st;
}

tw_status tw_compute_agree(tw_precision *out, tw_precision wish, const tw_comm *comm)
{
    tw_status st = TW_OK;
    tw_precision mine = tw_precision_resolve(wish);
    const int ranks = comm ? tw_comm_size(comm) : 1;
    double faster = mine == TW_PRECISION_BF16; /* ranks */
    if (comm) TW_TRY(tw_comm_sum(comm, &faster, 1));
    if (wish == TW_PRECISION_AUTO && faster > 0 && (int)faster < ranks) {
        mine = TW_PRECISION_F32;
        if (tw_comm_rank(comm) == 0)
            tw_log_info("compute.precision: auto is f32 on all ranks, since %d of %d are on "
                        "processors where bf16 is not faster",
                        ranks - (int)faster, ranks);
    }
    *out = mine;
done:
    return st;
}

/* One warning, by rank zero, for all ranks whose processors have no bf16. */
static tw_status warn_of_emulation(tw_precision precision, const tw_comm *comm)
{
    tw_status st = TW_OK;
    const int ranks = comm ? tw_comm_size(comm) : 1;
    double emulating = !tw_precision_native(precision);
    if (comm) TW_TRY(tw_comm_sum(comm, &emulating, 1));
    if (emulating > 0 && (!comm || tw_comm_rank(comm) == 0))
        tw_log_warn(
            "compute.precision is bf16, which the processors of %d of %d rank%s do not have "
            "(it needs AVX-512): they compute in f32 and round to bf16, slower than in f32",
            (int)emulating, ranks, ranks == 1 ? "" : "s");
done:
    return st;
}

tw_status tw_compute_prepare(tw_precision *precision, int *threads, const tw_compute_config *config,
                             const tw_comm *comm)
{
    tw_status st = TW_OK;
    int n = (int)config->threads;
    tw_precision resolved;
    TW_TRY(tw_compute_agree(&resolved, (tw_precision)config->precision, comm));
    if (n == 0 && comm) TW_TRY(tw_comm_default_threads(comm, &n));
    if (n > 0) omp_set_num_threads(n);
    if (comm)
        TW_TRY(tw_comm_report_placement(comm, omp_get_max_threads(), tw_precision_name(resolved)));
    TW_TRY(warn_of_emulation(resolved, comm));
    *precision = resolved;
    if (threads) *threads = omp_get_max_threads();
done:
    return st;
}
