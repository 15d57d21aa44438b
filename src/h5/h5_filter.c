/* Filters of other libraries, and how to get rid of them.
 *
 * Numbers and names are those of The HDF Group's registry of filter plug-ins. */
#include "h5/h5.h"

/* Who can read it. */
typedef enum converter { H5REPACK, H5PY, HDF5PLUGIN, PLUGIN } converter;

static const struct {
    H5Z_filter_t id;
    const char *name;
    converter converter;
} filters[] = {
    {4, "szip", H5REPACK},
    {5, "n-bit", H5REPACK},
    {6, "scale-offset", H5REPACK},
    {305, "LZO", PLUGIN},
    {307, "bzip2", HDF5PLUGIN},
    {32000, "LZF", H5PY},
    {32001, "Blosc", HDF5PLUGIN},
    {32002, "MAFISC", PLUGIN},
    {32003, "Snappy", PLUGIN},
    {32004, "LZ4", HDF5PLUGIN},
    {32005, "APAX", PLUGIN},
    {32006, "CBF", PLUGIN},
    {32007, "JPEG-XR", PLUGIN},
    {32008, "bitshuffle", HDF5PLUGIN},
    {32009, "SPDP", PLUGIN},
    {32010, "LPC-Rice", PLUGIN},
    {32011, "CCSDS-123", PLUGIN},
    {32012, "JPEG-LS", PLUGIN},
    {32013, "zfp", HDF5PLUGIN},
    {32014, "fpzip", PLUGIN},
    {32015, "Zstandard", HDF5PLUGIN},
    {32016, "B3D", PLUGIN},
    {32017, "SZ", HDF5PLUGIN},
    {32018, "FCIDECOMP", HDF5PLUGIN},
    {32019, "JPEG", PLUGIN},
    {32020, "VBZ", PLUGIN},
    {32021, "FAPEC", PLUGIN},
    {32022, "BitGroom", PLUGIN},
    {32023, "Granular BitRound", PLUGIN},
    {32024, "SZ3", HDF5PLUGIN},
    {32025, "Delta-Rice", PLUGIN},
    {32026, "Blosc2", HDF5PLUGIN},
    {32027, "FLAC", PLUGIN},
    {32028, "SPERR", HDF5PLUGIN},
};

static tw_status refuse(H5Z_filter_t id, const char *path, const char *object)
{
    const char *name = "unregistered";
    converter how = PLUGIN;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if (filters[i].id != id) continue;
        name = filters[i].name;
        how = filters[i].converter;
    }
    if (how == H5REPACK)
        return tw_error_set(TW_EDATA,
                            "%s: %s is packed by HDF5 filter %d (%s), which is not read here; "
                            "unpack it: h5repack -f %s:NONE %s unpacked.h5",
                            path, object, (int)id, name, object, path);
    if (how == PLUGIN)
        return tw_error_set(TW_EDATA,
                            "%s: %s is packed by HDF5 filter %d (%s), which is not read here; "
                            "unpack it where its plug-in is installed: HDF5_PLUGIN_PATH=FOLDER "
                            "h5repack -f %s:NONE %s unpacked.h5",
                            path, object, (int)id, name, object, path);
    return tw_error_set(
        TW_EDATA,
        "%s: %s is packed by HDF5 filter %d (%s), which is not read here%s; unpack it with Python "
        "(pip install %s): python3 -c \"import h5py%s; h5py.File('unpacked.h5', 'w')['%s'] = "
        "h5py.File('%s')['%s'][...]\"",
        path, object, (int)id, name,
        how == H5PY ? ", nor by h5repack; h5py has it built in" : " (plug-in package hdf5plugin)",
        how == H5PY ? "h5py" : "h5py hdf5plugin", how == H5PY ? "" : ", hdf5plugin", object, path,
        object);
}

tw_status tw_h5_check_filters(bool *deflated, hid_t list, const char *path, const char *object)
{
    tw_status st = TW_OK;
    int count = H5Pget_nfilters(list);
    TRY_H5(count, TW_EDATA, "%s: the filters of %s cannot be read", path, object);
    for (int i = 0; i < count; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t id =
            H5Pget_filter2(list, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (id != H5Z_FILTER_DEFLATE && id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32)
            TW_TRY(refuse(id, path, object));
        if (id == H5Z_FILTER_DEFLATE) *deflated = true;
    }
done:
    return st;
}
