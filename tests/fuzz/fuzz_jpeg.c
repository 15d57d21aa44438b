/* JPEG. */
#include <stdio.h>

#include <jpeglib.h>

#include "picture_run.h"

static void write_one(const char *name, int channels, J_COLOR_SPACE space, bool progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    JSAMPLE row[4 * 20];
    JSAMPROW rows[] = {row};
    FILE *file = fopen(fuzz_seed_path(name), "wb");
    FUZZ_CLAIM(file != NULL);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = 20;
    jpeg.image_height = 17;
    jpeg.input_components = channels;
    jpeg.in_color_space = space;
    jpeg_set_defaults(&jpeg);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    /* EXIF with an orientation, as cameras write it */
    static const JOCTET exif[] =
        "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0";
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif + 1 - 1);
    while (jpeg.next_scanline < jpeg.image_height) {
        for (int i = 0; i < 4 * 20; i++) row[i] = (JSAMPLE)(i * 11 + (int)jpeg.next_scanline * 7);
        (void)jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    FUZZ_CLAIM(fclose(file) == 0);
}

static void seeds(void)
{
    write_one("grey", 1, JCS_GRAYSCALE, false);
    write_one("rgb", 3, JCS_RGB, false);
    write_one("progressive", 3, JCS_RGB, true);
    write_one("cmyk", 4, JCS_CMYK, false);
}

const fuzz_target fuzz_here = {
    .file = "pictures/a.jpg", .seeds = seeds, .start = picture_start, .run = picture_run};
