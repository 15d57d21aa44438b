/* Pieces of HTML. */
#include "report/html.h"

#include <math.h>
#include <string.h>

static const char DASH[] = "<span class=\"none\">–</span>";

void html_add(html *h, const char *markup)
{
    if (h->status == TW_OK)
        h->status = tw_text_add_bytes(&h->text, markup, (int64_t)strlen(markup));
}

void html_text(html *h, const char *plain)
{
    if (h->status == TW_OK) h->status = tw_text_add_markup(&h->text, plain);
}

void html_number(html *h, double value)
{
    if (!isfinite(value))
        html_add(h, DASH);
    else if (h->status == TW_OK)
        h->status = tw_text_add(&h->text, "%.5g", value);
}

void html_int(html *h, int64_t value)
{
    if (value < 0)
        html_add(h, DASH);
    else if (h->status == TW_OK)
        h->status = tw_text_add(&h->text, "%lld", (long long)value);
}

static void cell(html *h, const char *open, const char *plain, const char *close)
{
    html_add(h, open);
    if (plain && plain[0])
        html_text(h, plain);
    else
        html_add(h, DASH);
    html_add(h, close);
}

void html_head_cell(html *h, const char *plain)
{
    cell(h, "<th>", plain, "</th>");
}

void html_cell(html *h, const char *plain)
{
    cell(h, "<td>", plain, "</td>");
}

void html_name(html *h, const uint8_t rgb[3], const char *name)
{
    if (h->status == TW_OK)
        h->status =
            tw_text_add(&h->text, "<i class=\"dot\" style=\"background:#%02x%02x%02x\"></i>",
                        rgb[0], rgb[1], rgb[2]);
    html_text(h, name);
}
