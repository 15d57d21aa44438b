# Signals and volumes train with `unet` and are sampled; sides that the network cannot halve are padded, which the sample set says.
. "$(dirname "$0")/lib.sh"

# 64 lines of N numbers: waves of random phase and pitch
waves() { # N
    awk -v n="$1" 'BEGIN { srand(3); for (i = 0; i < 64; i++) { p = 6 * rand(); w = 0.3 + 0.2 * rand()
        for (k = 0; k < n; k++) printf "%.5f%s", sin(p + w * k), k + 1 < n ? " " : "\n" } }'
}
config() { # NAME NUMBERS SHAPE MULT [LINE…]
    local name=$1 numbers=$2 shape=$3 mult=$4
    shift 4
    waves "$numbers" >"$name.txt"
    expect_exit 0 "$TWEEDIE" import "$name.h5" --force --format points "$name.txt"
    cat >"$name.ini" <<EOF
[data]
path = $name.h5
[network]
kind = unet
shape = $shape
base = 8
groups = 4
mult = $mult
blocks = 1
attention = 8
dropout = 0
[process]
kind = ddpm
[train]
steps = 4
batch = 8
[optimizer]
learning_rate = 0.002
warmup = 0
[ema]
rates = 0.9
[compute]
precision = f32
[log]
grid_every = 0
[sample]
kind = ddim
steps = 4
EOF
    [ $# -eq 0 ] || sed -i "s/^kind = unet/&\n$1/" "$name.ini"
}
trained() { # NAME
    expect_exit 0 "$TWEEDIE" train "$1.ini" --run "$1"
    expect_exit 0 "$TWEEDIE" sample "$1" --count 6 --out "$1-samples.h5"
    expect_exit 0 "$TWEEDIE" inspect "$1-samples.h5"
}

config signal 16 "16, 1" "1, 2"
trained signal
expect_output "samples: 6"
expect_output "channels: 16"
! grep -q pad= "$OUT" || fail "nothing was padded"

config volume 128 "4, 8, 4, 1" "1, 2"
trained volume
expect_output "channels: 128"

# 18 is no multiple of 4
config odd 18 "18, 1" "1, 2, 2"
expect_exit 78 "$TWEEDIE" train odd.ini --run odd
expect_message "the sides of [18, 1] are no multiples of 4 (network.pad = reflect or zero pads them)"
config odd 18 "18, 1" "1, 2, 2" "pad = reflect"
trained odd
expect_output "channels: 18"
expect_output "source: sampled from ema:0.9 after 4 steps pad=reflect:[20"

config wrong 18 "16, 1" "1, 2"
expect_exit 78 "$TWEEDIE" train wrong.ini --run wrong
expect_message "network.shape: 16 numbers, and a sample of the data has 18: [18]"
