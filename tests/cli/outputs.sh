# Outputs of every command: what exists is refused with one code, inputs and devices always, links lead where they point, what killed commands
# left is removed, and what is planted in a run is not followed.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

cat >points.ini <<END
[data]
path = circles.h5
[network]
kind = mlp
width = 8
depth = 1
[train]
steps = 4
batch = 8
[objective]
timesteps = 100
[sample]
batch = 4
END
expect_exit 0 "$TWEEDIE" import circles.h5 --format circles --count 40
expect_exit 0 "$TWEEDIE" train points.ini --run run
newest=$(find run/checkpoints -name 'step-*.h5')
printf '1 2\n3 4\n' >points.txt

# what a process of this machine calls its temporary files by: in a container, of its process namespace
host=$(hostname) space=$(stat -L -c %i /proc/self/ns/pid)
[ "$space" = 4026531836 ] || host=$host.$space

# each command that makes a file named by its user: NAME is where it goes
makes() { # COMMAND NAME [OPTIONS]
    local command=$1 name=$2
    shift 2
    case $command in
    import) set -- import "$name" --format points points.txt "$@" ;;
    sample) set -- sample run --count 4 --out "$name" "$@" ;;
    grid) set -- sample run --count 4 --out set.h5 --grid "$name" "$@" ;;
    score) set -- score run --input circles.h5 --time 1 --out "$name" "$@" ;;
    export) set -- checkpoint export run --out "$name" "$@" ;;
    esac
    "$TWEEDIE" "$@"
}
for command in import sample grid score export; do
    rm -rf set.h5 set.h5.parts
    echo precious >"$command.out"
    expect_exit 64 makes $command "$command.out"
    expect_message "$command.out: exists already"
    expect_message "--force replaces it"
    expect_equal "$command.out" "$(cat "$command.out")" precious
    expect_exit 0 makes $command "$command.out" --force
    [ "$(head -c 8 "$command.out")" != precious ] || fail "--force did not replace it"
    expect_exit 64 makes $command /dev/null --force
    expect_message "/dev/null: is not a regular file"
    [ -c /dev/null ] || fail "/dev/null was replaced"
    mkfifo "$command.pipe"
    expect_exit 64 makes $command "$command.pipe" --force
    expect_message "is not a regular file"
    [ -p "$command.pipe" ] || fail "a pipe was replaced"
    expect_exit 64 makes $command run --force
    expect_exit 74 makes $command no/folder/x.h5
    expect_message "no/folder/x.h5: cannot be created: No such file or directory"

    mkdir -p elsewhere
    ln -s "elsewhere/$command.h5" "$command.link"
    touch ".$command.h5.$host-4194300-0.tmp" "elsewhere/.$command.h5.$host-4194300-0.tmp"
    rm -rf set.h5 set.h5.parts
    expect_exit 0 makes $command "$command.link"
    [ -L "$command.link" ] && [ -s "elsewhere/$command.h5" ] || fail "$command.link was not written through"
    expect_equal "temporary files" "$(find elsewhere -name '.*.tmp' | wc -l)" 0
    expect_exit 0 makes $command "$command.h5"
    expect_equal "temporary files" "$(find . -maxdepth 1 -name '.*.tmp' | wc -l)" 0
done

# an input is never an output, whatever it is called
ln -s "$newest" newest.link
ln "$newest" newest.hard
ln -s circles.h5 circles.link
before=$(cat circles.h5 points.txt "$newest" run/config.ini | cksum)
never() {
    expect_exit 64 "$TWEEDIE" "$@" --force
    expect_message "an input of this command"
}
never import points.txt --format points points.txt
never import circles.link --format hdf5 circles.h5:/points
never import circles.h5 --format hdf5 set.h5:/points --labels circles.link:/labels
never checkpoint export run --out "$newest"
never checkpoint export "$newest" --out newest.hard
never checkpoint export newest.link --out "$newest"
never checkpoint export run --out run/config.ini
never score run --input circles.h5 --time 1 --out circles.link
never score run --input circles.h5 --time 1 --out newest.link
never score run --input points.txt --time 1 --vjp circles.h5 --out circles.h5
never sample run --count 4 --out "$newest"
never sample "$newest" --count 4 --out newest.hard
never sample run --count 4 --out set.h5 --grid newest.link
mkdir -p photos/a
cp grid.h5 photos/a/1.png
never import photos/a/1.png --format images photos
expect_equal "the inputs" "$(cat circles.h5 points.txt "$newest" run/config.ini | cksum)" "$before"

# the run's own exports are made anew; --force is for another name
expect_exit 0 "$TWEEDIE" checkpoint export run
expect_exit 0 "$TWEEDIE" checkpoint export run
expect_exit 64 "$TWEEDIE" checkpoint export run --force
expect_message "--force: is for --out FILE"
expect_exit 64 "$TWEEDIE" checkpoint export "$newest"
expect_message "--out FILE gives it one"

# what somebody planted in a run is not followed, and nobody waits for a pipe
echo safe >victim
for name in lock metrics.jsonl train.log; do
    rm -f "run/$name"
    ln -s ../victim "run/$name"
    expect_exit 74 timeout 20 "$TWEEDIE" train points.ini --run run train.steps=8
    expect_message "run/$name: is a symbolic link"
    expect_equal "the victim" "$(cat victim)" safe
    rm "run/$name"
    mkfifo "run/$name"
    expect_exit 74 timeout 20 "$TWEEDIE" train points.ini --run run train.steps=8
    expect_message "run/$name"
    rm "run/$name"
done
for name in config.ini latest; do
    cp "run/$name" kept
    rm "run/$name"
    ln -s ../victim "run/$name"
    code=0
    timeout 20 "$TWEEDIE" train points.ini --run run train.steps=8 >/dev/null 2>&1 || code=$?
    [ $code -ne 124 ] || fail "run/$name: it waits"
    expect_equal "the victim" "$(cat victim)" safe
    rm "run/$name"
    mkfifo "run/$name"
    code=0
    timeout 20 "$TWEEDIE" train points.ini --run run train.steps=8 >/dev/null 2>&1 || code=$?
    [ $code -ne 124 ] || fail "run/$name: it waits for a pipe"
    rm -f "run/$name"
    cp kept "run/$name"
done
expect_exit 0 "$TWEEDIE" train points.ini --run run train.steps=12
