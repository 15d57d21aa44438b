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

advised "--grid-count: needs --grid" sample run --count 4 --out q.h5 --grid-count 4 -- --grid q.png
expect_exit 64 "$TWEEDIE" sample run --count 4 --out q.h5 --zoom 2
expect_message "--zoom: needs --grid" # and then images: cli/report
expect_exit 0 "$TWEEDIE" train points.ini --run new --init run # after a divergence, and for another schedule

# import: pictures of two by two pixels
grey8=iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR42mNITGJITgEABJ0Bizw9AWgAAAAASUVORK5CYII=
grey16=iVBORw0KGgoAAAANSUhEUgAAAAIAAAACEAAAAAAHTY67AAAAEklEQVR42mNITEpOYUhNS88AAA+MAyVcPd9iAAAAAElFTkSuQmCC
floats=SUkqABgAAAAAAAAAAAAAPwAAgD8AAABACgAAAQMAAQAAAAIAAAABAQMAAQAAAAIAAAACAQMAAQAAACAAAAADAQMAAQAAAAEAAAAGAQMAAQAAAAEA
floats+=AAARAQQAAQAAAAgAAAAVAQMAAQAAAAEAAAAWAQMAAQAAAAIAAAAXAQQAAQAAABAAAABTAQMAAQAAAAMAAAAAAAAA
image() { mkdir -p "$(dirname "$1")" && base64 -d <<<"$2" >"$1"; }
colour() { # a BMP image of 2 rows of WIDTH, at most 4
    mkdir -p "$(dirname "$1")"
    printf 'BM\0\0\0\0\0\0\0\0\066\0\0\0\050\0\0\0\00'"$2"'\0\0\0\002\0\0\0\001\0\030\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >"$1"
    printf 'abcdefghijklabcdefghijkl' >>"$1"
}
made=0
importing() { # MESSAGE FORMAT INPUT... -- ADVICE...
    local message=$1
    shift
    made=$((made + 1))
    advised "$message" import "made$made.h5" --format "$@"
}
colour sizes/a.bmp 2
colour sizes/b.bmp 4
printf '0,5\n1,5\n' >commas.csv
importing "--separator comma says that they are two" points commas.csv -- --separator comma
importing "--size HxW resizes them all" images sizes -- --size 2x2
importing "--crop needs --size" images sizes --crop -- --size 2x2
image colours/a.png "$grey8"
colour colours/b.bmp 2
importing "say --rgb or --grey" images colours -- --rgb
importing "say --rgb or --grey" images colours -- --grey
image depths/a.png "$grey8"
image depths/b.png "$grey16"
importing "--bits 8 makes all alike" images depths -- --bits 8
importing "--white needs --bits 8" images depths --white 65535 -- --bits 8
colour damaged/a.bmp 2
: >damaged/b.bmp
importing "--skip-damaged leaves it out" images damaged -- --skip-damaged
: >damaged/c.bmp
importing "--skip-damaged leaves them out" images damaged -- --skip-damaged
if "$TWEEDIE" --version | grep -q 'libtiff [0-9]'; then
    image real/a.tif "$floats"
    importing "--bits 8 needs --white" images real --bits 8 -- --white 2
fi
for folder in train/cat test/cat more; do colour "photos/$folder/a.bmp" 2; done
importing "--split-folders takes" images photos -- --split-folders
importing "--class-folders takes" images photos -- --class-folders
rm -r photos/more
importing "--class-folders takes" images photos --split all-of-it -- --class-folders

# import: arrays; a four-dimensional one is the weights of a convolution
expect_exit 64 "$TWEEDIE" import p.h5 --format hdf5 circles.h5:/points circles.h5:/points
importing "or --stack" hdf5 circles.h5:/points circles.h5:/points -- --stack
maker=$(dirname "$TWEEDIE")/tests/test_checkpoint_faults
if [ -x "$maker" ]; then
    mkdir -p made/checkpoints made/weights
    "$maker" save made || fail "no checkpoints were made"
    array=made/checkpoints/step-000000300.h5:/params/down.0.conv1.weight
    importing "say --layout NHWC or --layout NCHW" hdf5 "$array" -- --layout NHWC
    importing "say --layout NHWC or --layout NCHW" hdf5 "$array" -- --layout NCHW
fi
mkdir arrays && cp circles.h5 arrays/a.png
expect_exit 65 "$TWEEDIE" import no.h5 --format images arrays
expect_message "--format hdf5 reads arrays"
expect_exit 0 "$TWEEDIE" import png.h5 --format hdf5 arrays/a.png:/points

# Every string of the sources that advises is one of these. Elsewhere: missing values, which need a file with such (data/test_import_hdf5);
# --keep-order (cli/kinds); launchers (cli/train_missing, jobs/*); --weights and --init of training (cli/train_life); idx (data/test_import);
# --from and --config of import-weights (cli/weights); --posterior, --truth (cli/restore); --paired, --spectrum, --condition (cli/conditions);
# --class of restore (cli/classes), --decode of restore (cli/latent_restore), --keep (cli/restore), --features (cli/evaluate_features).
known='replaces it|another --out|gives it one|drain needs --to|--times A,B|--join makes|--help lists|--join is for|--%s: needs --grid|--grid-count: needs|--init'
known+='|--decode names|--separator|--layout|--rgb|--size HxW|--crop needs|--bits 8|--white|--skip-damaged|split-folders|class-folders|--format hdf5|--stack'
known+='|--features says|--features RUN, or|--class says|with --keep|--truth|--paired|\| X.h5 --posterior|--condition: is for'
known+='|--from says|--config may say|without --first|--sigma-max gives|--sigma-min gives|with --density|with --reference'
known+='|with --vjp|with --keep-order|or --fingerprint|is for --out FILE|with --first|Slurm \(--mem|aprun with|cray_shasta|--fill|without --keep-order|or with --split|srun --mpi|--map-by|--weights raw|--format %s needs|--test-fraction 0.1|--version names'
unknown=$(grep -rhoE '"[^"]*(; --[a-z-]+ |say --|needs --|use --|or --|with --|without --|\(--[a-z-]+|--init |import --[a-z-]+ [0-9])[^"]*"' "$SOURCE/src" |
    grep -vE "$known" || true)
LAST="grep for advice"
[ -z "$unknown" ] || fail "advice that no test tries: $unknown"
