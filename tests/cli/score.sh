# tweedie score: scores and vector-Jacobian products at given points.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=2

values() { h5dump -A 0 -d "$2" -y -w 0 -m %.9g "$1" | sed -n '/DATA {/,/}/p' | grep -o '[-+0-9.e]\+[,]\?' | tr -d ,; }

cat >points.ini <<END
[data]
path = mixture.h5
[network]
kind = mlp
width = 64
depth = 3
[train]
steps = 1500
batch = 256
[optimizer]
learning_rate = 0.005
[ema]
rates = 0.99
[compute]
precision = f32
END
expect_exit 0 "$TWEEDIE" import mixture.h5 --format mixture --count 4000
expect_exit 0 "$TWEEDIE" train points.ini --run run

# the same bits on 1, 2 and 3 ranks, with and without products
for n in 1 2 3; do
    expect_exit 0 ranks $n "$TWEEDIE" score run --input mixture.h5 --time 300 --vjp mixture.h5 --out s.$n.h5
    cmp s.1.h5 s.$n.h5 || fail "$n ranks differ"
done
expect_output "the score and vector-Jacobian products of 4000 points at time 300"
expect_exit 0 "$TWEEDIE" score run --input mixture.h5 --time 300 --out alone.h5
h5diff s.1.h5 alone.h5 /score /score || fail "the score depends on whether products are asked for"
values alone.h5 /vjp 2>/dev/null | grep -q . && fail "/vjp was not asked for"

# at time 999 nothing of the data is left: the score is that of N(0, I), -x
printf '0.5 -1\n-1 0.25\n1 1\n' >at.txt
expect_exit 0 "$TWEEDIE" import at.h5 --format points at.txt --keep-order
expect_exit 0 "$TWEEDIE" score run --input at.h5 --time 999 --out end.h5
LAST="score at time 999"
paste <(values end.h5 /score) <(printf '%s\n' -0.5 1 1 -0.25 -1 -1) |
    awk '{ if ($1 - $2 > 0.1 || $2 - $1 > 0.1) bad = 1; n++ } END { exit !(n == 6 && !bad) }' || fail "the score is not -x: $(values end.h5 /score)"

# the products are slopes: v^T ds/dx against central differences of the score, x = (0.4, -0.3), v = (0.6, -0.8), h = 0.01
printf '0.4 -0.3\n' >x.txt
printf '0.6 -0.8\n' >v.txt
printf '0.41 -0.3\n0.39 -0.3\n0.4 -0.29\n0.4 -0.31\n' >h.txt
for f in x v h; do expect_exit 0 "$TWEEDIE" import $f.h5 --format points $f.txt --keep-order; done
expect_exit 0 "$TWEEDIE" score run --input x.h5 --time 500 --vjp v.h5 --out product.h5
expect_exit 0 "$TWEEDIE" score run --input h.h5 --time 500 --out differences.h5
LAST="vector-Jacobian product against differences"
values differences.h5 /score | paste - - | awk -v got="$(values product.h5 /vjp | paste - -)" '
    { s[NR] = 0.6 * $1 - 0.8 * $2 }
    END {
        split(got, g); x = (s[1] - s[2]) / 0.02; y = (s[3] - s[4]) / 0.02; print "products", g[1], g[2], "differences", x, y
        size = sqrt(x * x + y * y)
        exit !(NR == 4 && size > 0.1 && sqrt((g[1] - x) ^ 2 + (g[2] - y) ^ 2) < 0.01 * size)
    }' || fail "the products are no slopes"

# what is refused
expect_exit 64 "$TWEEDIE" score run --input mixture.h5 --time 1000 --out no.h5
expect_message "--time 1000: this model's clock has the steps 0 to 999"
expect_exit 64 ranks 2 "$TWEEDIE" score run --input mixture.h5 --time 1.5 --out no.h5
expect_exit 64 "$TWEEDIE" score run --input mixture.h5 --out no.h5
expect_message "--time T must be given"
expect_exit 65 "$TWEEDIE" score run --input "$SOURCE/datasets/mnist.h5" --time 1 --out no.h5
expect_message "the network takes points of 1 x 1 x 2"
expect_exit 65 "$TWEEDIE" score run --input mixture.h5 --time 1 --vjp x.h5 --out no.h5
expect_message "1 vectors for the 4000 points"
expect_exit 66 ranks 2 "$TWEEDIE" score run --input nowhere.h5 --time 1 --out no.h5
expect_message "nowhere.h5"
expect_exit 74 ranks 2 "$TWEEDIE" score run --input mixture.h5 --time 1 --out no/no.h5
expect_message "no/no.h5"
[ ! -e no.h5 ] || fail "no.h5 was made"
expect_equal "temporary files" "$(find . -name '.*.tmp' | wc -l)" 0
