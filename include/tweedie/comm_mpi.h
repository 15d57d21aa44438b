/* The communicator behind a tw_comm, for modules that hand it to a library (parallel HDF5). */
#ifndef TWEEDIE_COMM_MPI_H
#define TWEEDIE_COMM_MPI_H

/* To C++ mpi.h brings bindings that MPI 3.0 has removed, and that want a library of their own. */
#if defined(__cplusplus) && !defined(OMPI_SKIP_MPICXX)
#define OMPI_SKIP_MPICXX 1
#endif
#if defined(__cplusplus) && !defined(MPICH_SKIP_MPICXX)
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

#include "tweedie/comm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed. Errors are returned, not fatal. Not collective. */
MPI_Comm tw_comm_mpi(const tw_comm *comm);

/* `call` is an MPI function; its error becomes TW_EINTERNAL with MPI's own words. For functions as
 * the macros of "tweedie/status.h". */
#define TRY_MPI(call)                                                                              \
    do {                                                                                           \
        int mpi_code_ = (call);                                                                    \
        if (mpi_code_ != MPI_SUCCESS) {                                                            \
            st = TW_FAILED_(tw_comm_mpi_error(mpi_code_, #call));                                  \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

/* Records MPI's message for `code`. Use TRY_MPI instead. */
tw_status tw_comm_mpi_error(int code, const char *call);

#ifdef __cplusplus
}
#endif

#endif
