/* Texts for XML and HTML, and bytes for their data: URLs. */
#include <string.h>

#include "tweedie/text.h"

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* Bytes of the well-formed character at `s`, 0 where there is none that XML 1.0 allows. */
static int64_t character(const char *s)
{
    const unsigned char c = (unsigned char)*s;
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) return 0;
    for (int64_t n = 1; n <= 4 && s[n - 1]; n++) {
        if (!tw_text_is_utf8(s, n)) continue;
        const bool outside = n == 3 && (memcmp(s, "\xef\xbf\xbe", 3) == 0 ||
                                        memcmp(s, "\xef\xbf\xbf", 3) == 0); /* U+FFFE, U+FFFF */
        return outside ? 0 : n;
    }
    return 0;
}

tw_status tw_text_add_markup(tw_text *text, const char *plain)
{
    tw_status st = TW_OK;
    while (*plain) {
        const char *escaped = entity(*plain);
        const int64_t n = character(plain);
        if (escaped)
            TW_TRY(tw_text_add_bytes(text, escaped, (int64_t)strlen(escaped)));
        else if (n)
            TW_TRY(tw_text_add_bytes(text, plain, n));
        else
            TW_TRY(tw_text_add_bytes(text, "\xef\xbf\xbd", 3));
        plain += n ? n : 1;
    }
    if (!text->data) TW_TRY(tw_text_add_bytes(text, "", 0));
done:
    return st;
}

tw_status tw_text_add_base64(tw_text *text, const void *bytes, int64_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    tw_status st = TW_OK;
    const unsigned char *b = bytes;
    for (int64_t i = 0; i < length; i += 3) {
        const int64_t left = length - i;
        const unsigned word = (unsigned)b[i] << 16 | (left > 1 ? (unsigned)b[i + 1] << 8 : 0) |
                              (left > 2 ? (unsigned)b[i + 2] : 0);
        const char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                              left > 1 ? digits[word >> 6 & 63] : '=',
                              left > 2 ? digits[word & 63] : '='};
        TW_TRY(tw_text_add_bytes(text, four, 4));
    }
done:
    return st;
}
