/* Hamiltonian Monte Carlo at one time, adjusted where the model has an energy. */
#include "sample/one_time.h"

const tw_loop tw_loop_hmc = ONE_TIME_LOOP("hmc", "Hamiltonian Monte Carlo at one time", "hmc");
