# Options of one kind (a format, a benchmark, a subcommand) given with another are refused; --keep-order says what it does to a test fraction.
. "$(dirname "$0")/lib.sh"

printf '1 2\n3 4\n5 6\n7 8\n' >p.txt
refused() { # MESSAGE COMMAND...
    local message=$1
    shift
    expect_exit 64 "$TWEEDIE" "$@"
    expect_message "$message"
}
for option in --transpose "--size 4" --crop --grey --rgb "--background black" "--layout NHWC" "--labels a.h5:/x" "--count 5"; do
    # shellcheck disable=SC2086
    refused "${option%% *}: is an option of import --format (" import a.h5 --format points p.txt $option
    expect_message "and does nothing with points"
done
refused "--layout: is an option of import --format (hdf5), and does nothing with circles" import a.h5 --format circles --layout NCHW
printf '\0\0\010\003\0\0\0\001\0\0\0\001\0\0\0\002ab' >bytes.idx
refused "--normalise: is for values that are not bytes" import a.h5 --format idx bytes.idx --normalise standard
expect_exit 64 "$TWEEDIE" bench read --megabytes 5
expect_message "--megabytes: is an option of bench (reduce), and does nothing with read"
expect_exit 64 "$TWEEDIE" bench step --communication inline
expect_exit 64 "$TWEEDIE" bench reduce some.ini
expect_message "bench reduce takes no configuration"
expect_exit 64 "$TWEEDIE" checkpoint list run --keep 3
expect_message "--keep: is an option of checkpoint (prune), and does nothing with list"
expect_exit 64 "$TWEEDIE" checkpoint prune run --to there
expect_exit 64 "$TWEEDIE" checkpoint show run --weights raw
expect_exit 64 "$TWEEDIE" inspect --keys a.ini --times 1,2
expect_message "--times: is an option of inspect (--fingerprint), and does nothing with --keys"
expect_exit 64 "$TWEEDIE" inspect p.txt --most 5
expect_exit 64 "$TWEEDIE" inspect p.txt train.steps=5
[ ! -e a.h5 ] || fail "a.h5 was made"

expect_exit 0 "$TWEEDIE" import p.h5 --format points p.txt --keep-order --test-fraction 0.25
expect_message 'split "test" is the last 1 of the 4 samples, in the order of the inputs'
expect_output "train 3, test 1"

# the noise schedules in a help text are those that there are
expect_exit 0 "$TWEEDIE" inspect --keys "$SOURCE/jobs/config/circles-ddpm.ini"
expect_output "noise schedule: cosine, linear, quadratic, sigmoid"
