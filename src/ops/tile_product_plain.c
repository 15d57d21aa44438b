/* Products of tiles in plain C. */
#include "ops/tile_product_loop.h"

const tw_tile_form tw_tile_plain = {
    .name = "plain", .begin = begin, .multiply = multiply, .end = end};
