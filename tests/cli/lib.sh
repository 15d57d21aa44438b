# What every command-line test starts with: . "$(dirname "$0")/lib.sh"
#
# A test is a bash script that ends with 0 when every claim in it held. It works in an empty folder of its own, which is removed at the end;
# $TWEEDIE is the program. The first claim that fails ends the test with its line, the command, its exit code and both its outputs.
#
#   expect_exit CODE COMMAND…     runs the command and claims its exit code; its outputs are then in the files $OUT and $ERR
#   expect_message TEXT           claims that the last command said TEXT on standard error
#   expect_output TEXT            claims that it printed TEXT on standard output
#   expect_quiet                  claims that it said nothing on standard error
#   expect_equal WHAT MET WANTED  claims that two strings are the same
#   ranks N COMMAND…              the command on N ranks; for use behind expect_exit: expect_exit 0 ranks 2 "$TWEEDIE" …
#   pictures FOLDER COUNT         makes a folder of so many small pictures
#   autoencoder                   prints the configuration of a small autoencoder of data.h5, and behind its [objective] what it reads
#   json_value KEY FILE           the value of a key in a line of JSON as the program writes it
#   pixels PNG                    what the picture shows, as bytes: without its notes, which say run and step
#   skip REASON                   ends the test as skipped
set -uo pipefail

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${TWEEDIE:=$SOURCE/build/release/tweedie}"
HERE=$(mktemp -d "${TMPDIR:-/tmp}/tweedie-test.XXXXXX")
OUT=$HERE/.out
ERR=$HERE/.err
LAST=
trap 'cd /; rm -rf "$HERE"' EXIT
trap 'exit 130' INT TERM
cd "$HERE" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMP_WAIT_POLICY=passive
# several tests share the CPUs: ranks that wait give way, and no network is looked for (1.1 s instead of 2.9 s for an empty command on two ranks)
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_pml=ob1 OMPI_MCA_btl=^ofi,openib,usnic,uct

fail() {
    local depth=1
    while [ "${FUNCNAME[depth]}" != main ]; do depth=$((depth + 1)); done
    echo "$(basename "$0"):${BASH_LINENO[depth - 1]}: $1"
    echo "  command: $LAST"
    [ -f "$OUT" ] && sed 's/^/  out: /' "$OUT" | head -n 60
    [ -f "$ERR" ] && sed 's/^/  err: /' "$ERR" | head -n 60
    exit 1
}

pixels() {
    local at
    at=$(LC_ALL=C grep -obUa -m 1 IDAT "$1" | head -n 1 | cut -d : -f 1)
    tail -c "+$((at - 3))" "$1" && head -c 33 "$1"
}

skip() {
    echo "skipped: $1"
    exit 77
}

expect_exit() {
    local wanted=$1 code=0
    shift
    LAST="$*"
    "$@" >"$OUT" 2>"$ERR" </dev/null || code=$?
    [ "$code" -eq "$wanted" ] || fail "exit code $code, wanted $wanted"
}

expect_message() {
    grep -qF -- "$1" "$ERR" || fail "standard error does not say: $1"
}

expect_output() {
    grep -qF -- "$1" "$OUT" || fail "standard output does not hold: $1"
}

expect_quiet() {
    [ ! -s "$ERR" ] || fail "standard error is not empty"
}

expect_equal() {
    [ "$2" = "$3" ] || fail "$1: $2, wanted $3"
}

ranks() {
    local n=$1
    shift
    mpirun -n "$n" "$@"
}

pictures() {
    mkdir -p "$1"
    for ((i = 0; i < $2; i++)); do cp "$SOURCE/tests/weights/pixel.png" "$1/$i.png"; done
}

autoencoder() {
    printf '%s\n' "[data]" "path = data.h5" "[network]" "kind = autoencoder" "block_out_channels = 8, 16" "layers_per_block = 1" \
        "latent_channels = 3" "norm_num_groups = 4" "[objective]" "kind = autoencoder"
    cat
}

json_value() {
    sed -n "s/.*\"$1\": \(\"[^\"]*\"\|\[[^]]*\]\|[^,}]*\).*/\1/p" "$2" | tail -n 1
}
