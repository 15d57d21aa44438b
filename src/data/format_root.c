/* What a dataset says of itself, in the attributes of its root. */
#include "data/format.h"
#include "h5/h5.h"

tw_status tw_format_write_root(hid_t file, const char *path, const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    char splits[TW_DATASET_TEXT_MAX];
    TW_TRY(tw_format_print_splits(spec, splits));
    TW_TRY(tw_h5_write_text(file, path, "format", TW_DATASET_FORMAT));
    TW_TRY(tw_h5_write_int(file, path, "format_version", TW_DATASET_VERSION));
    TW_TRY(tw_h5_write_text(file, path, "name", spec->name));
    TW_TRY(tw_h5_write_int(file, path, "num_classes", spec->num_classes));
    TW_TRY(tw_h5_write_text(file, path, "splits", splits));
    TW_TRY(tw_h5_write_text(file, path, "source", spec->source));
    TW_TRY(tw_h5_write_text(file, path, "license", spec->license));
    if (spec->encoder[0]) TW_TRY(tw_h5_write_text(file, path, "encoder", spec->encoder));
done:
    return st;
}
