# Tweedie with Debian's MPICH: the build, and the tests of comm, of the reduction and of training.
#   tests/mpich/run.sh [BUILD]   with a folder for the build, which may be one that is there (default: build/mpich)
# Slow. Debian: apt-get install mpich libmpich-dev libhdf5-mpich-dev, beside the packages of scripts/setup.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/mpich}
for tool in mpicc.mpich mpiexec.mpich h5pcc.mpich; do
    command -v $tool >/dev/null || { echo "skipped: $tool is not installed (Debian: mpich libmpich-dev libhdf5-mpich-dev)" && exit 77; }
done
jobs=${JOBS:-$(nproc)}
tests='^test_(comm|reducer|watchdog|watchdog_nodes|step)(\.[0-9]+)?$'
cmake --preset release -B "$build" -DBUILD_TESTING=ON -DMPI_C_COMPILER="$(command -v mpicc.mpich)" -DMPIEXEC_EXECUTABLE="$(command -v mpiexec.mpich)" \
    -DHDF5_C_COMPILER_EXECUTABLE="$(command -v h5pcc.mpich)"
cmake --build "$build" -j "$jobs" --target tweedie_program test_comm test_reducer test_watchdog test_watchdog_nodes test_step
"$build/tweedie" --version | tee "$build/version"
grep -q 'MPICH' "$build/version" || { echo "the program does not stand on MPICH" && exit 1; }
! ldd "$build/tweedie" | grep -i -e libmpi.so.40 -e openmpi || { echo "the program stands on Open MPI too" && exit 1; }
ctest --test-dir "$build" --output-on-failure --no-tests=error -R "$tests"

# training on two ranks and resuming on one gives what one rank gives, and a rank that is alone under a launcher says so
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
train() {
    local run=$1 ranks=$2
    shift 2
    OMP_NUM_THREADS=1 mpiexec.mpich -n "$ranks" "$build/tweedie" train jobs/config/circles-ddpm.ini --run "$folder/$run" data.path="$folder/circles.h5" \
        train.batch=64 train.microbatch=16 train.rank_independent=yes checkpoint.every=10 log.grid_every=0 log.validate_every=0 "$@"
}
"$build/tweedie" import "$folder/circles.h5" --format circles --count 1000 --seed 1
train one 1 train.steps=20
train two 2 train.steps=10
train two 4 train.steps=20
"$build/tweedie" checkpoint diff "$folder/one" "$folder/two"
mpiexec.mpich -n 2 "$build/tweedie" sample "$folder/two" --count 32 --out "$folder/samples.h5"
echo "MPICH: all tests passed"
