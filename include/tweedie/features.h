/* Features of samples: what a classifier's last layer reads of them. Metrics compare sample sets in
 * features (tweedie/metrics_features.h).
 *
 *     TW_TRY(tw_features_open(&f, comm, "runs/classifier", spec));
 *     … count x tw_features_width(f) floats …
 *     TW_TRY(tw_features_compute(f, read, self, count, out));
 *
 * The network sees samples as their files hold them: uint8 images in 256 levels, also where they
 * come as floats and the network takes images of any extent (Inception). Computed in f32, in
 * batches of one size: the same bits at any number of ranks. */
#ifndef TWEEDIE_FEATURES_H
#define TWEEDIE_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/status.h"

typedef struct tw_features tw_features;

/* Restores a network for samples like these. Collective: all ranks get the same status. NULL for
 * comm: this process alone.
 * @param path  RUN, checkpoint or weights file of a classifier
 * @param spec  of the samples; borrowed until tw_features_destroy
 * @return TW_ECONFIG for a network that is no classifier, or of other samples; what tw_restore
 * returns */
tw_status tw_features_open(tw_features **out, const tw_comm *comm, const char *path,
                           const tw_dataset_spec *spec);
void tw_features_destroy(tw_features **features);

int64_t tw_features_width(const tw_features *features);
/* The network and where it came from, for people. Borrowed. */
const char *tw_features_text(const tw_features *features);
/* Of network and weights: equal digests give equal features of equal samples. Borrowed. */
const char *tw_features_digest(const tw_features *features);

/* Samples first … first + count − 1 as stored, in the spec's kind. */
typedef tw_status tw_stored_reader(void *self, int64_t first, int64_t count, void *stored);

/* Features of the samples 0 … count − 1, each rank a share, all ranks with all of them. Collective.
 * @param[out] out  [count][width] */
tw_status tw_features_compute(const tw_features *features, tw_stored_reader *read, void *self,
                              int64_t count, float *out);

/* The network that is shipped for samples like these: of MNIST's kind, uint8 images of 28 x 28 x 1.
 * Looked for beside the program (share/tweedie of an installation, or the source that it was built
 * in). Not collective. @return false where there is none */
bool tw_features_shipped(char *path, size_t size, const tw_dataset_spec *spec);

#endif
