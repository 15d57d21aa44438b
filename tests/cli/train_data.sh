# tweedie train: data that are bad, missing, or do not fit. All ranks end with the code of its kind, and one message.
. "$(dirname "$0")/train/lib.sh"
make_tiny

# 65 where they are bad, 66 where they are not there
refused 66 "none.h5: cannot be read: No such file or directory" tiny.ini data.path=none.h5
refused 66 "is a directory, a file was expected" tiny.ini data.path=.
refused 65 "tiny.ini: not an HDF5 file" tiny.ini data.path=tiny.ini
head -c 50000 tiny.h5 >cut.h5
refused 65 "cut.h5: cannot be opened as an HDF5 file: HDF5: truncated file" tiny.ini data.path=cut.h5
cp tiny.h5 flipped.h5
at=$(grep -obUaF "$(tail -c +17 train-images | head -c 12)" flipped.h5 | head -n 1 | cut -d: -f1)
at=${at:-40000}
printf '\252' | dd of=flipped.h5 bs=1 seek=$((at + 5000)) conv=notrunc 2>/dev/null
refused 65 "flipped.h5: damaged:" tiny.ini data.path=flipped.h5 data.verify=yes
refused 78 'data.hints: "romio_ds_read" is not key=value' tiny.ini "data.hints=romio_ds_read"
refused 78 'data.hints: "=8" is not key=value' tiny.ini "data.hints=striping_factor=4, =8"
expect_exit 0 train 2 hinted tiny.ini "data.hints=romio_ds_read=disable, striping_factor=8"
expect_exit 0 train 2 unhinted tiny.ini
same hinted unhinted
idx_images odd-images 64 15 16 1000000
expect_exit 0 "$TWEEDIE" import odd.h5 --format idx odd-images
refused 78 "network.mult: 2 levels halve each side 1 times, and the sides of [15, 16, 1] are no multiples of 2" tiny.ini data.path=odd.h5
{ printf '\0\0\010\001\0\0\001\0' && head -c 256 /dev/zero | tr '\0' '\1'; } >train-labels
expect_exit 0 "$TWEEDIE" import labels.h5 --format idx train-images train-labels
at=$(grep -obUaP '(\x01\x00\x00\x00){64}' labels.h5 | head -n 1 | cut -d: -f1)
printf '\7' | dd of=labels.h5 bs=1 seek=$((at + 400)) conv=notrunc 2>/dev/null
refused 65 "/labels[100] is 7; 0 to 1 was expected" tiny.ini data.path=labels.h5
expect_exit 0 train 1 good tiny.ini train.steps=1
refused 65 "step-000000001.h5" tiny.ini data.path=good/checkpoints/step-000000001.h5
expect_message "was expected"

# ---- other weights to start from
refused 66 "none.h5: cannot be read: No such file or directory" tiny.ini --init none.h5
refused 65 "tiny.ini: has " tiny.ini --init tiny.ini
refused 65 "time.linear1.weight has the shape 64 x 16, expected 128 x 32" tiny.ini --init good network.base=32
refused 65 "has no weights ema:0.5, only ema:0.9999, raw" tiny.ini --init good --init-weights ema:0.5
refused 64 "weights 'best' are unknown (expected raw or ema:RATE)" tiny.ini --init good --init-weights best
