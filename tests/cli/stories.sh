# slow
# timeout: 1800
# The theory in pictures: every story ends with the number that it should.
. "$(dirname "$0")/lib.sh"

STORIES=$HERE/stories expect_exit 0 "$SOURCE/scripts/stories" --check
for name in onestep ddpm exact sliced energy modes manifold paths; do
    [ -s "stories/$name.png" ] || fail "there is no picture of $name"
done
expect_exit 64 "$SOURCE/scripts/stories" sonnet
