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
flags() { PKG_CONFIG_PATH=$pc pkg-config --cflags --libs "$@" tweedie; }
expect_exit 0 flags
static=()
[ -e "$prefix/lib/libtweedie.so" ] || static=(--static) # what a static library stands on is private
# shellcheck disable=SC2046 # the flags are words
expect_exit 0 "$compiler" -o "$HERE/by-pc" "$SOURCE/tests/package/consumer.c" $(mpicc --showme:compile) $(flags "${static[@]}") \
    $(mpicc --showme:link) "-Wl,-rpath,$prefix/lib"
expect_exit 0 "$HERE/by-pc"
expect_output "7 steps on 1 rank"

# what a reader wants to have beside the program
for file in README.md CHANGELOG.md CITATION.cff LICENSE src/README.md datasets/README.md; do
    [ -s "$prefix/share/doc/tweedie/$file" ] || fail "$file is not installed"
done
[ -s "$prefix/share/tweedie/jobs/README.md" ] || fail "jobs/README.md is not installed"
version=$(sed -n 's/^version: //p' "$SOURCE/CITATION.cff")
expect_exit 0 "$prefix/bin/tweedie" --version
expect_output "$version"

# C++ takes the headers, in either order, and finds the functions
if cxx=$(command -v "${CXX:-c++}"); then
    for order in "" --reverse; do
        # shellcheck disable=SC2086 # none or one
        (cd "$prefix/include" && printf '%s\n' tweedie/*.h | sort $order | sed 's/.*/#include <&>/') >"$HERE/headers.cc"
        # shellcheck disable=SC2046
        expect_exit 0 "$cxx" -std=c++17 -fsyntax-only -Wall -Wextra -Wpedantic -Wno-unknown-pragmas -Werror \
            $(mpicc --showme:compile | sed 's/-I/-isystem /g') "-I$prefix/include" "$HERE/headers.cc"
    done
    # shellcheck disable=SC2046
    expect_exit 0 "$cxx" -std=c++17 -o "$HERE/in-cxx" "$SOURCE/tests/package/consumer.cc" $(mpicc --showme:compile) $(flags "${static[@]}") \
        $(mpicc --showme:link) "-Wl,-rpath,$prefix/lib"
    expect_exit 0 "$HERE/in-cxx"
    expect_output "in C++, rank 0 of 1"
else
    echo "there is no C++ compiler: headers not tried with it"
fi
