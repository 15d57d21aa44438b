# Advice that a message gives is good: each message that advises an option or a command is brought about, and what it advises is tried. Advice in
# the sources that is not listed here fails the test.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

cat >points.ini <<END
[data]
path = circles.h5
[network]
kind = mlp
width = 8
depth = 1
[train]
steps = 2
batch = 8
[objective]
timesteps = 100
[sample]
batch = 4
END
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 16
expect_exit 0 "$TWEEDIE" train points.ini --run run

# MESSAGE, then the command that gives it, "--", and what is added to it as the message advises
advised() {
    local message=$1 command=()
    shift
    while [ "$1" != -- ]; do command+=("$1") && shift; done
    shift
    LAST="${command[*]}"
    "$TWEEDIE" "${command[@]}" >"$OUT" 2>"$ERR" && fail "it should have failed"
    expect_message "$message"
    expect_exit 0 "$TWEEDIE" "${command[@]}" "$@"
}
advised "--force replaces it" import circles.h5 --format circles --count 16 -- --force
echo old >x.h5
advised "--force replaces it" score run --input circles.h5 --time 1 --out x.h5 -- --force
advised "--force replaces it" checkpoint export run --out x.h5 -- --force
advised "is no sample set; --force replaces it" sample run --count 8 --out x.h5 -- --force
advised "use another --out, or --force replaces it" sample run --count 8 --out x.h5 --seed 2 -- --force
rm x.h5
advised "or --force replaces it" sample run --count 8 --out x.h5 --seed 3 -- --force
advised "use another --out" sample run --count 8 --out x.h5 --seed 4 -- --out y.h5
advised "not all of which were asked for now; --force replaces it" sample run --count 4 --out x.h5 --seed 3 -- --force
echo old >g.png
advised "--force replaces it" sample run --count 4 --out z.h5 --grid g.png -- --force
advised "--out FILE gives it one" checkpoint export "$(find run/checkpoints -name 'step-*.h5')" -- --out w.h5
advised "drain needs --to DIR" checkpoint drain run -- --to store
advised "--times A,B is needed" inspect --fingerprint "$SOURCE/tests/golden/ddpm_small.ini" -- --times 249.75,749.25
expect_exit 0 "$TWEEDIE" sample run --count 4 --first 4 --out parts.h5
expect_output "--join makes one file of them"
expect_exit 0 "$TWEEDIE" sample run --count 8 --out parts.h5 --join
for help in "" import bench; do expect_exit 0 "$TWEEDIE" $help --help; done

# every string of the sources that advises is one of these, or is tried by the tests of its importer
known='replaces it|another --out|gives it one|drain needs --to|--times A,B|--join makes|--help lists|--join is for'
unknown=$(grep -rhoE '"[^"]*(; --[a-z-]+ |say --|needs --|use --|with --split|without --)[^"]*"' "$SOURCE/src" |
    grep -vE "$known|say --(layout|rgb)|--size HxW|--crop needs|--format %s needs|--grid-count: needs|--split|--keep-order|made anew|srun --mpi|split-folders|class-folders|--bits 8|--white|--skip-damaged|--format hdf5" || true)
LAST="grep for advice"
[ -z "$unknown" ] || fail "advice that no test tries: $unknown"
