/* What diffusers' networks have in common. */
#ifndef WEIGHTS_DIFFUSERS_CONFIG_H
#define WEIGHTS_DIFFUSERS_CONFIG_H

#include "weights/system.h"

/* All tensors of a state by today's names of theirs. */
tw_status tw_diffusers_tensors(tw_state_dict *d, const tw_item *root);

/* "KEY = value" lines of what config.json says under the key, nothing where it does not.
 * @return TW_EDATA for a value of another type */
tw_status tw_diffusers_number(tw_text *t, const tw_item *config, const char *key);
tw_status tw_diffusers_bool(tw_text *t, const tw_item *config, const char *key);
/* block_out_channels. */
tw_status tw_diffusers_channels(tw_text *t, const tw_item *config);

/* What is not said is as the library has it; what is said must be this. @return TW_EDATA */
tw_status tw_diffusers_expect(const tw_item *config, const char *key, const char *word);

#endif
