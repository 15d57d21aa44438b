# tweedie import --format images: the options that decide, and what is told of files that are left out.
. "$(dirname "$0")/lib.sh"

# a BMP image of 2 x 2 pixels, written by hand
image() {
    mkdir -p "$(dirname "$1")"
    printf 'BM\106\0\0\0\0\0\0\0\066\0\0\0\050\0\0\0\002\0\0\0\002\0\0\0\001\0\030\0\0\0\0\0\020\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >"$1"
    printf 'abcdef\0\0ghijkl\0\0' >>"$1"
}
for file in Train/cat/1 Train/dog/2 Val/cat/3 Testing/dog/4; do image "photos/$file.bmp"; done
expect_exit 0 "$TWEEDIE" import a.h5 --format images photos
expect_output "a.h5: 4 uint8 images of 2 x 2 x 3, 2 classes; train 2, test 1, val 1;"
expect_quiet
expect_exit 0 "$TWEEDIE" import b.h5 --format images photos/Train photos/Testing photos/Val
expect_output "train 2, test 1, val 1;"
expect_exit 0 "$TWEEDIE" import c.h5 --format images photos/Train --test-fraction 0.5
expect_output "train 1, test 1;"
expect_exit 0 "$TWEEDIE" import d.h5 --format images photos --class-folders
expect_output "3 classes; train 4;"

image photos/extra/5.bmp
expect_exit 65 "$TWEEDIE" import e.h5 --format images photos
expect_message "--split-folders takes"
expect_message "--class-folders takes"
expect_exit 0 "$TWEEDIE" import e.h5 --format images photos --split-folders
expect_output "train 2, test 1, val 1;"
expect_message "left out: images in no split folder: 1 (photos/extra/5.bmp)"
expect_exit 64 "$TWEEDIE" import e.h5 --force --format images photos --split-folders --class-folders
expect_message "exclude each other"

mkdir -p pets/none pets/@eaDir
image pets/cat/1.BMP
image pets/dog/2.jpg # a wrong suffix does no harm
image pets/.trash/3.bmp
: >pets/dog/4.png
echo hello >pets/dog/5.jpeg
echo hello >pets/readme.md
expect_exit 65 "$TWEEDIE" import f.h5 --format images pets
expect_message "pets/dog/4.png: is empty"
expect_message "pets/dog/5.jpeg: not an image"
expect_message "2 of 4 images cannot be read"
expect_exit 0 "$TWEEDIE" import f.h5 --format images pets --skip-damaged
expect_output "f.h5: 2 uint8 images of 2 x 2 x 3, 3 classes; train 2;"
expect_message "left out: pets/dog/4.png: is empty"
expect_message "left out: pets/dog/5.jpeg: not an image"
expect_message "left out: files named .md: 1 (pets/readme.md)"
expect_message "left out: system folders: 1 (pets/@eaDir)"
expect_message "class folders without images: 1 (pets/none)"

# what this build can read is told
expect_exit 0 "$TWEEDIE" --version
for library in libpng libjpeg libwebp libtiff; do expect_output "$library"; done
