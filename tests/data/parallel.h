/* For tests of data that run on ranks: a communicator, a thread for input and output, and one
 * folder that all ranks see. */
#ifndef TEST_DATA_PARALLEL_H
#define TEST_DATA_PARALLEL_H

#include "data/fixture.h"
#include "tweedie/comm.h"
#include "tweedie/io.h"

static tw_comm *comm;
static tw_io *io;

static tw_status make_parallel(void)
{
    tw_status st = TW_OK;
    TW_TRY(tw_comm_create(&comm));
    if (tw_comm_rank(comm) == 0 && make_directory(NULL) != 0) st = TW_EIO;
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_broadcast(comm, directory, sizeof directory, 0));
    TW_TRY(tw_io_create(&io));
done:
    if (st != TW_OK) fprintf(stderr, "%s\n", tw_error_message());
    return st;
}

static int end_parallel(int failed)
{
    tw_io_destroy(&io);
    if (tw_comm_rank(comm) == 0) remove_directory(NULL);
    tw_comm_destroy(&comm);
    return failed;
}

#endif
