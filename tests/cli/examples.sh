#!/usr/bin/env bash
# The worked examples of src/README.md compile as they stand there.
. "$(dirname "$0")/lib.sh"

awk '/^### .*: `/ { match($0, /`[^`]*`/); file = substr($0, RSTART + 1, RLENGTH - 2); sub(/.*\//, "", file) }
     /^```c$/ { inside = 1; next }
     /^```$/ { inside = 0 }
     inside { print > file }' "$SOURCE/src/README.md"
for file in op_square.c net_linear.c predictor_mean.c optimizer_signsgd.c cmd_hello.c; do
    [ -s "$file" ] || fail "src/README.md has no example $file"
    expect_exit 0 "${CC:-cc}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I"$SOURCE/include" -I"$SOURCE/src" "$file"
done

# a status that is ignored is a warning, and one that is ignored on purpose is none
printf '#include "tweedie/status.h"\ntw_status f(void);\nvoid g(void);\nvoid g(void) { (void)f(); }\n' >ignored.c
expect_exit 0 "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$SOURCE/include" ignored.c
sed -i 's/(void)f()/f()/' ignored.c
expect_exit 1 "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$SOURCE/include" ignored.c
