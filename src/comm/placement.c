/* Where ranks run, and what commonly goes wrong there: threads bound to too few CPUs (mpirun's
 * default binds two ranks to one core each; Slurm 22.05 and 23.02 do not hand --cpus-per-task on to
 * srun), more threads than CPUs, two OpenMP runtimes in one process. */
#include <link.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm_private.h"
#include "comm/placement.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/processor.h"

/* With OMP_PROC_BIND the runtime has bound this thread to one place when it was loaded; then its
 * places tell what the process was given. */
static bool from_places(cpu_set_t *cpus)
{
    int places = omp_get_num_places();
    for (int p = 0; p < places; p++) {
        int ids[CPU_SETSIZE], n = omp_get_place_num_procs(p);
        if (n < 1 || n > CPU_SETSIZE) return false;
        omp_get_place_proc_ids(p, ids);
        for (int i = 0; i < n; i++)
            if (ids[i] >= 0 && ids[i] < CPU_SETSIZE) CPU_SET(ids[i], cpus);
    }
    return places > 0;
}

void comm_allowed_cpus(cpu_set_t *cpus)
{
    CPU_ZERO(cpus);
    if (from_places(cpus)) return;
    CPU_ZERO(cpus);
    if (sched_getaffinity(0, sizeof *cpus, cpus) == 0) return;
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than CPU_SETSIZE of them */
    for (int i = 0; i < online && i < CPU_SETSIZE; i++) CPU_SET(i, cpus);
}

typedef struct runtimes {
    char *names;
    size_t size;
    int count;
} runtimes;

static int note_runtime(struct dl_phdr_info *info, size_t size, void *self)
{
    runtimes *found = self;
    (void)size;
    const char *slash = strrchr(info->dlpi_name, '/'), *name = slash ? slash + 1 : info->dlpi_name;
    if (strncmp(name, "libgomp", 7) != 0 && strncmp(name, "libomp.", 7) != 0 &&
        strncmp(name, "libomp-", 7) != 0 && strncmp(name, "libomp5", 7) != 0 &&
        strncmp(name, "libiomp", 7) != 0)
        return 0;
    size_t n = strlen(found->names);
    if (n < found->size) snprintf(found->names + n, found->size - n, "%s%s", n ? ", " : "", name);
    found->count++;
    return 0;
}

int tw_comm_openmp_runtimes(char *names, size_t size)
{
    runtimes found = {names, size, 0};
    names[0] = '\0';
    dl_iterate_phdr(note_runtime, &found);
    return found.count;
}

/* The NUMA node of a CPU, from its folder in /sys; -1 where the kernel does not say. */
static int numa_of(int cpu)
{
    char path[96];
    for (int node = 0; node < 64; node++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
        if (access(path, F_OK) == 0) return node;
    }
    return -1;
}

/* "0-3,8": a set of CPUs as Linux writes it. */
static void describe_cpus(char *out, size_t size, const cpu_set_t *cpus)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < CPU_SETSIZE && n < size; i++) {
        if (!CPU_ISSET(i, cpus)) continue;
        int last = i;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus)) last++;
        int m = last > i ? snprintf(out + n, size - n, "%s%d-%d", n ? "," : "", i, last)
                         : snprintf(out + n, size - n, "%s%d", n ? "," : "", i);
        n += (size_t)m;
        i = last;
    }
}

typedef struct placement {
    char host[HOST_MAX], isa[24], precision[16], runtimes[128];
    int node, threads, numa, runtime_count;
    cpu_set_t cpus;
} placement;

static void look(placement *p, const tw_comm *comm, int threads, const char *precision)
{
    memset(p, 0, sizeof *p);
    strcpy(p->host, comm->host);
    const tw_processor processor = tw_processor_allowed();
    strncpy(p->isa, tw_processor_name(&processor), sizeof p->isa - 1);
    strncpy(p->precision, precision, sizeof p->precision - 1);
    p->node = comm->node;
    p->threads = threads;
    p->runtime_count = tw_comm_openmp_runtimes(p->runtimes, sizeof p->runtimes);
    comm_allowed_cpus(&p->cpus);
    p->numa = -2;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &p->cpus)) continue;
        int numa = numa_of(i);
        if (p->numa == -2) p->numa = numa;
        if (p->numa != numa) p->numa = -1; /* more than one */
    }
}

enum { FAR = 4 }; /* threads of a CPU that no launcher's rounding explains */

static void warn_of_rank(const placement *p, int rank)
{
    int cpus = CPU_COUNT(&p->cpus);
    if (p->threads >= FAR * cpus)
        tw_log_warn(
            "WARNING: rank %d on %s: %d threads on %d CPU%s, %d times as many: they wait for "
            "each other, and everything takes many times as long; set OMP_NUM_THREADS (or "
            "compute.threads) to %d",
            rank, p->host, p->threads, cpus, cpus == 1 ? "" : "s", p->threads / cpus, cpus);
    else if (p->threads > cpus)
        tw_log_warn("rank %d on %s: %d threads on %d CPU%s: give it as many (srun "
                    "--cpus-per-task=%d, mpirun --map-by ppr:N:node:PE=%d), or set "
                    "OMP_NUM_THREADS",
                    rank, p->host, p->threads, cpus, cpus == 1 ? "" : "s", p->threads, p->threads);
    if (p->runtime_count > 1)
        tw_log_warn("rank %d on %s: two OpenMP runtimes in one process (%s): they fight for the "
                    "same CPUs; use libraries built for one of them",
                    rank, p->host, p->runtimes);
}

static void warn_of_node(const placement *all, int ranks, int node)
{
    cpu_set_t together;
    int threads = 0, members = 0;
    const char *host = "";
    CPU_ZERO(&together);
    for (int r = 0; r < ranks; r++) {
        if (all[r].node != node) continue;
        CPU_OR(&together, &together, &all[r].cpus);
        threads += all[r].threads;
        members++;
        host = all[r].host;
    }
    int cpus = CPU_COUNT(&together);
    if (members > 1 && threads > cpus)
        tw_log_warn("%s: oversubscribed: %d ranks with together %d threads on %d CPUs", host,
                    members, threads, cpus);
}

tw_status tw_comm_report_placement(const tw_comm *comm, int threads, const char *precision)
{
    tw_status st = TW_OK;
    placement mine, *all = NULL;
    char cpus[160], numa[16];

    look(&mine, comm, threads, precision);
    if (comm->rank == 0) st = tw_alloc(&all, comm->size, sizeof *all, "the places of all ranks");
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_gather(comm, &mine, sizeof mine, all));
    for (int r = 0; comm->rank == 0 && r < comm->size; r++) {
        describe_cpus(cpus, sizeof cpus, &all[r].cpus);
        if (all[r].numa >= 0)
            snprintf(numa, sizeof numa, "%d", all[r].numa);
        else
            strcpy(numa, "several");
        tw_log_info("rank %d of %d: %s, CPUs %s (%d), threads %d, NUMA node %s, %s, %s", r,
                    comm->size, all[r].host, cpus, CPU_COUNT(&all[r].cpus), all[r].threads, numa,
                    all[r].isa, all[r].precision);
        warn_of_rank(&all[r], r);
    }
    for (int node = 0; comm->rank == 0 && node < comm->nodes; node++)
        warn_of_node(all, comm->size, node);
done:
    tw_free(&all);
    return st;
}

/* A positive number in a variable (OMP_NUM_THREADS may be a list for nested levels: its first), or
 * 0. */
enum { THREADS_MAX = 4096 }; /* as compute.threads */

static int number_of(const char *variable)
{
    const char *text = getenv(variable);
    long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n <= THREADS_MAX ? (int)n : 0;
}

/* Node-local facts that decide whether there are CPUs to spare. Collective on the node. */
tw_status comm_node_cpus(const tw_comm *comm, int threads, int *cpus_out, int *threads_out,
                         int *sharing_out)
{
    tw_status st = TW_OK;
    cpu_set_t mine, *all = NULL, together;
    int total = 0, sharing = 0;

    comm_allowed_cpus(&mine);
    TW_TRY(tw_alloc(&all, comm->node_size, sizeof *all, "the CPUs of this node's ranks"));
    TRY_MPI(MPI_Allgather(&mine, (int)sizeof mine, MPI_BYTE, all, (int)sizeof mine, MPI_BYTE,
                          comm->local));
    TRY_MPI(MPI_Allreduce(&threads, &total, 1, MPI_INT, MPI_SUM, comm->local));
    CPU_ZERO(&together);
    for (int r = 0; r < comm->node_size; r++) {
        cpu_set_t common;
        CPU_AND(&common, &mine, &all[r]);
        if (CPU_COUNT(&common) > 0) sharing++; /* itself included */
        CPU_OR(&together, &together, &all[r]);
    }
    *cpus_out = CPU_COUNT(&together);
    *threads_out = total;
    *sharing_out = sharing > 0 ? sharing : 1;
done:
    tw_free(&all);
    return st;
}

tw_status tw_comm_default_threads(const tw_comm *comm, int *threads_out)
{
    tw_status st = TW_OK;
    int cpus, total, sharing, threads = number_of("OMP_NUM_THREADS");
    const char *text = getenv("OMP_NUM_THREADS");
    cpu_set_t mine;

    if (!threads) threads = number_of("SRUN_CPUS_PER_TASK");
    if (!threads) threads = number_of("SLURM_CPUS_PER_TASK");
    tw_comm_collective(comm, "the threads of a node", 0);
    TW_TRY(comm_node_cpus(comm, threads, &cpus, &total, &sharing));
    comm_allowed_cpus(&mine);
    if (!threads) threads = CPU_COUNT(&mine) / sharing;
    *threads_out = threads > 1 ? threads : 1;
    if (text && *text && !number_of("OMP_NUM_THREADS") && comm->rank == 0)
        tw_log_warn(
            "OMP_NUM_THREADS is '%.40s', expected a number from 1 to %d: it is passed over, "
            "and rank 0 takes %d",
            text, THREADS_MAX, *threads_out);
done:
    return st;
}
