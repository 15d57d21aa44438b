# Figures and pages of runs, and pictures of samples and data, from the command line: training refreshes the figure and goes on where it cannot,
# what is broken is named and passed over.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

is_png() { # FILE
    [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$1 is no PNG"
}
is_svg() {
    head -c 38 "$1" | grep -q '^<?xml version="1.0" encoding="UTF-8"?>' || fail "$1 is no SVG"
    tail -n 1 "$1" | grep -qx '</svg>' || fail "$1 has no end"
}
size() { # FILE: width and height of a PNG
    od -An -j16 -N8 -t u1 "$1" | awk '{ print $1 * 16777216 + $2 * 65536 + $3 * 256 + $4, $5 * 16777216 + $6 * 65536 + $7 * 256 + $8 }'
}

# training draws the figure at each grid
cat >points.ini <<'END'
[data]
path = circles.h5
[network]
kind = mlp
width = 8
depth = 1
[train]
steps = 6
batch = 16
[log]
every = 1
grid_every = 3
grid_count = 64
grid_steps = 5
validate_every = 3
[objective]
timesteps = 100
END
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 200 --test-fraction 0.2
expect_exit 75 "$TWEEDIE" train points.ini --run run --stop-at-step 4
is_svg run/report.svg
is_png run/report.png
is_png run/samples/data.png
grep -q '>samples at step 3<' run/report.svg || fail "the figure has no grid of step 3"
expect_exit 0 "$TWEEDIE" train points.ini --run run
grep -q '>samples at step 6<' run/report.svg || fail "the figure was not refreshed"
grep -q '>step 6 of 6' run/report.svg || fail "the figure does not say where the run stands"
grep -q '"event": "start".*"host": "[^"]*", "processor": "' run/metrics.jsonl || fail "a start does not say where"

# where it cannot be drawn training goes on
mkdir -p blind/report.svg/x
expect_exit 0 "$TWEEDIE" train points.ini --run blind
expect_message "no figure of the run: "
grep -q '"event": "finished"' blind/metrics.jsonl || fail "a figure ended a training"

# plot RUN
expect_exit 0 "$TWEEDIE" plot run
expect_output "run/report.png"
is_svg run/report.svg
expect_exit 0 "$TWEEDIE" plot run run/ --out one.svg --json
expect_equal step "$(json_value step "$OUT")" 6
is_svg one.svg
[ ! -e one.png ] || fail "more than what was asked for"
expect_exit 64 "$TWEEDIE" plot run run --out one.svg
expect_message "one.svg: exists already"
expect_exit 0 "$TWEEDIE" plot curve run/metrics.jsonl --out curve.svg
is_svg curve.svg
expect_exit 64 "$TWEEDIE" plot curve run/metrics.jsonl
expect_message "FILE must be given"
expect_exit 64 "$TWEEDIE" plot nothing
expect_message 'there is no "nothing"; there are'
mkdir nothing
expect_exit 65 "$TWEEDIE" plot nothing
expect_message "this is no run"

# a broken line is named, the others are drawn
cp -r run broken
sed -i '3s/,.*//' broken/metrics.jsonl
expect_exit 0 "$TWEEDIE" plot broken
expect_message "broken/metrics.jsonl:3: is no whole line of JSON; 1 of"
grep -q '<polyline' broken/report.svg || fail "nothing was drawn"

# one page of several runs
expect_exit 0 "$TWEEDIE" train points.ini --run other optimizer.learning_rate=0.01 log.grid_every=0
expect_exit 0 "$TWEEDIE" report run other broken --out page.html
expect_message "broken/metrics.jsonl:3:"
for part in '<mark>0.01</mark>' 'id="provenance"' 'id="configuration"' 'src="data:image/png;base64,' '</html>' "$(sed -n 's/^digest: //p' <("$TWEEDIE" inspect circles.h5))"; do
    grep -qF -- "$part" page.html || fail "the page has no $part"
done
if grep -qE 'https?:|<script|<link|<iframe' page.html; then fail "the page refers to something outside"; fi
expect_exit 64 "$TWEEDIE" report run --out page.html
expect_message "--force replaces it"
expect_exit 0 "$TWEEDIE" report run --out page.html --force
expect_exit 66 "$TWEEDIE" report run nowhere --out no.html
[ ! -e no.html ] || fail "a page of a run that is not there"

# grids with a zoom, a caption and data beside; data with their ranges
mnist=$SOURCE/datasets/mnist.h5
expect_exit 0 "$TWEEDIE" inspect "$mnist" --grid mnist.png
is_png mnist.png
expect_output "name: channel 0, least: 0, most: 255, mean: 33."
expect_exit 64 "$TWEEDIE" inspect "$mnist" --grid mnist.png
expect_exit 0 "$TWEEDIE" inspect circles.h5 --grid circles.svg --json
is_svg circles.svg
expect_equal "lines of JSON" "$(wc -l <"$OUT")" 1
expect_exit 66 "$TWEEDIE" inspect run --grid run.png
sed "s|circles.h5|$mnist|; s/mlp/unet/; s/width.*/base = 8/; s/depth.*/mult = 1/; s/grid_every.*/grid_every = 0/; s/validate_every.*/validate_every = 0/" points.ini >digits.ini
expect_exit 0 "$TWEEDIE" train digits.ini --run digits train.steps=1 network.blocks=1 network.groups=4 network.attention=none
sample() { "$TWEEDIE" sample digits --count 6 --out d.h5 --force sample.kind=ddim sample.steps=2 --grid "$@"; }
expect_exit 0 sample plain.png
expect_equal "a plain grid" "$(size plain.png)" "86 57"
expect_exit 0 sample dressed.png --zoom 3 --caption --reference "$mnist"
expect_equal "3 columns of 86 pixels, 18 apart from one of data" "$(size dressed.png | cut -d' ' -f1)" 396
expect_exit 0 sample fine.svg --zoom 2
is_svg fine.svg
expect_exit 64 sample no.png --reference circles.h5
expect_message "circles.h5: holds points of"
expect_exit 64 "$TWEEDIE" sample run --count 8 --out p.h5 --grid p.png --zoom 2
expect_message "are for images"
