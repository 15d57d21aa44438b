# tweedie import: each format from the command line, and what bad input is told.
. "$(dirname "$0")/lib.sh"

expect_exit 0 "$TWEEDIE" import --help
for word in idx cifar images hdf5 points circles --test-fraction --background; do expect_output "$word"; done

# generated points: a function of the seed, byte for byte
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 500 --seed 3
expect_output "circles.h5: 500 points of 1 x 1 x 2, 2 classes; train 500; digest "
expect_quiet
cp circles.h5 first.h5
expect_exit 64 "$TWEEDIE" import circles.h5 --format circles
expect_message "circles.h5: exists already; --force replaces it"
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 500 --seed 3 --force
cmp circles.h5 first.h5 || fail "the same seed gave another file"
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 500 --seed 4 --force
cmp -s circles.h5 first.h5 && fail "another seed gave the same file"
expect_exit 0 "$TWEEDIE" import spiral.h5 --format spiral --count 100 --test-fraction 0.1
expect_output "train 90, test 10"

# idx: two images of 2 x 2 with labels
printf '\0\0\010\003\0\0\0\002\0\0\0\002\0\0\0\002abcdefgh' >train-images-idx3-ubyte
printf '\0\0\010\001\0\0\0\002\001\0' >train-labels-idx1-ubyte
expect_exit 0 "$TWEEDIE" import idx.h5 --format idx train-labels-idx1-ubyte train-images-idx3-ubyte --name tiny --class-names zero,one
expect_output "idx.h5: 2 uint8 images of 2 x 2 x 1, 2 classes; train 2;"
gzip train-images-idx3-ubyte
expect_exit 0 "$TWEEDIE" import idx.h5 --force --format idx train-labels-idx1-ubyte train-images-idx3-ubyte.gz --gzip 9

# arrays: a dataset is an HDF5 file too
expect_exit 0 "$TWEEDIE" import copy.h5 --format hdf5 first.h5:/points --labels first.h5:/labels --normalise range
expect_output "copy.h5: 500 points of 1 x 1 x 2, 2 classes"
printf '1 2\n3 4\n5 6\n' >points.txt
expect_exit 0 "$TWEEDIE" import points.h5 --format points points.txt
expect_output "points.h5: 3 points of 1 x 1 x 2; train 3;"

# bad input: one message that names it, the code of its kind, and no file
refused() {
    local code=$1 message=$2
    shift 2
    expect_exit "$code" "$TWEEDIE" import bad.h5 "$@"
    expect_message "$message"
    expect_equal "lines of the message" "$(wc -l <"$ERR")" 1
    expect_equal "files left" "$(find . -name '*bad*' | wc -l)" 0
}
refused 66 "nothing.gz: cannot be read: No such file or directory" --format idx nothing.gz
refused 66 ".: is a directory, a file was expected" --format idx .
refused 64 "--format idx needs at least one input" --format idx
refused 64 'there is no format "ixd"' --format ixd x
refused 65 "train-labels-idx1-ubyte holds labels, and no file of images belongs to it" --format idx train-labels-idx1-ubyte
printf '\0\0\010\003\0\0\0\002\0\0\0\002\0\0\0\002abcdefg' >short
refused 65 "short: truncated: it claims 8 bytes of data, at most 7 can follow" --format idx short
printf '\0\0\010\001\0\0\0\003\001\0\0' >more-labels
printf '\0\0\010\003\0\0\0\002\0\0\0\002\0\0\0\002abcdefgh' >images
refused 65 "more-labels holds 3 labels for the 2 images of images" --format idx images more-labels
refused 65 "train-labels-idx1-ubyte: label 0 is 1; 0 to 0 was expected" --format idx train-labels-idx1-ubyte train-images-idx3-ubyte.gz --classes 1
printf '1 2\nnan 4\n' >nan.txt
refused 65 'nan.txt:2: "nan" is not a finite float32' --format points nan.txt
mkdir folder
refused 65 "folder: there are no samples in it" --format images folder
echo "no image" >folder/a.png
refused 65 "folder/a.png: not an image (BMP, JPEG, PNG, TIFF or WebP): begins with 6e 6f 20 69" --format images folder
refused 64 '--size "0x4"' --format images folder --size 0x4
refused 64 "--grey and --rgb exclude each other" --format images folder --grey --rgb
refused 65 "points.txt: not an HDF5 file" --format hdf5 points.txt:/x
refused 65 "first.h5: there is no object /x" --format hdf5 first.h5:/x
refused 64 "--split and --test-fraction exclude each other" --format circles --split a --test-fraction 0.5
