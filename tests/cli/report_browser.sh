# slow
# A page of two runs in a real browser: it renders without a complaint, draws its curves and pictures, and asks for nothing from elsewhere.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$browser" ] || skip "there is no chromium (apt-get install chromium)"

cat >points.ini <<'END'
[data]
path = circles.h5
[network]
kind = mlp
width = 16
depth = 1
[train]
steps = 200
batch = 64
[log]
every = 2
grid_every = 50
grid_count = 512
grid_steps = 20
validate_every = 50
[objective]
timesteps = 100
END
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 2000 --test-fraction 0.2
expect_exit 0 "$TWEEDIE" train points.ini --run first
expect_exit 0 "$TWEEDIE" train points.ini --run 'second <run> & "more"' optimizer.learning_rate=0.01
expect_exit 0 "$TWEEDIE" report first 'second <run> & "more"' --out page.html

# what the browser made of the page, and what it says about it
look() {
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$HERE/browser" --no-first-run \
        --disable-background-networking --enable-logging=stderr --v=0 --window-size=1400,2600 "$@" "file://$HERE/page.html"
}
expect_exit 0 look --dump-dom
cp "$OUT" dom.html
for part in '<h1>first, second &lt;run&gt; &amp; "more"</h1>' '<polyline' '</html>'; do
    grep -qF -- "$part" dom.html || fail "the browser's page has no $part"
done
expect_equal "charts of the page, and of the file" "$(grep -o '<svg viewBox' dom.html | wc -l)" "$(grep -o '<svg viewBox' page.html | wc -l)"
if grep -iE 'CONSOLE|Refused to load|net::ERR' "$ERR"; then fail "the browser complains"; fi

# a picture with all of it in colours: large, since a page without curves and samples packs to little
expect_exit 0 look --screenshot="$HERE/page.png"
[ -s page.png ] || fail "there is no picture of the page"
[ "$(stat -c %s page.png)" -gt 200000 ] || fail "the page is nearly empty: $(stat -c %s page.png) bytes"
