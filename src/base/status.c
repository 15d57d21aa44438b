/* Status codes, their texts, and the message of each thread's last failure. */
#include "tweedie/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 2048 };

static _Thread_local char message[MESSAGE_MAX];

static const struct {
    const char *name;
    int exit_code;
    const char *text;
} statuses[TW_STATUS_COUNT] = {
#define ROW(name, exit_code, text) {#name, exit_code, text},
    TW_STATUS_LIST(ROW)
#undef ROW
};

const char *tw_status_name(tw_status st)
{
    return (unsigned)st < TW_STATUS_COUNT ? statuses[st].name : "TW_?";
}

const char *tw_status_text(tw_status st)
{
    return (unsigned)st < TW_STATUS_COUNT ? statuses[st].text : "unknown status";
}

int tw_status_exit_code(tw_status st)
{
    return (unsigned)st < TW_STATUS_COUNT ? statuses[st].exit_code : 70;
}

const char *tw_error_message(void)
{
    return message;
}

tw_status tw_error_set(tw_status code, const char *format, ...)
{
    char text[MESSAGE_MAX]; /* the arguments may point into the old message */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof message);
    return code;
}

void tw_error_prefix(const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || n >= MESSAGE_MAX) return;
    snprintf(text + n, sizeof text - (size_t)n, "%s", message);
    memcpy(message, text, sizeof message);
}
