# tweedie inspect of a configuration alone: its keys, and how many ranks can share its batch. Neither needs data, MPI or much time: jobs ask
# before they start anything.
. "$(dirname "$0")/train/lib.sh"
cat >a.ini <<'END'
[data]
path = there-is-none.h5
[network]
kind = mlp
[train]
batch = 48
END

# most ranks of up to N: N, largest divisor of 48
for pair in 1,1 2,2 3,3 5,4 7,6 13,12 47,24 48,48 1000,48; do
    expect_exit 0 "$TWEEDIE" inspect --ranks a.ini --most "${pair%,*}"
    expect_equal "ranks of up to ${pair%,*}" "$(cat "$OUT")" "${pair#*,}"
    expect_quiet
done
expect_exit 0 "$TWEEDIE" inspect --ranks a.ini
expect_equal "ranks" "$(cat "$OUT")" 48
expect_exit 0 "$TWEEDIE" inspect --ranks a.ini --most 4 train.batch=9
expect_equal "ranks by the command line" "$(cat "$OUT")" 3
sed -i /batch/d a.ini
expect_exit 0 "$TWEEDIE" inspect --ranks a.ini --most 3
expect_equal "ranks by the default, 128" "$(cat "$OUT")" 2

# one tree for any number of ranks takes powers of two, up to its leaves
expect_exit 0 "$TWEEDIE" inspect --ranks a.ini --most 7 train.batch=48 train.microbatch=6 train.rank_independent=yes
expect_equal "ranks in a tree of 8" "$(cat "$OUT")" 4
expect_exit 0 "$TWEEDIE" inspect --ranks a.ini train.batch=48 train.microbatch=6 train.rank_independent=yes
expect_equal "ranks in a tree of 8" "$(cat "$OUT")" 8

# what it says is what training takes
make_points
sed -i 's/^batch = .*/batch = 48/' points.ini
for tree in "" "train.rank_independent=yes train.microbatch=6"; do
    for most in 3 5; do
        # shellcheck disable=SC2086 # settings are words
        n=$("$TWEEDIE" inspect --ranks points.ini --most $most $tree)
        rm -rf run
        expect_exit 0 train "$n" run points.ini train.steps=1 $tree
        [ "$n" -eq $most ] || expect_exit 78 train $most refused points.ini train.steps=1 $tree
    done
done

# all keys there are, with the values that are meant
expect_exit 0 "$TWEEDIE" inspect --keys points.ini optimizer.clip=3
for line in "[data]" "hints =" "memory = 1024" "clip = 3" "[checkpoint]" "keep_every = 0" "width = 32"; do
    grep -qxF "$line" "$OUT" || fail "no line '$line'"
done
expect_output "fixed for a run"

# what is refused
expect_exit 78 "$TWEEDIE" inspect --ranks a.ini train.bacth=3
expect_message "unknown key train.bacth (did you mean train.batch?)"
expect_exit 78 "$TWEEDIE" inspect --keys a.ini train.bacth=3
expect_exit 66 "$TWEEDIE" inspect --ranks none.ini
expect_exit 64 "$TWEEDIE" inspect --ranks a.ini --most 0
expect_exit 64 "$TWEEDIE" inspect --ranks a.ini --keys a.ini
expect_message "one of them"
expect_exit 64 "$TWEEDIE" inspect
