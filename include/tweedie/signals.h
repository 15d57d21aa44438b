/* Signals as flags. The handlers only set flags; the training loop reads them once a step, and the
 * ranks agree on them in the reduction of the gradient, so that one signalled rank is enough.
 *
 *     SIGUSR1, SIGTERM, SIGINT   finish the step, save, exit 75
 *     SIGUSR2                    save and go on
 *     SIGPIPE, SIGXFSZ           ignored: a log without a reader and a file over its limit are
 *                                errors of the write
 *
 * A second SIGTERM (a second or more after the first) or SIGINT (0.2 s or more) ends the process
 * now, without saving. SIGINT stays ignored where it was. */
#ifndef TWEEDIE_SIGNALS_H
#define TWEEDIE_SIGNALS_H

#include <stdbool.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Installs the handlers for this process. @return TW_EINTERNAL where the system refuses */
tw_status tw_signals_install(void);

/* Whether this process was asked to stop. Stays so. */
bool tw_signals_stop(void);

/* Whether this process was asked to save since the last call: reading it clears it. */
bool tw_signals_take_save(void);

#ifdef __cplusplus
}
#endif

#endif
