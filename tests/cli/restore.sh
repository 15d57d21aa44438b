# tweedie restore: measurements simulated and restored, the same bits however the work is cut, in the units of the data; what is refused;
# tweedie evaluate --posterior of it.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

expect_same() { # FILE FILE
    LAST="cmp $1 $2"
    cmp "$1" "$2" || fail "$1 and $2 differ"
}
within() { awk "BEGIN { d = $2 - ($3); exit !(d < $4 && d > -($4)) }" || fail "$1: $2, wanted $3 within $4"; }

# x is normal with a deviation of 20 around 100, y follows it: what is known of x says what y is, to 0.5
awk 'BEGIN { srand(1); pi = 3.14159265358979
    for (i = 0; i < 3000; i++) {
        r = sqrt(-2 * log(1 - rand())); a = 2 * pi * rand()
        print 100 + 20 * r * cos(a), 2 * r * cos(a) + 0.5 * r * sin(a)
    } }' >field.txt
cat >vp.ini <<END
[data]
path = field.h5
[network]
kind = mlp
width = 64
depth = 2
[process]
kind = vp
[train]
steps = 500
batch = 256
[optimizer]
learning_rate = 0.005
decay = cosine
[ema]
rates = 0.98
[sample]
batch = 64
END
expect_exit 0 "$TWEEDIE" import field.h5 --format points field.txt --normalise standard --test-fraction 0.1
expect_exit 0 "$TWEEDIE" train vp.ini --run vp

# measurements: the same ones each time, with their noise
expect_exit 0 "$TWEEDIE" restore --simulate --task inpaint task.coordinates=0 task.noise=5 --input field.h5 --split test --rows 40 --out y.h5
expect_output "measurements of rows 0 to 39"
expect_exit 0 ranks 2 "$TWEEDIE" restore --simulate --task inpaint task.coordinates=0 task.noise=5 --input field.h5 --split test --rows 40 --out y2.h5
expect_same y.h5 y2.h5
expect_exit 64 "$TWEEDIE" restore --simulate --task inpaint task.coordinates=0 --input field.h5 --out y.h5
expect_message "exists already"
expect_exit 64 "$TWEEDIE" restore --simulate --task denoise --input field.h5 --out field.h5 --force

# on 1 and 2 ranks and in shares; what is gone is made again
task=(--task inpaint task.coordinates=0 task.noise=5 --input y.h5 --count 32 --keep)
fast=(--method moments sample.steps=40 sample.spacing=logsnr)
restore() { "$TWEEDIE" restore vp "${task[@]}" "${fast[@]}" "$@"; }
expect_exit 0 restore --out x.h5
expect_output "x.h5: measurements 0 to 39, 32 samples each"
expect_exit 0 ranks 2 "$TWEEDIE" restore vp "${task[@]}" "${fast[@]}" --out x2.h5
expect_same x.h5 x2.h5
# each of the 32 samples as a dataset of its own, the same numbers as among those that are kept
expect_exit 64 "$TWEEDIE" restore vp --task denoise --input y.h5 --out no.h5 --files files
expect_message "--keep"
expect_exit 0 restore --out x3.h5 --files files
expect_same x.h5 x3.h5
expect_equal "files of samples" "$(find files -name 'sample-*.h5' | wc -l)" 32
expect_exit 0 "$TWEEDIE" inspect files/sample-031.h5
expect_output "samples: 40"
if command -v h5dump >/dev/null; then
    one() { h5dump -m %.9g -y "$@" | awk '/DATA \{/ && !on { on = 1; next } /}/ && on { exit } on' | tr -d ' ,\n'; }
    expect_equal "sample 31 of measurement 7" "$(one -d points -s 7,0 -c 1,2 files/sample-031.h5)" "$(one -d samples -s 7,31,0 -c 1,1,2 x.h5)"
fi
expect_exit 0 restore --out split.h5 --first 0 --rows 14
expect_output "split.h5.parts: measurements 0 to 13 are there"
[ ! -e split.h5 ] || fail "a share was joined"
expect_exit 0 restore --out split.h5 --first 20 --rows 20
rm split.h5.parts/part-000000000022.h5
truncate -s 3000 split.h5.parts/part-000000000000.h5
expect_exit 0 restore --out split.h5
expect_same x.h5 split.h5
expect_exit 0 restore --out split.h5
expect_output "there already"

# task, noise, method, K and settings belong to what a result is
expect_exit 64 "$TWEEDIE" restore vp "${task[@]}" "${fast[@]}" --out x.h5 task.noise=4
expect_message "made with other weights, data or settings"
expect_exit 64 "$TWEEDIE" restore vp "${task[@]}" "${fast[@]}" --out x.h5 --count 31
expect_exit 64 "$TWEEDIE" restore vp "${task[@]}" "${fast[@]}" --out x.h5 --method ddrm
expect_exit 64 "$TWEEDIE" restore vp "${task[@]}" "${fast[@]}" --out x.h5 sample.steps=41
expect_exit 64 "$TWEEDIE" restore vp "${task[@]}" "${fast[@]}" --out x.h5 task.coordinates=1

# in the units of the data: with what is known of x, y is known to about sqrt(0.5^2 + 0.5^2)
expect_exit 0 "$TWEEDIE" evaluate x.h5 --posterior --truth field.h5 --split test --json
expect_equal measurements "$(json_value measurements "$OUT")" 40
expect_equal samples "$(json_value samples "$OUT")" 32
covered=$(sed 's/.*"covered": \([0-9.]*\).*/\1/' "$OUT")
within "coverage of the 90 % intervals" "$covered" 0.9 0.1
within "deviation" "$(json_value deviation "$OUT")" "$(json_value rmse "$OUT")" 1.5
expect_exit 0 "$TWEEDIE" evaluate x.h5 --posterior --truth field.h5 --split test
expect_output "interval of 90 %"
expect_output "ranks of the truth among 32 samples"
expect_exit 64 "$TWEEDIE" evaluate x.h5 --posterior
expect_message "--truth"
expect_exit 64 "$TWEEDIE" evaluate x.h5 --posterior --truth field.h5 --split test --first 290
expect_message "measurements 0 to 39"
expect_exit 65 "$TWEEDIE" evaluate field.h5 --posterior --truth field.h5
expect_message "no result of tweedie restore"

# a matrix of one's own, dense and as sparse rows: y = A x, and what it is restored to
numbers() { h5dump -d "$2" -m %.9g -y -w 0 "$1" | awk '/DATA \{/ && !on { on = 1; next } /}/ && on { exit } on' | tr -d ,; }
printf '0.5 2\n1 -1\n' >a.txt
expect_exit 0 "$TWEEDIE" import a.h5 --format points a.txt --keep-order --normalise none
expect_exit 0 "$TWEEDIE" restore --simulate --task linear task.matrix=a.h5:/points --input field.h5 --split test --rows 4 --out l.h5
if command -v h5dump >/dev/null; then
    numbers field.h5 points | tail -n 300 | head -n 4 | awk '{ printf "%.3f %.3f\n", 0.5 * $1 + 2 * $2, $1 - $2 }' >wanted
    expect_equal "A x" "$(numbers l.h5 points | awk '{ printf "%.3f %.3f\n", $1, $2 }')" "$(cat wanted)"
fi
own=(--task linear task.noise=1 --input l.h5 --count 8 "${fast[@]}")
expect_exit 0 "$TWEEDIE" restore vp "${own[@]}" task.matrix=a.h5:/points --out dense.h5
# two measurements of two numbers, with little noise: x itself, within some of its deviation
expect_exit 0 "$TWEEDIE" evaluate dense.h5 --posterior --truth field.h5 --split test --json
within "error of x" "$(json_value rmse "$OUT")" 0.7 0.7
if command -v h5import >/dev/null; then
    part() { # NAME CLASS NUMBERS…
        printf '%s\n' "${@:3}" >"$1.txt"
        printf 'PATH /a/%s\nINPUT-CLASS TEXT%s\nINPUT-SIZE 32\nRANK 1\nDIMENSION-SIZES %d\nOUTPUT-CLASS %s\nOUTPUT-SIZE 32\n' "$1" "$2" $(($# - 2)) "$2" >"$1.conf"
    }
    part data FP 0.5 2 1 -1
    part indices IN 0 1 0 1
    part indptr IN 0 2 4
    expect_exit 0 h5import data.txt -c data.conf indices.txt -c indices.conf indptr.txt -c indptr.conf -o sparse.h5
    expect_exit 0 "$TWEEDIE" restore vp "${own[@]}" task.matrix=sparse.h5:/a task.format=csr --out sparse-x.h5
    expect_equal "by sparse rows" "$(numbers sparse-x.h5 points)" "$(numbers dense.h5 points)"
    part indptr IN 0 3 2
    expect_exit 0 h5import data.txt -c data.conf indices.txt -c indices.conf indptr.txt -c indptr.conf -o bad-a.h5
    expect_exit 65 "$TWEEDIE" restore vp "${own[@]}" task.matrix=bad-a.h5:/a task.format=csr --out bad.h5
    expect_message "bad-a.h5:/a/indptr goes from 0 to 2"
fi
expect_exit 65 "$TWEEDIE" restore vp "${own[@]}" task.matrix=field.h5:/labels --out bad.h5
expect_exit 65 "$TWEEDIE" restore vp "${own[@]}" task.matrix=y.h5:/standard --out bad.h5

# refused before anything runs
bad() { "$TWEEDIE" restore vp --input y.h5 --out bad.h5 "$@"; }
expect_exit 78 bad --task inpaint
expect_message "one of task.mask"
expect_exit 78 bad --task colorize
expect_message "3 channels"
expect_exit 78 bad --task blur
expect_message "deblur"
expect_exit 78 bad --task denoise --method replacement sample.kind=ode
expect_message "grid of times"
expect_exit 78 bad --task denoise --method ddrm sample.kind=annealed_langevin
expect_message "takes a predictor"
expect_exit 65 bad --task compressed task.fraction=0.5
expect_message "measurements of task compressed"
expect_exit 64 "$TWEEDIE" restore --task denoise --input y.h5 --out bad.h5
expect_message "which weights?"
expect_exit 64 bad --task denoise --first 0 --grid x.png
expect_message "--grid"
[ ! -e bad.h5 ] && [ ! -e bad.h5.parts ] || fail "something was made of what was refused"

# images of bytes: measured in 0 ... 255; what is known stays; a picture
cat >tiny.ini <<END
[data]
path = $SOURCE/datasets/mnist.h5
[network]
kind = unet
base = 4
mult = 1, 1
groups = 2
blocks = 1
attention = none
[process]
kind = ddpm
timesteps = 100
[train]
steps = 2
batch = 4
[ema]
rates = 0.5
[sample]
batch = 4
END
expect_exit 0 "$TWEEDIE" train tiny.ini --run tiny
box=(--task inpaint task.box=10,10,2,14)
expect_exit 0 "$TWEEDIE" restore --simulate "${box[@]}" --input "$SOURCE/datasets/mnist.h5" --split test --first 5 --rows 3 --out b.h5
expect_exit 0 "$TWEEDIE" restore tiny "${box[@]}" --method ddnm --input b.h5 --count 3 --keep --out r.h5 --grid r.png compute.precision=f32 sample.steps=6 \
    --truth "$SOURCE/datasets/mnist.h5" --truth-split test
# measurement, three samples, mean, deviation and truth of three digits, with lines between them
expect_equal "width and height of the picture" "$(head -c 24 r.png | tail -c 8 | od -An -tu1 | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }')" "202 86"
expect_exit 0 "$TWEEDIE" evaluate r.h5 --posterior --truth "$SOURCE/datasets/mnist.h5" --split test --first 5 --json
within "numbers that are known" "$(json_value agreed "$OUT")" "1 - 28 / 784" 0.002
expect_exit 0 "$TWEEDIE" restore --simulate --task superres task.noise=10 --input "$SOURCE/datasets/mnist.h5" --split test --rows 2 --out s.h5
for method in pigdm sde; do
    expect_exit 0 "$TWEEDIE" restore tiny --task superres task.noise=10 --method $method --input s.h5 --count 2 --out s.$method.h5 sample.kind=ancestral sample.steps=6
done
if command -v h5dump >/dev/null; then
    h5dump -H -d quantiles r.h5 | grep -q '( 3, 3, 28, 28, 1 )' || fail "quantiles are no images"
    h5dump -H -d samples r.h5 | grep -q '( 3, 3, 28, 28, 1 )' || fail "samples are no images"
    h5dump -H -d images s.h5 | grep -q '( 2, 7, 7, 1 )' || fail "averages are no images of 7 x 7"
fi
