/* A page of HTML as text that grows. A failure is kept, so that the calls need no checks. Tags are
 * closed as XML asks, so that a page can be checked by any reader of XML. */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "tweedie/text.h"

typedef struct html {
    tw_text text;
    tw_status status; /* the first failure */
} html;

void html_add(html *h, const char *markup); /* as it is */
void html_text(html *h, const char *plain); /* escaped */
void html_number(html *h, double value);    /* five digits; a dash where it is not finite */
void html_int(html *h, int64_t value);      /* a dash below zero */
/* <th>TEXT</th>, <td>TEXT</td>, escaped; an empty text is a dash. */
void html_head_cell(html *h, const char *plain);
void html_cell(html *h, const char *plain);
/* A disc in a colour, then the name. */
void html_name(html *h, const uint8_t rgb[3], const char *name);

#endif
