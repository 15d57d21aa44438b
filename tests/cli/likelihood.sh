# tweedie likelihood, encode, decode: against a known density, the same bits however the work is cut, going on, what is refused.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

expect_same() { # FILE FILE
    LAST="cmp $1 $2"
    cmp "$1" "$2" || fail "$1 and $2 differ"
}
# within NAME MET WANTED TOLERANCE
within() { awk "BEGIN { d = $2 - ($3); exit !(d < $4 && d > -($4)) }" || fail "$1: $2, wanted $3 within $4"; }
points() { # FILE FIRST COUNT: rows of /points, two numbers a line
    h5dump -d points -s "$2,0" -c "$3,2" -m %.7g -y -w 0 "$1" | sed -n '/^ *DATA {/,/}/p' | grep -E '^ +-?[0-9]' | head -n "$3" | tr -d ,
}

# Two modes in x, one in y, in units of their own; the mean of the true log density is known.
truth=$(awk 'BEGIN { srand(1); pi = 3.14159265358979
    for (i = 0; i < 4000; i++) {
        r = sqrt(-2 * log(1 - rand())); a = 2 * pi * rand(); m = rand() < 0.3 ? 96 : 104
        x = m + 2 * r * cos(a); y = -50 + 20 * r * sin(a)
        p = 0.3 * exp(-(x - 96) ^ 2 / 8) + 0.7 * exp(-(x - 104) ^ 2 / 8)
        logp += log(p / (2 * sqrt(2 * pi))) - (y + 50) ^ 2 / 800 - log(20 * sqrt(2 * pi))
        print x, y >"field.txt"
    }
    print logp / 4000 }')
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
steps = 600
batch = 256
[optimizer]
learning_rate = 0.005
decay = cosine
[ema]
rates = 0.98
[sample]
kind = ode
[likelihood]
batch = 16
rtol = 0.001
atol = 0.001
END
sed 's/kind = vp/kind = ddpm\ntimesteps = 100/; s/kind = ode/kind = ancestral/' vp.ini >ddpm.ini
expect_exit 0 "$TWEEDIE" import field.h5 --format points field.txt --normalise standard --test-fraction 0.1
expect_exit 0 "$TWEEDIE" train vp.ini --run vp
expect_exit 0 "$TWEEDIE" train ddpm.ini --run ddpm

# the density of the data in their own units: 400 rows have a standard error of 0.06, and the networks are small
expect_exit 0 "$TWEEDIE" likelihood vp --data field.h5 --out l.h5 --json
expect_equal rows "$(json_value samples "$OUT")" 400
expect_equal "bits per dimension of real numbers" "$(json_value bits_per_dimension "$OUT")" null
within "log p by the ODE" "$(json_value nats "$OUT")" "$truth" 0.3
expect_exit 0 "$TWEEDIE" likelihood ddpm --data field.h5 --out bound.h5 --json
expect_equal kind "$(json_value kind "$OUT")" '"bound"'
within "the bound on log p" "$(json_value nats "$OUT")" "$truth - 0.4" 0.7
for array in index logp standard_error evaluations prior terms mean_terms term_times; do
    h5dump -H -d $array bound.h5 >/dev/null || fail "bound.h5 has no /$array"
done
h5dump -a scale bound.h5 | grep -q "log scale" || fail "bound.h5 says nothing of the data's scale"

# the same bits on 2 and 4 ranks, and in shares; a part that is gone or damaged is made again
for run in vp ddpm; do
    expect_exit 0 "$TWEEDIE" likelihood $run --data field.h5 --count 300 --out $run.1.h5
    for n in 2 4; do
        expect_exit 0 ranks $n "$TWEEDIE" likelihood $run --data field.h5 --count 300 --out $run.$n.h5
        expect_same $run.1.h5 $run.$n.h5
    done
done
expect_exit 0 "$TWEEDIE" likelihood vp --data field.h5 --first 0 --count 70 --out split.h5
expect_output "split.h5.parts: rows 0 to 69 are there"
[ ! -e split.h5 ] || fail "a share was joined"
expect_exit 0 ranks 2 "$TWEEDIE" likelihood vp --data field.h5 --first 100 --count 200 --out split.h5
rm split.h5.parts/part-000000000128.h5
truncate -s 3000 split.h5.parts/part-000000000000.h5
expect_exit 0 "$TWEEDIE" likelihood vp --data field.h5 --count 300 --out split.h5 --clean
expect_message "part-000000000000.h5"
expect_message "3 blocks of 128; 1 are there"
expect_same vp.1.h5 split.h5
[ ! -e split.h5.parts ] || fail "--clean left the parts"
expect_exit 0 "$TWEEDIE" likelihood vp --data field.h5 --count 300 --out split.h5
expect_output "there already"

# other weights, data or settings are refused, in the file and in parts
expect_exit 64 "$TWEEDIE" likelihood vp --data field.h5 --count 300 --out split.h5 likelihood.seed=3
expect_message "was made with other weights, data or settings"
expect_message "seed=3"
rm vp.2.h5
expect_exit 64 ranks 2 "$TWEEDIE" likelihood vp --data field.h5 --count 300 --out vp.2.h5 --weights raw
expect_message "part-000000000000.h5: exists already, and was made with other"
expect_exit 64 "$TWEEDIE" likelihood vp --data field.h5 --split train --count 300 --out vp.2.h5
cp field.h5 taken.h5
expect_exit 64 "$TWEEDIE" likelihood vp --data field.h5 --out taken.h5
expect_message "is no result of this command"

# codes and back: by the ODE to its tolerance, by DDIM with fixed-point iterations to rounding
back() { # RUN TOLERANCE SETTING…: in units of the data's deviations
    local run=$1 tolerance=$2
    shift 2
    expect_exit 0 ranks 2 "$TWEEDIE" encode "$run" --data field.h5 --split test --count 40 --out "z-$run.h5" "$@"
    expect_exit 0 "$TWEEDIE" decode "$run" --codes "z-$run.h5" --out "x-$run.h5" "$@"
    paste <(points field.h5 3600 40) <(points "x-$run.h5" 0 40) |
        awk '{ a = ($1 - $3) / 4.1; b = ($2 - $4) / 19.8; s += a * a + b * b } END { print sqrt(s / NR / 2), NR }' >off
    awk "{ exit !(\$2 == 40 && \$1 < $tolerance) }" off || fail "$run: encoded and decoded, off by $(cat off)"
}
back vp 0.003 likelihood.rtol=1e-6 likelihood.atol=1e-6
back ddpm 1e-5 likelihood.inversions=12
expect_exit 0 "$TWEEDIE" encode vp --data field.h5 --count 40 --split test --out again.h5 likelihood.rtol=1e-6 likelihood.atol=1e-6
expect_same z-vp.h5 again.h5
# standard normal by and large
points z-vp.h5 0 40 | awk '{ s += $1 * $1 + $2 * $2 } END { exit !(s / NR / 2 > 0.5 && s / NR / 2 < 1.7) }' || fail "the codes are not of the prior"
expect_exit 0 "$TWEEDIE" inspect z-vp.h5
expect_output "points"

# log p beside the codes is that of the likelihood
expect_exit 0 "$TWEEDIE" encode vp --data field.h5 --split test --count 300 --out logp.h5 --logp
logp() { h5dump -d logp -A 0 -m %.17g -y -w 1 "$1" | grep -E '^ +-?[0-9]'; }
expect_equal rows "$(logp vp.1.h5 | wc -l)" 300
expect_equal "log p of encode" "$(logp logp.h5)" "$(logp vp.1.h5)"

# between two codes: both ends are the rows themselves; temperature 0 is the centre
expect_exit 0 "$TWEEDIE" decode ddpm --codes z-ddpm.h5 --interpolate 3,17 --steps 5 --out between.h5
expect_equal "the first end" "$(points between.h5 0 1)" "$(points x-ddpm.h5 3 1)"
expect_equal "the last end" "$(points between.h5 4 1)" "$(points x-ddpm.h5 17 1)"
expect_exit 0 "$TWEEDIE" decode ddpm --codes z-ddpm.h5 --temperature 0 --out cold.h5
expect_equal "different samples at temperature 0" "$(points cold.h5 0 40 | sort -u | wc -l)" 1

# bytes: bits per dimension, dequantised with repeats, or of the bound
{ printf '\0\0\010\003\0\0\0\050\0\0\0\010\0\0\0\010'; awk 'BEGIN { for (i = 0; i < 2560; i++) printf "abcdefghijk%c%c", 65 + i % 50, 40 + i % 80 }' | head -c 2560; } >tiny-images-idx3-ubyte
expect_exit 0 "$TWEEDIE" import tiny.h5 --format idx tiny-images-idx3-ubyte
cat >tiny.ini <<END
[data]
path = tiny.h5
[network]
kind = unet
base = 32
mult = 1
blocks = 1
[train]
steps = 2
batch = 4
[ema]
rates = 0.5
[sample]
kind = ddim
END
expect_exit 0 "$TWEEDIE" train tiny.ini --run tiny-ddpm process.kind=ddpm
expect_exit 0 "$TWEEDIE" train tiny.ini --run tiny-vp process.kind=vp sample.kind=ode
expect_exit 0 "$TWEEDIE" likelihood tiny-vp --data tiny.h5 --count 3 --out tiny-vp.l.h5 --json likelihood.repeats=2 likelihood.rtol=1e-2 likelihood.batch=4
within "bits per dimension" "$(json_value bits_per_dimension "$OUT")" "7 - $(json_value nats "$OUT") / (64 * log(2))" 1e-6
expect_exit 0 "$TWEEDIE" likelihood tiny-ddpm --data tiny.h5 --count 3 --out tiny-ddpm.l.h5 --json likelihood.timesteps=20 likelihood.batch=4
within "bits per dimension of the bound" "$(json_value bits_per_dimension "$OUT")" "-$(json_value nats "$OUT" | tr -d -) / (64 * log(2)) * -1" 1e-6
expect_exit 0 "$TWEEDIE" encode tiny-ddpm --data tiny.h5 --count 3 --out tiny.z.h5 likelihood.timesteps=20
expect_exit 0 "$TWEEDIE" decode tiny-ddpm --codes tiny.z.h5 --out tiny.x.h5 likelihood.timesteps=20
expect_exit 0 "$TWEEDIE" inspect tiny.x.h5
expect_output "uint8"

# what cannot be, with what would work
expect_exit 78 "$TWEEDIE" likelihood ddpm --data field.h5 --out no.h5 likelihood.kind=ode
expect_message "likelihood.kind = bound"
expect_exit 78 ranks 2 "$TWEEDIE" likelihood vp --data field.h5 --out no.h5 likelihood.kind=bound
expect_message "likelihood.kind = ode"
expect_exit 78 "$TWEEDIE" encode ddpm --data field.h5 --out no.h5 --logp
expect_message "variational bound"
expect_exit 0 "$TWEEDIE" train vp.ini --run one process.kind=single sample.kind=onestep network.time_dim=0 train.steps=2
expect_exit 78 "$TWEEDIE" likelihood one --data field.h5 --out no.h5
expect_message "continuous processes have an exact one"
expect_exit 78 "$TWEEDIE" encode one --data field.h5 --out no.h5
expect_message "no codes"
expect_exit 65 "$TWEEDIE" likelihood vp --data tiny.h5 --out no.h5
expect_message "the network takes points"
expect_exit 65 "$TWEEDIE" decode vp --codes tiny.h5 --out no.h5
expect_exit 64 "$TWEEDIE" decode vp --codes z-vp.h5 --interpolate 3 --out no.h5
expect_message "expected two rows"
expect_exit 64 "$TWEEDIE" decode vp --codes z-vp.h5 --interpolate 3,99 --out no.h5
expect_message "rows 0 to 39"
expect_exit 64 "$TWEEDIE" likelihood vp --data field.h5 --first 400 --out no.h5
expect_message "rows 0 to 399"
expect_exit 64 "$TWEEDIE" likelihood vp --data field.h5 --out no.h5 network.width=5
expect_message "belongs to the run"
expect_exit 78 "$TWEEDIE" likelihood vp --data field.h5 --out no.h5 likelihood.kindd=ode
expect_message "did you mean"
expect_exit 66 "$TWEEDIE" likelihood vp --data nowhere.h5 --out no.h5
[ ! -e no.h5 ] || fail "no.h5 was made"
