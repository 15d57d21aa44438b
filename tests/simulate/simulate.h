/* What the driver sets of the simulated machine. */
#ifndef TWEEDIE_SIMULATE_H
#define TWEEDIE_SIMULATE_H

#include "smpi_threads.h"

extern double simulate_memory;    /* bytes a second of the node */
extern double simulate_bandwidth; /* bytes a second of one core, while all others are at work */

#endif
