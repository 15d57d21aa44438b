/* Threads and precision of a rank. */
#include "run/compute.h"

#include <omp.h>
#include <stddef.h>

static const tw_config_field fields[] = {
    {"compute", "precision", TW_CONFIG_CHOICE, offsetof(tw_compute_config, precision), "auto",
     .choices = "auto|f32|bf16", .fixed = true,
     .help = "auto: bf16 where the processor has AMX for it, else f32"},
    {"compute", "threads", TW_CONFIG_INT64, offsetof(tw_compute_config, threads), "0", 0, 4096,
     .help = "OpenMP threads of a rank; 0: what the launcher gives"},
};

tw_status tw_compute_config_bind(tw_compute_config *out, tw_config *config)
{
    static const tw_precision choices[] = {TW_PRECISION_AUTO, TW_PRECISION_F32, TW_PRECISION_BF16};
    tw_status st = tw_config_bind(config, fields, sizeof fields / sizeof *fields, out);
    out->precision = (int)choices[out->precision];
    return st;
}

tw_status tw_compute_prepare(tw_precision *precision, int *threads, const tw_compute_config *config,
                             const tw_comm *comm)
{
    tw_status st = TW_OK;
    int n = (int)config->threads;
    tw_precision resolved = tw_precision_resolve((tw_precision)config->precision);
    if (n == 0 && comm) TW_TRY(tw_comm_default_threads(comm, &n));
    if (n > 0) omp_set_num_threads(n);
    if (comm) {
        double everywhere = resolved == TW_PRECISION_BF16;
        TW_TRY(tw_comm_min(comm, &everywhere, 1));
        resolved = everywhere > 0 ? TW_PRECISION_BF16 : TW_PRECISION_F32;
        TW_TRY(tw_comm_report_placement(comm, omp_get_max_threads(), tw_precision_name(resolved)));
    }
    TW_CHECK(tw_precision_supported(resolved), TW_ECONFIG,
             "compute.precision: bf16 needs a processor with AVX-512; use f32 or auto");
    *precision = resolved;
    if (threads) *threads = omp_get_max_threads();
done:
    return st;
}
