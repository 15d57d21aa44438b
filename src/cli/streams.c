/* Closed standard streams. */
#include "cli/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tweedie/status.h"

void tw_streams_open(void)
{
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
        if (fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
        /* the lowest free number, and those below this one are taken */
        if (open("/dev/null", O_RDWR) != stream) _exit(tw_status_exit_code(TW_EIO));
    }
}
