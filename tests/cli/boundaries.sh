# Modules see what the table in CMakeLists.txt lets them see; and the script that says so can fail.
. "$(dirname "$0")/lib.sh"

expect_exit 0 "$SOURCE/scripts/check-boundaries"

sed 's/^tweedie_module(comm .*DEPENDS base/tweedie_module(comm DEPENDS/' "$SOURCE/CMakeLists.txt" >table
expect_exit 1 "$SOURCE/scripts/check-boundaries" "$HERE/table"
expect_output "src/comm/comm.c:"
expect_output ": comm does not see base (tweedie/"

sed 's/tweedie::inih//' "$SOURCE/CMakeLists.txt" >table
expect_exit 1 "$SOURCE/scripts/check-boundaries" "$HERE/table"
expect_output ": base does not use tweedie::inih (ini.h)"

grep -v '^tweedie_module(process ' "$SOURCE/CMakeLists.txt" >table
expect_exit 1 "$SOURCE/scripts/check-boundaries" "$HERE/table"
expect_output "process is not a module of CMakeLists.txt"

# what the input and output thread runs while training goes on cannot see the trainer
for file in "$SOURCE"/src/train/save_job.[ch]; do
    ! grep -q '#include "train/\(trainer\|stepper\)\.h"' "$file" || fail "$file sees the trainer"
done
