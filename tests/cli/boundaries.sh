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
