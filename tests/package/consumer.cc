// Uses Tweedie from C++: its functions are found under their C names.
#include <cstdint>
#include <cstdio>

#include <tweedie/comm_mpi.h>
#include <tweedie/process.h>
#include <tweedie/rng.h>
#include <tweedie/version.h>

int main()
{
    tw_comm *comm = nullptr;
    if (tw_comm_create(&comm) != TW_OK) return 1;
    tw_rng_stream stream = {};
    stream.seed = 1;
    stream.purpose = TW_RNG_TEST;
    float x[4];
    tw_rng_normal(x, &stream, 0, 4);
    std::printf("Tweedie %s in C++, rank %d of %d\n", tw_version(), tw_comm_rank(comm), tw_comm_size(comm));
    tw_comm_destroy(&comm);
    return x[0] == x[1];
}
