/* One kind of failing: every fallible function returns a tw_status and leaves one message for its
 * thread.
 *
 * The place that decides the error calls TW_FAIL or TW_CHECK with what was met and what was wanted,
 * in the user's terms; callers pass it on with TW_TRY and add at most their position with
 * tw_error_prefix(). Nobody prints but the program's main(). */
#ifndef TWEEDIE_STATUS_H
#define TWEEDIE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* name, process exit code (sysexits.h where it has one), what a user may do about it */
#define TW_STATUS_LIST(X)                                                                          \
    X(TW_OK, 0, "success")                                                                         \
    X(TW_DIFFERENT, 1, "the things compared differ")                                               \
    X(TW_EUSAGE, 64, "the command line is wrong")                                                  \
    X(TW_EDATA, 65, "a file holds bad data")                                                       \
    X(TW_ENOINPUT, 66, "an input file is missing or unreadable")                                   \
    X(TW_EINTERNAL, 70, "an internal error, or a rank was lost")                                   \
    X(TW_ENOMEM, 70, "out of memory")                                                              \
    X(TW_ESHAPE, 70, "shapes do not fit")                                                          \
    X(TW_EUNSUPPORTED, 70, "not supported by this operation or library")                           \
    X(TW_ELOCKED, 73, "another process holds the run")                                             \
    X(TW_EIO, 74, "input or output failed")                                                        \
    X(TW_ESTOPPED, 75, "stopped early with a complete checkpoint: resume")                         \
    X(TW_EDIVERGED, 76, "the run diverged: do not resume blindly")                                 \
    X(TW_ECONFIG, 78, "the configuration is wrong")

/* On the type, so that it counts for every function that returns one: a status that is ignored on
 * purpose says (void). GCC takes the C23 spelling in C11 too, and Clang its own. */
#if defined(__clang__)
#define TW_NODISCARD __attribute__((warn_unused_result))
#elif defined(__GNUC__) && __GNUC__ >= 11
#define TW_NODISCARD [[nodiscard]]
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* "before C2X" */
#else
#define TW_NODISCARD
#endif

typedef enum TW_NODISCARD tw_status {
#define TW_STATUS_ENUM(name, exit_code, text) name,
    TW_STATUS_LIST(TW_STATUS_ENUM)
#undef TW_STATUS_ENUM
        TW_STATUS_COUNT
} tw_status;

#if !defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 11
#pragma GCC diagnostic pop
#endif

/* The name of a code as it is spelled in C ("TW_EDATA"). */
const char *tw_status_name(tw_status st);

/* The general meaning of a code, for a reader who has no message. */
const char *tw_status_text(tw_status st);

/* The exit code of a program that ends with this status. */
int tw_status_exit_code(tw_status st);

/* The message of the calling thread's last failure; "" if there was none. Valid until the thread's
 * next failure. */
const char *tw_error_message(void);

/* Records a failure's message for this thread and returns `code`. Use TW_FAIL instead. */
__attribute__((format(printf, 2, 3))) tw_status tw_error_set(tw_status code, const char *format,
                                                             ...);

/* Puts a position ("mnist.h5: ") before the calling thread's message. */
__attribute__((format(printf, 1, 2))) void tw_error_prefix(const char *format, ...);

/* clang's analyser sees one file at a time, and so cannot know that a failure's code is not TW_OK.
 */
#ifdef __clang_analyzer__
#define TW_FAILED_(code) ((void)(code), TW_EINTERNAL)
#else
#define TW_FAILED_(code) (code)
#endif

/* The only macros that hide a jump. A function that uses them declares `tw_status st = TW_OK;` and
 * ends in `done:`. */
#define TW_FAIL(code, ...)                                                                         \
    do {                                                                                           \
        st = TW_FAILED_(tw_error_set((code), __VA_ARGS__));                                        \
        goto done;                                                                                 \
    } while (0)

#define TW_CHECK(condition, code, ...)                                                             \
    do {                                                                                           \
        if (!(condition)) TW_FAIL((code), __VA_ARGS__);                                            \
    } while (0)

#define TW_TRY(expression)                                                                         \
    do {                                                                                           \
        st = (expression);                                                                         \
        if (st != TW_OK) goto done;                                                                \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
