/* What all targets share: scratch files, seeds, and libFuzzer's entry points. */
#include "harness.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/importer.h"
#include "hdf5_repair.h"
#include "tweedie/log.h"
#include "worker.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static char directory[256];
static const char *seed_directory;

FILE *fuzz_stream(void)
{
    static FILE *stream;
    if (!stream) {
        stream = fdopen(dup(STDERR_FILENO), "w");
        if (!stream) abort();
        setvbuf(stream, NULL, _IONBF, 0);
    }
    return stream;
}

const char *fuzz_directory(void)
{
    return directory;
}

static const char *join(const char *folder, const char *name)
{
    static char paths[16][512];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *fuzz_path(const char *name)
{
    return join(directory, name);
}

const char *fuzz_seed_path(const char *name)
{
    return join(seed_directory, name);
}

void fuzz_require(bool holds, const char *what, const char *file, int line)
{
    if (holds) return;
    fprintf(fuzz_stream(), "%s:%d: %s: does not hold; last error: %s\n", file, line, what,
            tw_error_message());
    abort();
}

void fuzz_write(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    FUZZ_CLAIM(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

void fuzz_seed(const char *name, const void *bytes, size_t size)
{
    fuzz_write(fuzz_seed_path(name), bytes, size);
}

void fuzz_seed_text(const char *name, const char *text)
{
    fuzz_seed(name, text, strlen(text));
}

void fuzz_seed_copy(const char *name, const char *path)
{
    static char bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    FUZZ_CLAIM(file != NULL);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    fuzz_seed(name, bytes, size);
}

void fuzz_part(const uint8_t *bytes, size_t size, int i, const uint8_t **part, size_t *part_size)
{
    static const char separator[] = FUZZ_SEPARATOR;
    const uint8_t *end = bytes + size, *found;
    while ((found = memmem(bytes, (size_t)(end - bytes), separator, sizeof separator - 1)) &&
           i > 0) {
        bytes = found + sizeof separator - 1;
        i--;
    }
    *part = bytes;
    *part_size = i > 0 ? 0 : (size_t)((found ? found : end) - bytes);
}

void fuzz_judge(tw_status st)
{
    FUZZ_CLAIM(st == TW_OK || st == TW_EDATA || st == TW_EUSAGE || st == TW_ECONFIG);
    FUZZ_CLAIM(st == TW_OK || tw_error_message()[0]);
}

void fuzz_import(const char *format, const char *path, const char *second, unsigned variant)
{
    const char *inputs[] = {path, second};
    const tw_import_options options = {
        .format = format,
        .inputs = inputs,
        .input_count = second ? 2 : 1,
        .path = fuzz_path("out.h5"),
        .transpose = variant & 1,
        .height = variant & 2 ? 5 : 0,
        .width = variant & 2 ? 7 : 0,
        .crop = variant & 4,
        .colour = (tw_import_colour)(variant / 8 % 3),
        .layout = variant & 1 ? TW_LAYOUT_NCHW : TW_LAYOUT_NHWC,
    };
    tw_spool *spool = NULL;
    FUZZ_OK(tw_spool_create(&spool, options.path, NULL));
    for (int i = 0; i < tw_import_count; i++)
        if (strcmp(tw_import_table[i]->name, format) == 0) {
            worker_isolated(tw_import_table[i]->isolated);
            fuzz_judge(tw_import_table[i]->run(&options, spool));
            worker_isolated(false);
        }
    tw_spool_destroy(&spool);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

/* Not after a finding: then scripts/fuzz does. */
static void remove_directory(void)
{
    (void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_directory(void)
{
    const char *base = getenv("TWEEDIE_FUZZ_SCRATCH");
    snprintf(directory, sizeof directory, "%s/fuzz-XXXXXX",
             base                            ? base
             : access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                             : "/tmp");
    FUZZ_CLAIM(mkdtemp(directory) != NULL && atexit(remove_directory) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)fuzz_stream();
    make_directory();
    tw_log_quiet(true);
    if (*argc == 3 && strcmp((*argv)[1], "--seeds") == 0) {
        seed_directory = (*argv)[2];
        (void)mkdir(seed_directory, 0777);
        fuzz_here.seeds();
        exit(0);
    }
    if (fuzz_here.start) fuzz_here.start();
    return 0;
}

/* With the check repaired; not in place, since the input is libFuzzer's. */
static void run(const uint8_t *data, size_t size)
{
    static uint8_t bytes[WORKER_INPUT_MAX];
    const char *path = fuzz_path(fuzz_here.file);
    if (size > sizeof bytes) return;
    memcpy(bytes, data, size);
    if (fuzz_here.repair) fuzz_here.repair(bytes, size);
    fuzz_write(path, bytes, size);
    if (fuzz_here.hdf5)
        worker_run(path, bytes, size);
    else
        fuzz_here.run(path, bytes, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run(data, size);
    return 0;
}

/* HDF5: half of the time one piece of metadata alone, and mostly with the checksums made right. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    size_t at, length;
    if (!fuzz_here.hdf5) return LLVMFuzzerMutate(data, size, max);
    if (seed % 2 && hdf5_find_block(data, size, seed / 16, &at, &length)) {
        (void)LLVMFuzzerMutate(data + at, length, length); /* what it cuts off stays as it was */
    } else {
        size = LLVMFuzzerMutate(data, size, max);
    }
    if (seed / 2 % 8) hdf5_repair(data, size);
    return size;
}
