# Files that the HDF5 library does not survive: whatever the command and whatever the file is for, a child process ends, and the command
# says so and ends with 65. (The library of tests/faults/ ends every process that opens a file with "crash" in its name.)
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
[ -f "$SHIM" ] || fail "$SHIM was not built"
cat >points.ini <<END
[data]
path = circles.h5
[network]
kind = mlp
width = 8
depth = 1
[train]
steps = 2
batch = 8
[objective]
timesteps = 100
END
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 16
expect_exit 0 "$TWEEDIE" train points.ini --run run
expect_exit 0 "$TWEEDIE" checkpoint export run --out w.h5
expect_exit 0 "$TWEEDIE" sample w.h5 --count 4 --out s.h5
cp circles.h5 crash-data.h5
cp w.h5 crash-weights.h5
cp -r run ruined
for file in ruined/checkpoints/*.h5; do mv "$file" "${file%.h5}.was"; done
sed 's/circles.h5/crash-data.h5/' points.ini >crash.ini

crashes() { # CODE ARG...
    local code=$1
    shift
    expect_exit "$code" env LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 FAULT_CRASH=crash "$TWEEDIE" "$@"
    expect_message "the library that reads it crashes"
}
crashes 65 import o.h5 --format hdf5 crash-data.h5:/points
crashes 65 import o.h5 --format hdf5 crash-data.h5 # which path?
crashes 65 import o.h5 --format hdf5 circles.h5:/points --labels crash-data.h5:/labels
crashes 65 inspect crash-data.h5
crashes 65 inspect crash-weights.h5
crashes 65 train crash.ini --run new
crashes 65 train points.ini --run new --init crash-weights.h5
crashes 65 train points.ini --run new data.path=crash-data.h5 --dry-run
crashes 65 sample crash-weights.h5 --count 4 --out o.h5
crashes 65 evaluate crash-data.h5 --reference circles.h5
crashes 65 evaluate s.h5 --reference crash-data.h5
crashes 65 score w.h5 --input crash-data.h5 --time 1 --out o.h5
crashes 65 score crash-weights.h5 --input circles.h5 --time 1 --out o.h5
crashes 65 likelihood w.h5 --data crash-data.h5 --out o.h5
crashes 65 encode w.h5 --data crash-data.h5 --out o.h5
crashes 65 decode w.h5 --codes crash-data.h5 --out o.h5
crashes 65 checkpoint show crash-weights.h5
crashes 65 checkpoint diff w.h5 crash-weights.h5
crashes 65 checkpoint export crash-weights.h5 --out o.h5
crashes 65 export-weights crash-weights.h5 --format safetensors --out folder
crashes 65 plot samples crash-data.h5 --out p.png
crashes 65 plot score crash-weights.h5 --density circles --out p.png
crashes 65 schedule crash-data.h5
crashes 65 bench read crash.ini

# results that are there already
expect_exit 0 "$TWEEDIE" likelihood w.h5 --data circles.h5 --out l.h5
cp l.h5 crash-l.h5
expect_exit 64 env LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 FAULT_CRASH=crash \
    "$TWEEDIE" likelihood w.h5 --data circles.h5 --out crash-l.h5
expect_message "crash-l.h5: exists already, and is no result of this command"
