# Training with EDM's augmentations: the same bits after a resume, sampling that is told of none, and what is refused.
. "$(dirname "$0")/train/lib.sh"
make_tiny
cat >edm.ini <<'END'
[data]
path = tiny.h5
flip = yes
augment = edm
augment_probability = 0.5
[network]
kind = ncsnpp
library = edm
base = 8
mult = 1, 2
blocks = 1
attention = 8
augment_labels = 9
[process]
kind = edm
[prediction]
kind = edm
[objective]
weighting = edm
times = lognormal
[train]
steps = 6
batch = 8
[ema]
rates = 0.5
[compute]
precision = f32
[sample]
kind = heun
steps = 3
END

for n in 1 2; do
    rm -rf whole parts
    expect_exit 0 train $n whole edm.ini
    expect_exit 75 train $n parts edm.ini --stop-at-step 3
    expect_exit 0 train $n parts edm.ini
    same whole parts
done
grep -qx "augment = edm" whole/config.ini || fail "the run does not say that it was augmented"

# other images are another run, and fixed ones at that
expect_exit 78 train 1 whole edm.ini data.augment_probability=0.1 train.steps=8
expect_message "data.augment_probability"
sed '/augment = edm/d; /^augment_probability/d' edm.ini >plain.ini
expect_exit 0 train 2 plain plain.ini
expect_exit 1 "$TWEEDIE" checkpoint diff whole plain

expect_exit 0 "$TWEEDIE" sample whole --count 2 --out s.h5

# a network that is not told, or of another number, or points
refused 78 "network.augment_labels: 0, and data.augment = edm tells 9 numbers" edm.ini network.augment_labels=0
refused 78 "data.augment: edm tells the network what was done to an image, and network.kind = unet cannot be told" tiny.ini data.augment=edm
refused 78 "data.augment: there is no \"edn\"; did you mean edm?" tiny.ini data.augment=edn
refused 78 "data.augment = edm" tiny.ini data.augment_probability=0.5
