/* Configurations are read by rank zero alone: a folder that another node does not see, or sees
 * otherwise, must not make the ranks differ. */
#include "run/share_text.h"

#include <string.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/rundir.h"

enum { TEXT_MAX = 1 << 20 };

static tw_status agree(const tw_comm *comm, tw_status st)
{
    return comm ? tw_comm_agree(comm, st) : st;
}

static tw_status read_text(char **out, const char *path)
{
    tw_status st = TW_OK;
    char *text = NULL;
    int64_t bytes;
    TW_TRY(tw_rundir_read_text(&text, path));
    TW_TRY(tw_file_size(&bytes, path));
    TW_CHECK(bytes <= TEXT_MAX, TW_ECONFIG,
             "%s: has %lld bytes; a configuration of at most %d was expected", path,
             (long long)bytes, TEXT_MAX);
    TW_CHECK((int64_t)strlen(text) == bytes, TW_ECONFIG,
             "%s: holds a NUL byte at offset %zu; text was expected", path, strlen(text));
    *out = text;
    text = NULL;
done:
    tw_free(&text);
    return st;
}

tw_status tw_share_string(const tw_comm *comm, char **text)
{
    tw_status st = TW_OK;
    double length = *text ? (double)strlen(*text) : -1;
    if (!comm) return TW_OK;
    TW_TRY(tw_comm_broadcast(comm, &length, sizeof length, 0));
    if (length < 0) return TW_OK;
    if (!*text) st = tw_alloc(text, (int64_t)length + 1, 1, "a configuration");
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_broadcast(comm, *text, (size_t)length + 1, 0));
done:
    return st;
}

tw_status tw_share_text(const tw_comm *comm, char **out, const char *path, bool optional)
{
    tw_status st = TW_OK;
    char *text = NULL;
    if ((!comm || tw_comm_rank(comm) == 0) && (!optional || tw_file_exists(path)))
        st = read_text(&text, path);
    TW_TRY(agree(comm, st));
    TW_TRY(tw_share_string(comm, &text));
    *out = text;
    text = NULL;
done:
    tw_free(&text);
    return st;
}
