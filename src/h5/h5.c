/* Opening, describing and reading HDF5 objects with suspicion. */
#include "h5/h5.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tweedie/memory.h"

enum { WORDS_MAX = 256 };

/* How HDF5 quotes what the system said of a call that failed. */
static const char of_system[] = "error message = '";

/* The deepest line of the error stack. */
static herr_t innermost(unsigned n, const H5E_error2_t *error, void *out)
{
    if (n == 0 && error->desc) snprintf(out, WORDS_MAX, "%s", error->desc);
    return 0;
}

/* What a lock that was not given means, by the number of the error. */
static const char *lock_hint(int error)
{
    switch (error) {
    case EAGAIN:
    case EACCES:
        return "another process has the file open for writing; wait until it has closed it";
    case ENOLCK:
        return "the lock service of the file system does not answer or has no locks left; if "
               "nobody writes the file, set HDF5_USE_FILE_LOCKING=FALSE";
    case 524: /* ENOTSUPP of the kernel, which has no text */
        return "the server of this network file system knows no locks (error 524); if nobody "
               "writes the file, set HDF5_USE_FILE_LOCKING=FALSE";
    case EOPNOTSUPP:
    case ENOSYS:
        return "this file system knows no locks; if nobody writes the file, set "
               "HDF5_USE_FILE_LOCKING=FALSE";
    default:
        return NULL;
    }
}

/* What HDF5 says in the words of a user: the system's own of a failed call, and what is behind the
 * failures that everybody meets. */
static void explain(char *words)
{
    static const char locking[] = "unable to lock file, errno = ", truncated[] = "truncated file: ";
    char text[WORDS_MAX];
    unsigned long long eof, base, stored;
    const char *quoted = strstr(words, of_system), *hint = NULL;
    if (strncmp(words, locking, sizeof locking - 1) == 0)
        hint = lock_hint(atoi(words + sizeof locking - 1));
    if (hint)
        snprintf(text, sizeof text, "it cannot be locked: %s", hint);
    else if (quoted)
        snprintf(text, sizeof text, "HDF5: %.*s",
                 (int)strcspn(quoted + sizeof of_system - 1, "'\n"), quoted + sizeof of_system - 1);
    else if (strncmp(words, truncated, sizeof truncated - 1) == 0 &&
             sscanf(words + sizeof truncated - 1,
                    "eof = %llu, sblock->base_addr = %llu, stored_eof = %llu", &eof, &base,
                    &stored) == 3)
        snprintf(text, sizeof text,
                 "HDF5: truncated file: it has %llu bytes, and %llu were written", eof,
                 base + stored);
    else
        snprintf(text, sizeof text, "HDF5: %.*s", (int)strcspn(words, "\n"), words);
    memcpy(words, text, sizeof text);
}

tw_status tw_h5_fail(tw_status code, const char *format, ...)
{
    char words[WORDS_MAX] = "", text[1536];
    va_list args;
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, words);
    if (code == TW_EDATA && (strstr(words, of_system) || strstr(words, "MPI error string is '")))
        code = TW_EIO; /* the disk is at fault, and the file may be good */
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!words[0]) return tw_error_set(code, "%s", text);
    explain(words);
    return tw_error_set(code, "%s: %s", text, words);
}

/* HDF5 1.10 keeps an object whose last write failed (a full disk), and crashes on it when it closes
 * what is left: in an exit handler, and in MPI_Finalize where MPI was initialised before HDF5. So
 * it starts before MPI and without the handler. Whatever matters was closed, and its status told,
 * long before. */
__attribute__((constructor)) static void start_before_mpi(void)
{
    (void)H5dont_atexit();
    (void)H5open();
}

tw_status tw_h5_start(void)
{
    tw_status st = TW_OK;
    TRY_H5(H5open(), TW_EINTERNAL, "the HDF5 library cannot be started");
    TRY_H5(H5Eset_auto2(H5E_DEFAULT, NULL, NULL), TW_EINTERNAL,
           "the HDF5 library cannot be silenced");
    TRY_H5(H5PLset_loading_state(0), TW_EINTERNAL,
           "plug-ins of the HDF5 library cannot be disabled");
done:
    return st;
}

void tw_h5_close(hid_t *id)
{
    if (*id < 0) return;
    switch (H5Iget_type(*id)) {
    case H5I_FILE:
        H5Fclose(*id);
        break;
    case H5I_GROUP:
    case H5I_DATASET:
        H5Oclose(*id);
        break;
    case H5I_DATASPACE:
        H5Sclose(*id);
        break;
    case H5I_DATATYPE:
        H5Tclose(*id);
        break;
    case H5I_ATTR:
        H5Aclose(*id);
        break;
    default:
        H5Pclose(*id);
        break;
    }
    *id = H5I_INVALID_HID;
}

void tw_h5_divert(hid_t file)
{
    int *descriptor = NULL;
    if (file < 0 || H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&descriptor) < 0 || !descriptor)
        return;
    const int memory = memfd_create("tweedie", MFD_CLOEXEC);
    if (memory < 0) return;
    (void)dup2(memory, *descriptor);
    close(memory);
}

/* Whether `name` (a path of one or more steps, whose parents exist) is a hard link. */
static tw_status find_link(bool *found, hid_t file, const char *path, const char *name)
{
    tw_status st = TW_OK;
    H5L_info_t info;
    htri_t exists = H5Lexists(file, name, H5P_DEFAULT);
    TRY_H5(exists, TW_EDATA, "%s: %s cannot be looked up", path, name);
    *found = exists > 0;
    if (!*found) goto done;
    TRY_H5(H5Lget_info(file, name, &info, H5P_DEFAULT), TW_EDATA, "%s: %s cannot be looked up",
           path, name);
    TW_CHECK(info.type == H5L_TYPE_HARD, TW_EDATA,
             "%s: %s is a soft or external link; only objects of the file itself are read", path,
             name);
done:
    return st;
}

tw_status tw_h5_has(bool *out, hid_t file, const char *path, const char *name)
{
    return find_link(out, file, path, name);
}

tw_status tw_h5_open_dataset(hid_t *out, hid_t file, const char *path, const char *object)
{
    tw_status st = TW_OK;
    char step[1024];
    hid_t id = H5I_INVALID_HID;
    bool found = false;
    TW_TRY(tw_format(step, sizeof step, "%s", object));
    for (char *slash = step + 1;;
         slash++) { /* "/a", then "/a/b": a missing parent is an error of the library, not "no" */
        char end = *slash;
        if (end && end != '/') continue;
        *slash = '\0';
        TW_TRY(find_link(&found, file, path, step));
        TW_CHECK(found, TW_EDATA, "%s: there is no object %s", path, step);
        *slash = end;
        if (!end) break;
    }
    TRY_H5(id = H5Oopen(file, object, H5P_DEFAULT), TW_EDATA, "%s: %s cannot be opened", path,
           object);
    TW_CHECK(H5Iget_type(id) == H5I_DATASET, TW_EDATA, "%s: %s is not a dataset", path, object);
    *out = id;
    id = H5I_INVALID_HID;
done:
    tw_h5_close(&id);
    return st;
}
