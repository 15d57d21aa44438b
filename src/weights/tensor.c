/* Element types, views of storages, and their values as f32. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "weights/item.h"

/* ---- element types ---- */

static double of_f32(uint64_t bits)
{
    const uint32_t b = (uint32_t)bits;
    float x;
    memcpy(&x, &b, sizeof x);
    return (double)x;
}

static double of_f64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double of_bf16(uint64_t bits)
{
    return of_f32(bits << 16);
}

/* IEEE 754 half precision: 1 sign bit, 5 of the exponent, 10 of the fraction. */
static double of_f16(uint64_t bits)
{
    const int exponent = (int)(bits >> 10 & 31);
    const double fraction = (double)(bits & 1023), sign = bits >> 15 ? -1 : 1;
    if (exponent == 31) return fraction > 0 ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static double of_i64(uint64_t bits)
{
    return (double)(int64_t)bits;
}

static double of_i32(uint64_t bits)
{
    return (double)(int32_t)(uint32_t)bits;
}

static double of_i16(uint64_t bits)
{
    return (double)(int16_t)(uint16_t)bits;
}

static double of_i8(uint64_t bits)
{
    return (double)(int8_t)(uint8_t)bits;
}

static double of_unsigned(uint64_t bits)
{
    return (double)bits;
}

static double of_bool(uint64_t bits)
{
    return bits ? 1 : 0;
}

static const tw_dtype dtypes[] = {
    {"float32", "Float", "F32", "f4", 4, of_f32},
    {"float64", "Double", "F64", "f8", 8, of_f64},
    {"float16", "Half", "F16", "f2", 2, of_f16},
    {"bfloat16", "BFloat16", "BF16", NULL, 2, of_bf16},
    {"int64", "Long", "I64", "i8", 8, of_i64},
    {"int32", "Int", "I32", "i4", 4, of_i32},
    {"int16", "Short", "I16", "i2", 2, of_i16},
    {"int8", "Char", "I8", "i1", 1, of_i8},
    {"uint64", NULL, "U64", "u8", 8, of_unsigned},
    {"uint32", NULL, "U32", "u4", 4, of_unsigned},
    {"uint16", NULL, "U16", "u2", 2, of_unsigned},
    {"uint8", "Byte", "U8", "u1", 1, of_unsigned},
    {"bool", "Bool", "BOOL", "b1", 1, of_bool},
    {"complex64", "ComplexFloat", "C64", "c8", 8, NULL},
    {"complex128", "ComplexDouble", NULL, "c16", 16, NULL},
    {"float8_e4m3fn", NULL, "F8_E4M3", NULL, 1, NULL},
    {"float8_e5m2", NULL, "F8_E5M2", NULL, 1, NULL},
};

const tw_dtype *tw_dtype_find(tw_dtype_word which, const char *word, int64_t length)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        const char *const words[] = {dtypes[i].name, dtypes[i].storage, dtypes[i].safetensors,
                                     dtypes[i].code};
        if (words[which] && (int64_t)strlen(words[which]) == length &&
            memcmp(words[which], word, (size_t)length) == 0)
            return &dtypes[i];
    }
    return NULL;
}

/* ---- views ---- */

/* In the widest arithmetic: sizes and strides are whatever somebody wrote. */
__extension__ typedef __int128 wide;

static tw_status check_view(tw_tensor *t)
{
    tw_status st = TW_OK;
    char shape[128];
    wide count = 1, last = t->offset;
    for (int k = 0; k < t->rank; k++) {
        TW_CHECK(t->shape[k] >= 0 && t->stride[k] >= 0, TW_EDATA,
                 "a tensor has a negative size or stride");
        count *= t->shape[k];
        TW_CHECK(count <= INT64_MAX, TW_EDATA, "a tensor of shape %s has more elements than 2^63",
                 tw_tensor_shape_text(t, shape));
        last += (wide)(t->shape[k] - 1) * t->stride[k];
        if (last > INT64_MAX) last = INT64_MAX; /* no storage is as long; the sum cannot overflow */
    }
    t->count = (int64_t)count;
    TW_CHECK(t->offset >= 0, TW_EDATA, "a tensor begins at the negative offset %lld",
             (long long)t->offset);
    const int size = t->storage->dtype ? 1 : t->dtype->size;
    TW_CHECK(count == 0 || last < t->storage->count / size, TW_EDATA,
             "a tensor of shape %s reaches past its storage of %lld elements",
             tw_tensor_shape_text(t, shape), (long long)(t->storage->count / size));
done:
    return st;
}

tw_status tw_archive_view(tw_archive *a, tw_item **out, tw_storage *storage, const tw_dtype *dtype,
                          int rank, const int64_t *shape, const int64_t *stride, int64_t offset)
{
    tw_status st = TW_OK;
    tw_item *item = NULL;
    tw_tensor *t = NULL;
    TW_CHECK(rank >= 0 && rank <= TW_TENSOR_RANK_MAX, TW_EDATA,
             "a tensor has %d dimensions; at most %d are read", rank, TW_TENSOR_RANK_MAX);
    TW_TRY(tw_item_new(&a->arena, &item, TW_ITEM_TENSOR));
    TW_TRY(tw_arena_take(&a->arena, &t, 1, sizeof *t));
    *t = (tw_tensor){.dtype = dtype, .rank = rank, .offset = offset, .storage = storage};
    for (int k = rank - 1; k >= 0; k--) {
        t->shape[k] = shape[k];
        if (stride)
            t->stride[k] = stride[k];
        else if (k == rank - 1)
            t->stride[k] = 1;
        else if (shape[k + 1] < 0 ||
                 __builtin_mul_overflow(t->stride[k + 1], shape[k + 1], &t->stride[k]))
            TW_FAIL(TW_EDATA, "a tensor's size overflows or is negative");
    }
    TW_TRY(check_view(t));
    TW_CHECK(t->count <= a->size && (a->elements += t->count) / 8 <= a->size, TW_EDATA,
             "the tensors have far more elements than the file has bytes");
    a->tensors++;
    item->as.tensor = t;
    *out = item;
done:
    return st;
}

const char *tw_tensor_shape_text(const tw_tensor *t, char out[128])
{
    size_t n = 0;
    for (int k = 0; k < t->rank && n < 128; k++)
        n += (size_t)snprintf(out + n, 128 - n, "%s%lld", k ? ", " : "[", (long long)t->shape[k]);
    if (n < 127) snprintf(out + n, 128 - n, "%s", t->rank ? "]" : "[]");
    return out;
}

/* ---- values ---- */

static tw_status check_crc(tw_storage *s)
{
    const int64_t bytes = s->count * (s->dtype ? s->dtype->size : 1);
    if (!s->has_crc || s->checked) return TW_OK;
    if (crc32_z(crc32_z(0, NULL, 0), s->bytes, (size_t)bytes) != s->crc)
        return tw_error_set(TW_EDATA, "the CRC-32 of a tensor's data is wrong");
    s->checked = true;
    return TW_OK;
}

static uint64_t load(const uint8_t *p, int size, bool big_endian)
{
    uint64_t bits = 0;
    for (int k = 0; k < size; k++) bits = bits << 8 | p[big_endian ? k : size - 1 - k];
    return bits;
}

static bool is_contiguous(const tw_tensor *t)
{
    int64_t step = 1;
    for (int k = t->rank - 1; k >= 0; k--) {
        if (t->shape[k] != 1 && t->stride[k] != step) return false;
        step *= t->shape[k];
    }
    return true;
}

tw_status tw_tensor_read(const tw_tensor *t, float *out)
{
    tw_status st = TW_OK;
    int64_t index[TW_TENSOR_RANK_MAX] = {0}, at = t->offset;
    const int size = t->dtype->size;
    TW_CHECK(t->dtype->value, TW_EDATA, "a tensor has the type %s, which no weights have",
             t->dtype->name);
    TW_CHECK(t->count == 0 || t->storage->bytes, TW_EDATA, "a tensor's data are not in the file");
    if (t->count > 0) TW_TRY(check_crc(t->storage));
    if (t->dtype->value == of_f32 && !t->storage->big_endian && is_contiguous(t)) {
        if (t->count > 0)
            memcpy(out, t->storage->bytes + t->offset * size, (size_t)t->count * sizeof *out);
        goto done;
    }
    for (int64_t i = 0; i < t->count; i++) {
        const uint64_t bits = load(t->storage->bytes + at * size, size, t->storage->big_endian);
        out[i] = (float)t->dtype->value(bits);
        for (int k = t->rank - 1; k >= 0; k--) {
            at += t->stride[k];
            if (++index[k] < t->shape[k]) break;
            at -= t->shape[k] * t->stride[k];
            index[k] = 0;
        }
    }
done:
    return st;
}
