/* Lines for the user. A line is written by one write(2), so that lines of several ranks or threads
 * never mix. In the file each begins with the time, in UTC; a terminal or Slurm has its own clock.
 */
#include "tweedie/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tweedie/file.h"
#include "tweedie/text.h"

enum { LINE_MAX_BYTES = 4096 };

static struct {
    char speaker[128]; /* "[3 n2] ", empty when alone */
    int rank;
    int file;
    bool quiet;
} logger = {.file = -1};

void tw_log_identify(int rank, const char *host)
{
    logger.rank = rank;
    if (rank > 0) snprintf(logger.speaker, sizeof logger.speaker, "[%d %s] ", rank, host);
}

tw_status tw_log_open(const char *path)
{
    tw_status st = TW_OK;
    int file;
    TW_TRY(tw_file_open_own(&file, path, O_WRONLY | O_CREAT | O_APPEND));
    tw_log_close();
    logger.file = file;
done:
    return st;
}

void tw_log_close(void)
{
    if (logger.file >= 0) close(logger.file);
    logger.file = -1;
}

void tw_log_quiet(bool quiet)
{
    logger.quiet = quiet;
}

/* "2026-11-26T19:23:45Z " */
static int stamp(char *out, size_t size)
{
    struct tm utc;
    const time_t now = time(NULL);
    if (!gmtime_r(&now, &utc)) return 0;
    return (int)strftime(out, size, "%Y-%m-%dT%H:%M:%SZ ", &utc);
}

/* The same lines, each behind the time. */
static void keep(const char *text)
{
    char line[LINE_MAX_BYTES + 64];
    while (*text) {
        const int length = (int)strcspn(text, "\n");
        int n = stamp(line, sizeof line);
        n += snprintf(line + n, sizeof line - (size_t)n, "%.*s\n", length, text);
        if (write(logger.file, line, (size_t)n) < 0) return;
        text += length + (text[length] == '\n');
    }
}

/* What messages quote from files must not command a terminal. */
static void put(bool shown, const char *format, va_list args)
{
    char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 1];
    int n = snprintf(text, sizeof text, "%s", logger.speaker);
    if (vsnprintf(text + n, sizeof text - (size_t)n, format, args) < 0) text[n] = '\0';
    int64_t length = tw_text_printable(line, LINE_MAX_BYTES - 1, text, "\n\t");
    line[length++] = '\n';
    /* a log that cannot be written must not stop the work it tells of */
    if (shown && write(STDERR_FILENO, line, (size_t)length) < 0 && logger.file < 0) return;
    line[length] = '\0';
    if (logger.file >= 0) keep(line);
}

void tw_log_info(const char *format, ...)
{
    if (logger.rank > 0) return;
    va_list args;
    va_start(args, format);
    put(!logger.quiet, format, args);
    va_end(args);
}

void tw_log_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(true, format, args);
    va_end(args);
}
