/* The Metropolis-adjusted Langevin algorithm at one time: no error but that of a finite chain. */
#include "sample/one_time.h"

const tw_loop tw_loop_mala = ONE_TIME_LOOP(
    "mala", "Metropolis-adjusted Langevin at one time, of models with an energy", "mala");
