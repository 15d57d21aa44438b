/* Reads a configuration, generates numbers and asks who MPI is: one function from each of several
 * modules, found in an installed Tweedie. */
#include <stdio.h>

#include <tweedie/comm_mpi.h>
#include <tweedie/config.h>
#include <tweedie/version.h>

int main(void)
{
    static const tw_config_field table[] = {
        {"train", "steps", TW_CONFIG_INT64, 0, "7", .help = "steps"}};
    tw_config *config = NULL;
    tw_comm *comm = NULL;
    int64_t steps = 0;
    if (tw_config_create(&config) != TW_OK || tw_config_bind(config, table, 1, &steps) != TW_OK ||
        tw_config_finish(config) != TW_OK)
        return 1;
    if (tw_comm_create(&comm) != TW_OK) return 2;
    int size;
    if (MPI_Comm_size(tw_comm_mpi(comm), &size) != MPI_SUCCESS) return 3;
    printf("Tweedie %s, %lld steps on %d rank\n", tw_version(), (long long)steps, size);
    tw_comm_destroy(&comm);
    tw_config_destroy(&config);
    return 0;
}
