# JSON: every key is of the one vocabulary that src/README.md documents, and every command that takes --json prints one object on one line.
. "$(dirname "$0")/lib.sh"

# the table's words; "…_ms" stands for all that end so
sed -n '/^## The keys of JSON/,/^## Adding/p' "$SOURCE/src/README.md" | grep '^| `' | cut -d '|' -f 2 | grep -o '`[^`]*`' | tr -d '`' | sort -u >words
[ "$(wc -l <words)" -gt 100 ] || fail "the table was not found"
sed -n 's/^…/.*/p' words | sed 's/.*/^&$/' >endings
# keys in the sources of answers, and of the lines of a run
find "$SOURCE/src/cli" "$SOURCE/src/train" -name '*.c' -exec cat {} + | tr -d '\n' |
    grep -oE '(tw_json_[a-z0-9]+|add|count)\( *&?[a-z>.-]*(json|j), *"[A-Za-z0-9_]+"' | grep -oE '"[^"]*"' | tr -d '"' | sort -u >keys
[ "$(wc -l <keys)" -gt 100 ] || fail "the keys were not found"
unknown=$(comm -23 keys words | grep -vf endings || true)
LAST="grep for keys"
[ -z "$unknown" ] || fail "keys that src/README.md does not document: $unknown"
unused=$(comm -13 keys words | grep -v '^…' || true)
# of functions that are given the key
for word in $unused; do
    grep -rqF "\"$word\"" "$SOURCE/src/cli" "$SOURCE/src/train" "$SOURCE/src/checkpoint" || fail "nobody prints the documented key $word"
done

# one object on one line
object() { # COMMAND...
    expect_exit 0 "$TWEEDIE" "$@" --json
    expect_equal "lines" "$(wc -l <"$OUT")" 1
    grep -qE '^\{.*\}$' "$OUT" || fail "no object"
    if command -v python3 >/dev/null; then python3 -m json.tool "$OUT" >/dev/null || fail "no JSON"; fi
    done_with="$done_with $1"
}
done_with=
expect_exit 0 "$TWEEDIE" import d.h5 --format modes --count 64
cat >c.ini <<'END'
[data]
path = d.h5
[network]
kind = mlp
width = 8
depth = 1
[process]
kind = vp
[train]
steps = 2
batch = 8
[sample]
steps = 2
batch = 16
END
expect_exit 0 "$TWEEDIE" train c.ini --run run
# the last block is trimmed: as many as were asked for, and no other number is told
expect_exit 0 "$TWEEDIE" sample run --count 10 --out ten.h5
expect_message "sampling 10 in 1 block of 16; 0 are there"
expect_message "sampled 10 in "
expect_output "ten.h5: samples 0 to 9; "
expect_exit 0 "$TWEEDIE" inspect ten.h5 --json
expect_equal samples "$(json_value samples "$OUT")" 10
expect_exit 0 "$TWEEDIE" sample run --count 16 --out s.h5
object version
object status run
object inspect d.h5
expect_equal samples "$(json_value samples "$OUT")" 64
object inspect run
expect_equal samples "$(json_value samples "$OUT")" 16
object checkpoint show run
expect_equal samples "$(json_value samples "$OUT")" 16
for sub in list verify export; do object checkpoint $sub run; done
object checkpoint diff run run
object checkpoint prune run
object checkpoint drain run --to store
object schedule d.h5
object evaluate s.h5 --reference d.h5
object likelihood run --data d.h5 --count 4 --out l.h5 likelihood.rtol=1e-2 likelihood.atol=1e-2
expect_equal path "$(json_value path "$OUT")" '"l.h5"'
object plot curve run/metrics.jsonl --out p.png
object bench step c.ini --repetitions 1
object import-weights "$SOURCE/tests/weights/peers/diffusers_safetensors" --out w.h5

# whoever has the option is here, or refuses it by name
for command in $("$TWEEDIE" --help | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'); do
    "$TWEEDIE" "$command" --help | grep -q -- '^  --json ' || continue
    case " $done_with " in *" $command "*) ;; *) fail "tweedie $command --json is not tried here" ;; esac
done
expect_exit 64 "$TWEEDIE" inspect --keys c.ini --json
expect_message "--json: is an option of inspect"
expect_exit 64 "$TWEEDIE" sample run --count 1 --out x.h5 --json
expect_message "there is no option --json"
