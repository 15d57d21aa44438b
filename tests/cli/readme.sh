# The manual's way from pictures to samples, as it is written: every command of README.md's "Your own data", on generated pictures, with the
# program of the path. Only sizes are overridden: steps, batch, width and counts.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

# big_endian NUMBER: four bytes
big_endian() { printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"; }
# chunk TYPE FILE: one of a PNG, its checksum from gzip's
chunk() {
    big_endian "$(stat --format=%s "$2")"
    { printf '%s' "$1" && cat "$2"; } >.typed
    cat .typed
    gzip -nc .typed | tail -c 8 | head -c 4 | od -An -tx1 | awk '{ printf "%s%s%s%s", $4, $3, $2, $1 }' | sed 's/../\\x&/g' | xargs -0 printf '%b'
}
# png FILE WIDTH HEIGHT PHASE: colour gradients
png() {
    awk -v w="$2" -v h="$3" -v p="$4" 'BEGIN { for (y = 0; y < h; y++) { printf "\\x00"
        for (x = 0; x < w; x++) printf "\\x%02x\\x%02x\\x%02x", (3 * x + 40 * p) % 256, (2 * y + 90 * p) % 256, (x + y) % 256 } }' | xargs -0 printf '%b' >.rows
    { big_endian "$2" && big_endian "$3" && printf '\x08\x02\x00\x00\x00'; } >.head
    {
        printf '\x78\x01'
        gzip -nc .rows | tail -c +11 | head -c -8
        big_endian "$(od -An -v -tu1 .rows | awk 'BEGIN { a = 1 } { for (i = 1; i <= NF; i++) { a = (a + $i) % 65521; b = (b + a) % 65521 } } END { printf "%.0f", b * 65536 + a }')"
    } >.data
    : >.none
    { printf '\x89PNG\r\n\x1a\n' && chunk IHDR .head && chunk IDAT .data && chunk IEND .none; } >"$1"
}

mkdir -p photos/robin photos/wren cifar-10-batches-bin bin
for k in 1 2 3 4; do
    png photos/robin/$k.png 80 72 $k
    png photos/wren/$k.png 66 90 $k
done
for k in 1 2 3; do # label and 32 x 32 x 3 bytes
    { printf '\x03' && head -c 3072 "$SOURCE/datasets/mnist.h5" && printf '\x07' && tail -c 3072 "$SOURCE/datasets/mnist.h5"; } >cifar-10-batches-bin/data_batch_$k.bin
done
cp cifar-10-batches-bin/data_batch_1.bin cifar-10-batches-bin/test_batch.bin
# any HDF5 file with an array: a dataset is one
"$TWEEDIE" import points.h5 --format circles --count 64 >/dev/null || fail "no points"
command -v h5copy >/dev/null || skip "there is no h5copy"
"$TWEEDIE" import fields.h5 --format images --size 16x16 --crop photos/ >/dev/null || fail "no fields"
h5copy -i fields.h5 -s /images -o simulation.h5 -d /density || fail "no simulation.h5"
rm fields.h5

cat >bin/tweedie <<END
#!/usr/bin/env bash
arguments=() sizes=()
case \$1 in
train)
    sizes=(train.steps=2 train.batch=4 network.base=32 log.grid_count=2 log.grid_steps=2)
    case " \$* " in *" train.steps=400000 "*) sizes[0]=train.steps=3 ;; esac
    ;;
sample) sizes=(sample.kind=ddim sample.steps=2 sample.batch=4) ;;
esac
for word; do arguments+=("\${word/#5000/8}"); done
exec "$TWEEDIE" "\${arguments[@]}" "\${sizes[@]}"
END
chmod +x bin/tweedie
ln -s "$SOURCE/jobs" jobs
PATH=$HERE/bin:$PATH

awk '/^## / { inside = /Your own data/ } !inside { next } /^```sh$/ { code = 1; next } /^```$/ { code = 0 } code' "$SOURCE/README.md" >block.sh
for word in "tweedie import birds.h5 --format images" "tweedie init birds.h5 --preset ddpm" "train birds.ini --run runs/birds --dry-run" "tweedie evaluate"; do
    grep -qF -- "$word" block.sh || fail "the manual's commands are not found: $word"
done
expect_exit 0 bash -eux block.sh
grep -qx "path = $HERE/birds.h5" birds.ini || fail "the configuration does not name the data"
expect_output "birds.h5: 8 uint8 images of 64 x 64 x 3, 2 classes"
[ -s runs/birds/checkpoints/step-000000003.h5 ] || fail "the run was not extended"
[ "$(head -c 4 samples.png | tail -c 3)" = PNG ] || fail "no picture"
