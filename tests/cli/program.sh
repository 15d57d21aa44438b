# The program itself: help, version, unknown commands and options, exit codes.
. "$(dirname "$0")/lib.sh"

expect_exit 0 "$TWEEDIE" --help
expect_output "usage: tweedie COMMAND"
expect_output "  version "
expect_quiet

expect_exit 0 "$TWEEDIE" --version
for fact in tweedie onednn hdf5 mpi openmp libpng libjpeg xxhash isa precision_auto; do expect_output "$fact"; done
expect_output "parallel"
expect_output "CPU runtime OpenMP"
expect_quiet

expect_exit 0 "$TWEEDIE" version --json
expect_equal "lines of JSON" "$(wc -l <"$OUT")" 1
case $(json_value precision_auto "$OUT") in
\"f32\" | \"bf16\") ;;
*) fail "precision_auto is neither f32 nor bf16" ;;
esac
# bf16 is faster than f32 with AMX, and with the AVX512_BF16 of AMD
if grep -qw amx_bf16 /proc/cpuinfo || { grep -qw avx512_bf16 /proc/cpuinfo && grep -q AuthenticAMD /proc/cpuinfo; }; then
    wanted='"bf16"'
else
    wanted='"f32"'
fi
# where this test itself runs as a lesser processor
case ${TWEEDIE_ISA-}${ONEDNN_MAX_CPU_ISA-} in *baseline* | *avx2* | *AVX2 | *SSE41) wanted='"f32"' ;; esac
expect_equal precision_auto "$(json_value precision_auto "$OUT")" "$wanted"
for lesser in TWEEDIE_ISA=avx2 TWEEDIE_ISA=baseline ONEDNN_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX512_CORE; do
    expect_exit 0 env $lesser "$TWEEDIE" version --json
    expect_equal "precision_auto with $lesser" "$(json_value precision_auto "$OUT")" '"f32"'
done
expect_exit 64 env TWEEDIE_ISA=sse2 "$TWEEDIE" version
expect_message "tweedie: the environment variable TWEEDIE_ISA is 'sse2'; it must be baseline, avx2 or avx512"

expect_exit 64 "$TWEEDIE"
expect_message "tweedie: which command?"
expect_exit 64 "$TWEEDIE" verison
expect_message "tweedie: there is no command 'verison' (did you mean version?)"
expect_exit 64 "$TWEEDIE" qqqqqqqq
expect_message "tweedie: there is no command 'qqqqqqqq' (tweedie --help lists them)"
expect_exit 64 "$TWEEDIE" version --jsno
expect_message "tweedie: there is no option --jsno (did you mean --json?)"
expect_exit 64 "$TWEEDIE" version --json=yes
expect_message "tweedie: --json is a flag and takes no value"
expect_exit 64 "$TWEEDIE" version -j
expect_message "tweedie: '-j': options are long and begin with two dashes"
expect_exit 64 "$TWEEDIE" version extra
expect_message "tweedie: unexpected argument 'extra'; usage: tweedie version"

# every command explains itself, whatever stands beside --help
"$TWEEDIE" --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' >commands
[ -s commands ] || fail "no commands"
while read -r command; do
    expect_exit 0 "$TWEEDIE" "$command" --help
    expect_output "usage: tweedie $command"
    expect_output "  --help "
    expect_quiet
    grep -q "^Runs on all ranks" "$OUT" && echo "$command" >>parallel
    expect_exit 64 "$TWEEDIE" "$command" --no-such-option
    expect_message "tweedie: there is no option --no-such-option"
done <commands

# ranks that fail together end together, and one of them speaks
if [ -s parallel ]; then
    expect_exit 64 ranks 2 "$TWEEDIE" "$(head -n 1 parallel)" --no-such-option
    expect_equal "lines of message" "$(grep -c 'there is no option' "$ERR")" 1
fi

# an answer that cannot be written is a failure
if [ -w /dev/full ]; then
    full() { "$TWEEDIE" version >/dev/full; }
    expect_exit 74 full
    expect_message "tweedie: standard output"
fi

# a closed standard stream is no number for the next file: what is said would be written into it
mkdir -p pictures/a
cp "$SOURCE/jobs/quickstart.png" pictures/a/picture.png
echo "left out, which is said while the samples are being written" >pictures/a/notes.txt
import() { "$TWEEDIE" import closed.h5 --force --format images pictures; }
expect_exit 0 import
mv closed.h5 open.h5
for streams in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
    closed() { eval "import $streams"; }
    expect_exit 0 closed
    expect_exit 0 cmp closed.h5 open.h5
done
