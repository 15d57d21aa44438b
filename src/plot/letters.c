/* Letters of 5 x 7 dots. Dots that touch are joined by strokes with round ends, so that letters
 * stay smooth at any scale. */
#include <string.h>

#include "plot/canvas.h"

/* One string for each character from the space to the tilde: a digit to base 32 for each of seven
 * rows from the top, the bit of 16 at the left. */
static const char *const glyphs[95] = {
    "0000000", "4444404", "AA00000", "AAVAVAA", "4FKE5U4", "OP248J3", "CIK8LID", "4400000", /* ' */
    "2488842", "8422248", "0AEVEA0", "044V440", "0000448", "000V000", "0000004", "0124800", /* / */
    "EHJLPHE", "4C4444E", "EH1248V", "V2421HE", "26AIV22", "VGU11HE", "68GUHHE", "V124888", /* 7 */
    "EHHEHHE", "EHHF12C", "0040040", "0040048", "0248420", "00V0V00", "0842480", "EH12404", /* ? */
    "EHNLNGE", "EHHVHHH", "UHHUHHU", "EHGGGHE", "SIHHHIS", "VGGUGGV", "VGGUGGG", "EHGNHHF", /* G */
    "HHHVHHH", "E44444E", "72222IC", "HIKOKIH", "GGGGGGV", "HRLLHHH", "HHPLJHH", "EHHHHHE", /* O */
    "UHHUGGG", "EHHHLID", "UHHUKIH", "FGGE11U", "V444444", "HHHHHHE", "HHHHHA4", "HHHLLLA", /* W */
    "HHA4AHH", "HHHA444", "V1248GV", "E88888E", "0G84210", "E22222E", "4AH0000", "000000V", /* _ */
    "8400000", "00E1FHF", "GGMPHHU", "00EGGHE", "11DJHHF", "00EHVGE", "698S888", "0FHHF1E", /* g */
    "GGMPHHH", "40C444E", "20622IC", "GGIKOKI", "C44444E", "00QLLHH", "00MPHHH", "00EHHHE", /* o */
    "00UHUGG", "00DJF11", "00MPGGG", "00EGE1U", "88S8896", "00HHHJD", "00HHHA4", "00HHLLA", /* w */
    "00HA4AH", "00HHF1E", "00V248V", "2448442", "4444444", "8442448", "008L200",            /* ~ */
};

static int bits(char digit)
{
    return digit <= '9' ? digit - '0' : digit - 'A' + 10;
}

static bool dot(const char *rows, int column, int row)
{
    if (column < 0 || column > 4 || row < 0 || row > 6) return false;
    return bits(rows[row]) >> (4 - column) & 1;
}

/* Where dot (column, row) of a text that begins at x, y is. */
typedef struct place {
    double x, y, scale;
    bool upright;
} place;

static void stroke(tw_canvas *c, const place *p, double c0, double r0, double c1, double r1,
                   tw_colour colour)
{
    const double s = p->scale, width = 0.72 * s + 0.35;
    const double x[2] = {p->x + (p->upright ? r0 : c0) * s, p->x + (p->upright ? r1 : c1) * s},
                 y[2] = {p->y + (p->upright ? -c0 : r0) * s, p->y + (p->upright ? -c1 : r1) * s};
    canvas_stroke(c, x[0], y[0], x[1], y[1], width, colour);
}

/* Diagonal neighbours are joined where no dot beside them goes round the corner. */
static void letter(tw_canvas *c, const place *p, double at, const char *rows, tw_colour colour)
{
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 5; x++) {
            if (!dot(rows, x, y)) continue;
            const bool right = dot(rows, x + 1, y), below = dot(rows, x, y + 1),
                       left = dot(rows, x - 1, y);
            if (right) stroke(c, p, at + x, y, at + x + 1, y, colour);
            if (below) stroke(c, p, at + x, y, at + x, y + 1, colour);
            if (dot(rows, x + 1, y + 1) && !right && !below)
                stroke(c, p, at + x, y, at + x + 1, y + 1, colour);
            if (dot(rows, x - 1, y + 1) && !left && !below)
                stroke(c, p, at + x, y, at + x - 1, y + 1, colour);
            if (!right && !below) stroke(c, p, at + x, y, at + x, y, colour);
        }
}

static void write_text(tw_canvas *c, const place *p, const char *text, tw_colour colour)
{
    double at = 0;
    for (; *text; text++, at += 6)
        if (*text > ' ' && *text <= '~') letter(c, p, at, glyphs[*text - ' '], colour);
}

double tw_canvas_text_width(double scale, const char *text)
{
    return scale * (6 * (double)strlen(text) - 2);
}

void tw_canvas_text(tw_canvas *c, double x, double y, int align, double scale, const char *text,
                    tw_colour colour)
{
    const double width = tw_canvas_text_width(scale, text);
    const place p = {x - (align < 0   ? 0
                          : align > 0 ? width
                                      : 0.5 * width),
                     y - 3 * scale, scale, false};
    svg_text(c, x, y, align, false, scale, text, colour);
    write_text(c, &p, text, colour);
}

void tw_canvas_text_upright(tw_canvas *c, double x, double y, double scale, const char *text,
                            tw_colour colour)
{
    const place p = {x - 3 * scale, y + 0.5 * tw_canvas_text_width(scale, text), scale, true};
    svg_text(c, x, y, 0, true, scale, text, colour);
    write_text(c, &p, text, colour);
}
