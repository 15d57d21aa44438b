/* Posterior samples as K datasets: file k holds sample k of each measurement. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "job/restore_job_internal.h"
#include "tweedie/memory.h"

static tw_status begin_one(restoring *r, const tw_dataset_spec *means, int64_t k)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    tw_dataset_spec spec = *means;
    TW_TRY(tw_format(path, sizeof path, "%s/sample-%03lld.h5", r->o->files, (long long)k));
    TW_TRY(tw_format(spec.name, sizeof spec.name, "posterior samples %lld", (long long)k));
    const tw_dataset_writer_options options = {
        .path = path, .mode = r->job.options->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW};
    TW_TRY(tw_dataset_writer_create(&r->files[k], &spec, &options));
    TW_TRY(tw_dataset_writer_set_text(r->files[k], "settings", r->job.settings));
done:
    return st;
}

tw_status restore_files_begin(restoring *r, const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    if (!r->o->files || !*r->o->files) return TW_OK;
    TW_CHECK(mkdir(r->o->files, 0777) == 0 || errno == EEXIST, TW_EIO, "%s: cannot be made: %s",
             r->o->files, strerror(errno));
    TW_TRY(tw_alloc(&r->files, r->o->per, sizeof(tw_dataset_writer *), "files of samples"));
    for (int64_t k = 0; k < r->o->per; k++) TW_TRY(begin_one(r, spec, k));
done:
    return st;
}

tw_status restore_files_append(restoring *r, int64_t n)
{
    tw_status st = TW_OK;
    const float *x = r->job.values[RESTORE_SAMPLES];
    for (int64_t k = 0; r->files && k < r->o->per; k++)
        for (int64_t i = 0; i < n; i++)
            TW_TRY(
                tw_dataset_writer_append(r->files[k], 1, x + (i * r->o->per + k) * r->dims, NULL));
done:
    return st;
}

tw_status restore_files_end(restoring *r)
{
    tw_status st = TW_OK;
    for (int64_t k = 0; r->files && k < r->o->per; k++)
        TW_TRY(tw_dataset_writer_finish(&r->files[k], NULL));
done:
    return st;
}

void restore_files_abort(restoring *r)
{
    for (int64_t k = 0; r->files && k < r->o->per; k++) tw_dataset_writer_abort(&r->files[k]);
    tw_free(&r->files);
}
