/* Unadjusted Langevin dynamics at one time: x ← x + ε s + √(2 ε) z. Its error is of order ε. */
#include "sample/one_time.h"

const tw_loop tw_loop_langevin =
    ONE_TIME_LOOP("langevin", "unadjusted Langevin dynamics at one time", "langevin");
