# An installed Tweedie is found by find_package and by pkg-config, needs nothing of its build, and runs.
#   tests/package/run.sh BUILD   with the build's folder
. "$(dirname "$0")/../cli/lib.sh"
BUILD=$1

expect_exit 0 cmake --install "$BUILD" --prefix "$HERE/moved"
mv "$HERE/moved" "$HERE/prefix" # a package may be moved after it was installed
prefix=$HERE/prefix

expect_exit 0 "$prefix/bin/tweedie" --version
expect_output tweedie
[ -f "$prefix/include/tweedie/config.h" ] || fail "no headers"
for page in tweedie tweedie-train tweedie-import-weights; do
    grep -q '^.SH OPTIONS\|^.SH COMMANDS' "$prefix/share/man/man1/$page.1" || fail "no man page of $page"
done
grep -q "complete .* tweedie" "$prefix/share/bash-completion/completions/tweedie" || fail "no completion"

# the module file, where there is anything that reads one: from another folder than that of the installation
for init in /usr/share/modules/init/bash /usr/share/lmod/lmod/init/bash; do
    [ -r $init ] || continue
    loaded() {
        bash -c '. "$1" && module use "$2/etc/modulefiles" && module load tweedie && tweedie --version &&
            echo "$TWEEDIE $TWEEDIE_ROOT $TWEEDIE_JOBS" && "$TWEEDIE_JOBS/submit" "$TWEEDIE_JOBS/config/mnist-ddpm.ini" run --dry-run' \
            loaded $init "$prefix"
    }
    expect_exit 0 env -u TWEEDIE -u BASH_ENV bash -c "$(declare -f loaded); init=$init prefix=$prefix; loaded"
    expect_output "$prefix/bin/tweedie $prefix $prefix/share/tweedie/jobs"
    expect_output "TWEEDIE=$prefix/bin/tweedie"
done

compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$BUILD/CMakeCache.txt")
expect_exit 0 cmake -S "$SOURCE/tests/package" -B "$HERE/build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_COMPILER=$compiler" \
    "-DCMAKE_PREFIX_PATH=$prefix;$(sed -n 's/^CMAKE_PREFIX_PATH:[A-Z]*=//p' "$BUILD/CMakeCache.txt")"
expect_exit 0 cmake --build "$HERE/build"
expect_exit 0 "$HERE/build/consumer"
expect_output "7 steps on 1 rank"

pc=$(dirname "$(find "$prefix" -name tweedie.pc)")
flags() { PKG_CONFIG_PATH=$pc pkg-config --cflags --libs tweedie; }
expect_exit 0 flags
# shellcheck disable=SC2046 # the flags are words
expect_exit 0 "$compiler" -o "$HERE/by-pc" "$SOURCE/tests/package/consumer.c" $(mpicc --showme:compile) $(flags) $(mpicc --showme:link) \
    "-Wl,-rpath,$prefix/lib"
expect_exit 0 "$HERE/by-pc"
expect_output "7 steps on 1 rank"
