# Takes the worked examples out of src/README.md: each heading that names a file is followed by its text.
/^### .*: `/ { match($0, /`[^`]*`/); file = substr($0, RSTART + 1, RLENGTH - 2); sub(/.*\//, "", file) }
/^```c$/ { inside = 1; next }
/^```$/ { inside = 0 }
inside { print > (folder "/" file) }
