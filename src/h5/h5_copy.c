/* Copying boxes of elements between arrays of any strides. */
#include <string.h>

#include "h5/h5_chunk.h"

/* Elements of a cut line: 49 MB of columns took 0.60 s uncut, 0.23 s with 16, 0.25 with 32, 0.29
 * with 64. */
enum { TILE = 16 };

void tw_h5_dense_strides(int rank, const int64_t *extent, size_t element, int64_t *strides_out)
{
    int64_t stride = (int64_t)element;
    for (int i = rank - 1; i >= 0; i--) {
        strides_out[i] = stride;
        stride *= extent[i];
    }
}

#define COPY_LINE(type)                                                                            \
    for (int64_t i = 0; i < count; i++) {                                                          \
        type v;                                                                                    \
        memcpy(&v, in + i * in_stride, sizeof v);                                                  \
        memcpy(out + i * out_stride, &v, sizeof v);                                                \
    }

static void copy_line(int64_t count, size_t element, char *out, int64_t out_stride, const char *in,
                      int64_t in_stride)
{
    if (element == 1) {
        COPY_LINE(uint8_t)
    } else if (element == 2) {
        COPY_LINE(uint16_t)
    } else if (element == 4) {
        COPY_LINE(uint32_t)
    } else if (element == 8) {
        COPY_LINE(uint64_t)
    } else {
        for (int64_t i = 0; i < count; i++)
            memcpy(out + i * out_stride, in + i * in_stride, element);
    }
}

/* A box without axes of length 1, its dense axes merged into the element. */
typedef struct shape {
    int rank;
    int64_t extent[8], out[8], in[8];
    size_t element;
} shape;

static void simplify(shape *s, int rank, const int64_t *extent, size_t element, const int64_t *out,
                     const int64_t *in)
{
    s->rank = 0;
    s->element = element;
    for (int i = 0; i < rank; i++) {
        if (extent[i] == 1) continue;
        s->extent[s->rank] = extent[i];
        s->out[s->rank] = out[i];
        s->in[s->rank++] = in[i];
    }
    while (s->rank > 0 && s->out[s->rank - 1] == (int64_t)s->element &&
           s->in[s->rank - 1] == (int64_t)s->element)
        s->element *= (size_t)s->extent[--s->rank];
}

static void copy_lines(const shape *s, int64_t count, char *to, const char *from)
{
    int64_t at[8] = {0};
    const int last = s->rank - 1;
    for (int axis = last; axis >= 0;) {
        copy_line(count, s->element, to, s->out[last], from, s->in[last]);
        for (axis = last - 1; axis >= 0; axis--) {
            to += s->out[axis];
            from += s->in[axis];
            if (++at[axis] < s->extent[axis]) break;
            to -= s->extent[axis] * s->out[axis];
            from -= s->extent[axis] * s->in[axis];
            at[axis] = 0;
        }
    }
}

void tw_h5_copy_box(int rank, const int64_t *extent, size_t element, void *out,
                    const int64_t *out_strides, const void *in, const int64_t *in_strides)
{
    shape s;
    simplify(&s, rank, extent, element, out_strides, in_strides);
    if (s.rank == 0) {
        memcpy(out, in, s.element);
        return;
    }
    /* a line that is spread far apart is cut, so that what it touches is still in the cache when
       the next lines touch it again */
    const int last = s.rank - 1;
    const int64_t tile = s.rank > 1 && s.out[last] > 256 ? TILE : s.extent[last];
    for (int64_t first = 0; first < s.extent[last]; first += tile) {
        const int64_t left = s.extent[last] - first;
        copy_lines(&s, left < tile ? left : tile, (char *)out + first * s.out[last],
                   (const char *)in + first * s.in[last]);
    }
}
