# Help of commands and of their kinds, man pages, completion, and the nearest word for a misspelt one.
. "$(dirname "$0")/lib.sh"

# a subcommand's own help, in three spellings: its arguments and options, nobody else's
for words in "checkpoint prune --help" "checkpoint prune -h" "help checkpoint prune"; do
    # shellcheck disable=SC2086
    expect_exit 0 "$TWEEDIE" $words
    expect_output "usage: tweedie checkpoint prune RUN [options]"
    expect_output "  --keep K                 keep the newest K (3)"
    ! grep -q -- "--to" "$OUT" || fail "an option of drain"
done
expect_exit 0 "$TWEEDIE" checkpoint --help
for name in list verify show diff export prune drain; do expect_output "  $name "; done
expect_output "  --to DIR                 drain: "
expect_exit 0 "$TWEEDIE" import --format idx --help
expect_output "  --transpose "
! grep -q -- "--separator" "$OUT" || fail "an option of points"
expect_exit 0 "$TWEEDIE" help import circles
expect_output "  --count N "
expect_exit 0 "$TWEEDIE" bench reduce --help
expect_output "  --megabytes MB "
expect_exit 0 "$TWEEDIE" plot curve --help
expect_output "usage: tweedie plot curve METRICS.jsonl"

# nearest words
near() { # CODE WORD COMMAND...
    expect_exit "$1" "$TWEEDIE" "${@:3}"
    expect_message "did you mean $2?"
}
near 64 sample smaple
near 64 --count sample --cuont 3
near 64 prune checkpoint prnue run
near 64 prune help checkpoint prnue
near 64 curve plot curv x --out y
near 64 reduce bench redcue
near 64 circles import x.h5 --format circels
near 64 comma import x.h5 --format points --separator coma x
"$TWEEDIE" import d.h5 --format circles --count 64 --test-fraction 0.25 >/dev/null || fail "no data"
printf '[data]\npath = d.h5\n[network]\nkind = mlp\n' >c.ini
near 78 optimizer inspect --keys c.ini optimzer.xyzzy=3
near 78 train.steps inspect --keys c.ini train.stpes=3
near 78 mlp inspect --keys c.ini network.kind=mpl
near 78 heun inspect --keys c.ini sample.kind=huen
near 78 edm inspect --keys c.ini process.kind=emd
near 78 cosine inspect --keys c.ini optimizer.decay=cosin
near 78 test train c.ini --run r --dry-run train.steps=1 data.split=tset
near 64 circles plot score c.ini --density cricles --out x.png
near 64 flow init d.h5 --preset flwo
near 64 diffusers export-weights x --format difusers --out y 2>/dev/null || true

# man pages without a warning, in a UTF-8 terminal and in a plain one
commands=$("$TWEEDIE" --help | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 18 ] || fail "these are not all commands: $commands"
if command -v groff >/dev/null; then
    for name in "" $commands; do
        # shellcheck disable=SC2086
        "$TWEEDIE" help --man $name >page.1 || fail "no man page of $name"
        for device in utf8 ascii; do
            LAST="groff -T$device of $name"
            groff -man -ww -K utf8 -T$device page.1 >"$OUT" 2>"$ERR" || fail "groff failed"
            expect_quiet
        done
    done
    "$TWEEDIE" help --man checkpoint | groff -man -Tascii 2>/dev/null | sed 's/.\x08//g' >"$OUT"
    expect_output "TWEEDIE-CHECKPOINT(1)"
    expect_output "prune RUN"
fi

# completion, as bash itself does it
"$TWEEDIE" help --completion >completion.bash || fail "no completion"
complete_words() { # WORD... the last one is being typed
    bash -c '. ./completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tweedie; echo "${COMPREPLY[@]}"' bash "$@"
}
expect_equal "a command" "$(complete_words tweedie samp)" "sample"
expect_equal "subcommands" "$(complete_words tweedie checkpoint pr)" "prune"
expect_equal "an option" "$(complete_words tweedie sample run --gri)" "--grid --grid-count"
expect_equal "an option of one kind" "$(complete_words tweedie checkpoint drain --)" "--json --to --quiet --help"
expect_equal "values" "$(complete_words tweedie bench reduce --communication in)" "inline"
expect_equal "values behind =" "$(complete_words tweedie bench reduce --communication = in)" "inline"
expect_equal "formats" "$(complete_words tweedie import x.h5 --format cir)" "circles"
expect_equal "options of a format" "$(complete_words tweedie import x.h5 --format idx --tr)" "--transpose"
expect_equal "a file" "$(complete_words tweedie sample run --out s)" ""
expect_equal "help" "$(complete_words tweedie help sam)" "sample"
bash -c 'set -e; . ./completion.bash; complete -p tweedie' >"$OUT" || fail "bash does not know it"
expect_output "-F _tweedie tweedie"

# the kinds that a help names are those that there are
names_all() { # FILES...: src/FOLDER/KIND_NAME.c
    local file name
    for file in "$@"; do
        name=$(sed -n 's/.*\(\.kind = {\|\.name = \)"\([a-z0-9_-]*\)".*/\2/p' "$file" | head -n 1)
        [ -n "$name" ] || fail "$file has no name"
        grep -qw -- "$name" "$OUT" || fail "the help does not name $name"
    done
}
expect_exit 0 "$TWEEDIE" restore --help
names_all "$SOURCE"/src/inverse/posterior_*.c "$SOURCE"/src/inverse/operator_*.c
expect_exit 0 "$TWEEDIE" import-weights --help
names_all "$SOURCE"/src/weights/system_*.c
expect_exit 0 "$TWEEDIE" export-weights --help
names_all "$SOURCE"/src/weights/export_*.c
