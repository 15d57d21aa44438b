/* Names for the axes of a dataset file's arrays, as HDF5's dimension scales and netCDF-4 say them.
 */
#ifndef TWEEDIE_DATA_DIMENSIONS_H
#define TWEEDIE_DATA_DIMENSIONS_H

#include "data/format.h"
#include "h5/h5.h"

/* Gives every axis of every array in the root a dimension: sample, y, x, channel of the samples,
 * those of a condition where they differ, class of the class names, and for arrays beside them
 * sample and NAME_1, NAME_2 ... The same file gives the same bytes.
 * @param path  names the file in messages */
tw_status tw_dimensions_write(hid_t file, const tw_dataset_spec *spec, const char *path);

/* Whether an array may have the name: none of a dimension's. */
bool tw_dimensions_is_name(const char *name);

#endif
