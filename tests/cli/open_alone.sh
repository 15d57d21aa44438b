# A call of HDF5 that fails on one rank alone while all open a dataset: all ranks end at once, with the same message. None waits inside the
# library for one that has left.
. "$(dirname "$0")/lib.sh"
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
[ -f "$SHIM" ] || fail "$SHIM was not built"

expect_exit 0 "$TWEEDIE" import points.h5 --format circles --count 1000 --seed 1
sed 's|^path = .*|path = points.h5|' "$SOURCE/jobs/config/circles-ddpm.ini" >points.ini

# shimmed VARIABLE…: reads batches on two ranks, with the library of tests/faults/ before rank 1
shimmed() {
    LD_PRELOAD= timeout 40 mpirun -n 2 env LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 FAULT_RANK=1 "$@" \
        "$TWEEDIE" bench read points.ini --repetitions 1
}

# lines of the log of rank 1 with this call
calls() { grep '^hdf5 ' points.calls | grep -n -- "$1" | cut -d : -f 1; }

expect_exit 0 shimmed FAULT_LOG=points.calls
# each dataset is opened twice: alone, and to be read from
mapfile -t opens < <(calls H5Fopen)
[ "${#opens[@]}" -ge 2 ] || fail "the dataset is opened ${#opens[@]} times"
open=${opens[1]}
reads=$(calls H5Aread | awk -v open="$open" '$1 > open' | head -n 1)
types=$(calls H5Dget_space | awk -v open="$open" '$1 > open' | head -n 1)
for call in "$open" "$reads" "$types"; do
    code=0
    LAST="call $call of rank 1"
    shimmed FAULT_ACTION=hdf5 FAULT_CALL="$call" >"$OUT" 2>"$ERR" </dev/null || code=$?
    [[ " 65 70 74 " == *" $code "* ]] || fail "exit code $code, wanted 65, 70 or 74 (124: it hangs)"
    expect_equal "messages" "$(grep -c '^tweedie: rank 1 on .*points.h5' "$ERR")" 1
done
