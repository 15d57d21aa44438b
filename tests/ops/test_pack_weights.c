/* Weights between the store and other layouts: against oneDNN's own reorders, which know nothing of
 * our tables, bit for bit, padding included; and back again. */
#include "ops/reference.h"
#include "ops/weights.h"

typedef struct problem {
    int rank;
    int64_t w[5];
    tw_layout layout;
    dnnl_format_tag_t wanted;
    tw_dtype type;
} problem;

static const problem problems[] = {
    {4, {1, 1, 1, 1}, TW_PLAIN, dnnl_abcd, TW_DTYPE_F32},
    {4, {4, 3, 3, 3}, TW_PLAIN, dnnl_cdba, TW_DTYPE_F32},
    {4, {5, 3, 3, 2}, TW_PLAIN, dnnl_Acdb16a, TW_DTYPE_F32}, /* padded to 16 outputs */
    {4, {17, 19, 3, 3}, TW_PLAIN, dnnl_ABcd16b16a, TW_DTYPE_F32},
    {4,
     {17, 19, 1, 3},
     TW_PLAIN,
     dnnl_ABcd8b16a2b,
     TW_DTYPE_BF16}, /* pairs of inputs, as bf16 products want them */
    {4, {32, 48, 3, 3}, TW_BLOCKED, dnnl_ABcd16b16a, TW_DTYPE_F32}, /* as stored */
    {4, {32, 48, 3, 3}, TW_BLOCKED, dnnl_abcd, TW_DTYPE_F32},
    {4, {48, 32, 3, 3}, TW_BLOCKED, dnnl_ABcd16a16b, TW_DTYPE_F32},
    {4, {48, 32, 3, 3}, TW_BLOCKED, dnnl_ABcd8b16a2b, TW_DTYPE_BF16},
    {4, {48, 32, 3, 3}, TW_BLOCKED, dnnl_cdba, TW_DTYPE_BF16},
    {3, {6, 4, 3}, TW_PLAIN, dnnl_ABc16b16a, TW_DTYPE_F32},
    {3, {16, 32, 5}, TW_BLOCKED, dnnl_abc, TW_DTYPE_F32},
    {5, {3, 2, 3, 3, 2}, TW_PLAIN, dnnl_abcde, TW_DTYPE_BF16},
    {5, {16, 16, 2, 3, 3}, TW_BLOCKED, dnnl_ABcde8b16a2b, TW_DTYPE_BF16},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

/* The library's conversion of `from` to `to`; both hold whole descriptors, padding included. */
static void reorder(const tw_md *to_md, void *to, const tw_md *from_md, const void *from)
{
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t pd = NULL;
    tw_primitive p;
    assert_int_equal(tw_dnnl_open(&engine, &stream), TW_OK);
#if DNNL_VERSION_MAJOR >= 3
    assert_int_equal(
        dnnl_reorder_primitive_desc_create(&pd, from_md->md, engine, to_md->md, engine, NULL),
        dnnl_success);
#else
    assert_int_equal(
        dnnl_reorder_primitive_desc_create(&pd, &from_md->md, engine, &to_md->md, engine, NULL),
        dnnl_success);
#endif
    const tw_primitive_arg args[] = {{DNNL_ARG_FROM, from_md}, {DNNL_ARG_TO, to_md}, {0}};
    assert_int_equal(tw_primitive_create(&p, pd, args), TW_OK);
    void *scratch = p.scratch_bytes ? malloc(p.scratch_bytes) : NULL;
    tw_primitive_run(&p, (void *[]){(void *)(uintptr_t)from, to}, scratch);
    dnnl_stream_wait(stream);
    free(scratch);
    tw_primitive_destroy(&p);
}

static tw_md tagged(tw_shape s, tw_dtype type, dnnl_format_tag_t tag)
{
    tw_md m = {.set = false};
    if (tw_md_tag(&m, s.rank, s.dims, type, tag) != TW_OK) fail_msg("%s", tw_error_message());
    return m;
}

static const dnnl_format_tag_t plain_tag[] = {dnnl_abc, dnnl_abcd, dnnl_abcde};

static float *plain_weights(int64_t n)
{
    float *w = malloc((size_t)n * sizeof *w);
    for (int64_t j = 0; j < n; j++) w[j] = noise(9, j);
    return w;
}

/* [o][i][tap] as [i][o][last tap first] */
static float *turned_round(const float *w, tw_shape s)
{
    const int64_t out = s.dims[0], in = s.dims[1], taps = tw_shape_count(s) / (out * in);
    float *t = malloc((size_t)tw_shape_count(s) * sizeof *t);
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++)
            for (int64_t k = 0; k < taps; k++)
                t[(i * out + o) * taps + taps - 1 - k] = w[(o * in + i) * taps + k];
    return t;
}

/* Packs a unit of weights that are NaN outside of it: it reads no others. */
static void pack_unit(const tw_weights_copy *c, void *got, const float *stored, int64_t u,
                      int64_t unit, int64_t n)
{
    const int64_t first = u * unit, count = n - first < unit ? n - first : unit;
    float *alone = malloc((size_t)n * sizeof *alone);
    memset(alone, 0xff, (size_t)n * sizeof *alone);
    memcpy(alone + first, stored + first, (size_t)count * sizeof *alone);
    tw_weights_copy_unit(c, got, alone, u);
    free(alone);
}

static void check_pack(const problem *p, bool flip)
{
    const tw_shape shape = tw_shape_make(p->w, p->rank),
                   wanted_shape = flip ? tw_weights_flipped_shape(shape) : shape;
    float *w = plain_weights(tw_shape_count(shape)), *seen = flip ? turned_round(w, shape) : NULL;
    tw_md plain = tagged(shape, TW_DTYPE_F32, plain_tag[p->rank - 3]),
          wanted = tagged(wanted_shape, p->type, p->wanted);
    tw_md wanted_plain = tagged(wanted_shape, TW_DTYPE_F32, plain_tag[p->rank - 3]),
          store = {.set = false};
    tw_weights_copy c = {0};
    assert_int_equal(tw_weights_md(&store, shape, p->layout), TW_OK);
    float *stored = calloc(1, tw_md_size(&store));
    void *want = calloc(1, tw_md_size(&wanted)), *got = calloc(1, tw_md_size(&wanted));
    reorder(&store, stored, &plain, w);
    reorder(&wanted, want, &wanted_plain, flip ? seen : w);
    assert_int_equal(tw_weights_copy_pack(&c, shape, p->layout, flip, &wanted, p->type), TW_OK);
    if (c.direct) { /* the store's memory will do */
        assert_false(flip);
        assert_memory_equal(stored, want, tw_md_size(&wanted));
    }
    tw_weights_copy_run(&c, got, stored);
    if (memcmp(got, want, tw_md_size(&wanted)) != 0)
        fail_msg("problem %d%s differs", (int)(p - problems), flip ? ", turned round" : "");
    memset(got, 0, tw_md_size(&wanted));
    const int64_t unit = tw_weights_unit(shape, p->layout), n = tw_shape_count(shape);
    for (int64_t u = (n - 1) / unit; u >= 0; u--) pack_unit(&c, got, stored, u, unit, n);
    if (memcmp(got, want, tw_md_size(&wanted)) != 0)
        fail_msg("problem %d%s differs in units", (int)(p - problems),
                 flip ? ", turned round" : "");
    tw_weights_copy_destroy(&c);
    tw_md_destroy(&plain);
    tw_md_destroy(&wanted);
    tw_md_destroy(&wanted_plain);
    tw_md_destroy(&store);
    free(w);
    free(seen);
    free(stored);
    free(want);
    free(got);
}

static void packing_is_what_the_library_reorders_to(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++)
        for (int flip = 0; flip < 2; flip++) check_pack(&problems[i], flip);
}

/* What a bf16 plan packs where products are computed in f32: every layout, the stored one too. */
static void bf16_that_is_wanted_as_f32_is_rounded(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        const tw_shape shape = tw_shape_make(problems[i].w, problems[i].rank);
        const int64_t n = tw_shape_count(shape);
        tw_md plain = tagged(shape, TW_DTYPE_F32, plain_tag[shape.rank - 3]);
        tw_weights_copy c = {0};
        float *w = plain_weights(n), *got = calloc((size_t)n, sizeof *got);
        assert_int_equal(tw_weights_copy_pack(&c, shape, TW_PLAIN, false, &plain, TW_DTYPE_BF16),
                         TW_OK);
        assert_false(c.direct);
        tw_weights_copy_run(&c, got, w);
        for (int64_t j = 0; j < n; j++) assert_true(got[j] == tw_from_bf16(tw_to_bf16(w[j])));
        tw_weights_copy_destroy(&c);
        tw_md_destroy(&plain);
        free(w);
        free(got);
    }
}

static void only_the_stored_layout_is_taken_directly(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        const problem *p = &problems[i];
        const tw_shape shape = tw_shape_make(p->w, p->rank);
        const dnnl_format_tag_t own =
            p->layout == TW_PLAIN ? plain_tag[p->rank - 3] : dnnl_ABcd16b16a;
        tw_md wanted = tagged(shape, p->type, p->wanted);
        tw_weights_copy c = {0};
        assert_int_equal(tw_weights_copy_pack(&c, shape, p->layout, false, &wanted, p->type),
                         TW_OK);
        assert_int_equal(c.direct, p->wanted == own && p->type == TW_DTYPE_F32);
        tw_weights_copy_destroy(&c);
        tw_md_destroy(&wanted);
    }
}

/* What a backward-weights primitive wrote, with garbage where its layout pads, goes to the store.
 */
static void unpacking_is_what_the_library_reorders_to(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        const problem *p = &problems[i];
        if (p->type != TW_DTYPE_F32) continue;
        const tw_shape shape = tw_shape_make(p->w, p->rank);
        float *w = plain_weights(tw_shape_count(shape));
        tw_md plain = tagged(shape, TW_DTYPE_F32, plain_tag[p->rank - 3]),
              given = tagged(shape, TW_DTYPE_F32, p->wanted);
        tw_md store = {.set = false};
        tw_weights_copy c = {0};
        assert_int_equal(tw_weights_md(&store, shape, p->layout), TW_OK);
        float *written = malloc(tw_md_size(&given)), *want = calloc(1, tw_md_size(&store)),
              *got = calloc(1, tw_md_size(&store));
        reorder(&given, written, &plain, w);
        for (size_t k = 0; k < tw_md_size(&given) / sizeof *written; k++)
            if (written[k] == 0) written[k] = NAN; /* noise is never 0: padding */
        reorder(&store, want, &plain, w);
        assert_int_equal(tw_weights_copy_unpack(&c, shape, p->layout, &given), TW_OK);
        tw_weights_copy_run(&c, got, written);
        if (memcmp(got, want, tw_md_size(&store)) != 0) fail_msg("problem %d differs", i);
        tw_weights_copy_destroy(&c);
        tw_md_destroy(&plain);
        tw_md_destroy(&given);
        tw_md_destroy(&store);
        free(w);
        free(written);
        free(want);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_is_what_the_library_reorders_to),
        cmocka_unit_test(bf16_that_is_wanted_as_f32_is_rounded),
        cmocka_unit_test(only_the_stored_layout_is_taken_directly),
        cmocka_unit_test(unpacking_is_what_the_library_reorders_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
