/* Which processes have what. */
#ifndef LIKELIHOOD_METHOD_H
#define LIKELIHOOD_METHOD_H

#include "tweedie/process.h"

/* @return TW_ECONFIG with what would work */
tw_status tw_likelihood_check_bound(const tw_process *p);

#endif
