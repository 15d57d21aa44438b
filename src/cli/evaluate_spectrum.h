/* `evaluate --spectrum`: power by scale. Not collective. */
#ifndef TWEEDIE_CLI_EVALUATE_SPECTRUM_H
#define TWEEDIE_CLI_EVALUATE_SPECTRUM_H

#include "cli/evaluate.h"
#include "tweedie/json.h"
#include "tweedie/spectrum.h"

/* Of images; their channels are 0 where none are asked for. */
typedef struct evaluate_spectra {
    tw_spectrum samples, data;
    tw_spectrum both; /* paired: channels of a sample, then those of its reference */
} evaluate_spectra;

/* @param paired  also sample i against sample i of the data
 * @param[out] out  zero-initialised; evaluate_spectra_free, in any case
 * @return TW_EUSAGE for points, and for pairs of sets of other lengths */
tw_status evaluate_spectra_compute(evaluate_spectra *out, const evaluate_set *samples,
                                   const evaluate_set *data, bool paired);
void evaluate_spectra_json(tw_json *j, const evaluate_spectra *s);
void evaluate_spectra_print(const evaluate_spectra *s);
void evaluate_spectra_free(evaluate_spectra *s);

#endif
