# Precision is decided once and kept: auto is frozen as its answer, bf16 runs on any processor, ranks of different ones agree.
. "$(dirname "$0")/train/lib.sh"
make_points

AVX2="env TWEEDIE_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2"
BASELINE="env TWEEDIE_ISA=baseline ONEDNN_MAX_CPU_ISA=SSE41"
unset TWEEDIE_ISA ONEDNN_MAX_CPU_ISA

frozen() { sed -n 's/^precision *= *//p' "$1/config.ini"; }
steps() { # WANTED PREFIX RUN ARG…: one rank behind PREFIX
    local wanted=$1 prefix=$2 run=$3
    shift 3
    # shellcheck disable=SC2086
    expect_exit "$wanted" $prefix "$TWEEDIE" train points.ini --run "$run" "$@"
}
mixed() { # two ranks, the second of them on a lesser processor
    # shellcheck disable=SC2086
    mpirun -n 1 "$TWEEDIE" "$@" : -n 1 $AVX2 "$TWEEDIE" "$@"
}
slow="compute in f32 and round to bf16, slower than in f32"

# what auto is here
expect_exit 0 "$TWEEDIE" version --json
here=$(json_value precision_auto "$OUT" | tr -d '"')
steps 0 "" here
expect_equal "frozen" "$(frozen here)" "$here"
grep -q "$slow" "$ERR" && fail "auto chose a bf16 that is slower"

# a lesser processor takes f32, and the run keeps it elsewhere
steps 75 "$AVX2" lesser --stop-at-step 3
expect_equal "frozen" "$(frozen lesser)" f32
steps 0 "" lesser
expect_equal "frozen" "$(frozen lesser)" f32
expect_exit 0 "$TWEEDIE" checkpoint show lesser
expect_output "f32"

# TWEEDIE_ISA alone leaves oneDNN what the processor has: auto goes by the kernels, and nothing that it chose is refused
for isa in avx2 baseline; do
    rm -rf isa
    steps 0 "env TWEEDIE_ISA=$isa" isa
    expect_equal "frozen" "$(frozen isa)" f32
    TWEEDIE_ISA=$isa expect_exit 0 "$TWEEDIE" sample isa --count 20 --out isa.h5 --force sample.steps=5 sample.kind=ddim
    TWEEDIE_ISA=$isa expect_exit 0 "$TWEEDIE" version --json
    expect_output '"precision_auto": "f32"'
done

# where ranks differ, auto is what all take, said once; bf16 that was asked for is bf16 on all, with one warning
chosen="compute.precision: auto is f32 on all ranks, since 1 of 2 are on processors where bf16 is not faster"
for AVX2 in "$AVX2" "env TWEEDIE_ISA=avx2"; do
    rm -rf two
    expect_exit 0 mixed train points.ini --run two
    expect_equal "frozen" "$(frozen two)" f32
    expect_equal "how often it was said" "$(grep -cF "$chosen" "$ERR")" "$([ "$here" = bf16 ] && echo 1 || echo 0)"
    expect_equal "ranks in f32" "$(grep -c '^rank [01] of 2: .*, f32$' "$ERR")" 2
done
AVX2="env TWEEDIE_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2"
expect_exit 0 mixed train points.ini --run two16 compute.precision=bf16
expect_message "$slow"
expect_equal "warnings" "$(grep -c "$slow" "$ERR")" 1

# a run in bf16 goes on on any processor, and says once that it is slower
for prefix in "$AVX2" "$BASELINE"; do
    rm -rf half
    steps 75 "" half compute.precision=bf16 --stop-at-step 3
    steps 0 "$prefix" half
    expect_message "$slow"
    expect_equal "warnings" "$(grep -c "$slow" "$ERR")" 1
    expect_equal "frozen" "$(frozen half)" bf16
    # shellcheck disable=SC2086
    expect_exit 0 $prefix "$TWEEDIE" sample half --count 20 --out half.h5 --force sample.steps=5 sample.kind=ddim
    # shellcheck disable=SC2086
    expect_exit 0 $prefix "$TWEEDIE" inspect --plan points.ini data.shape=2 compute.precision=bf16
    expect_output "bf16-as-f32:"
done

# a run that an earlier version froze as auto goes on in what its checkpoints were computed in, and no other
for precision in f32 bf16; do
    steps 75 "" old$precision compute.precision=$precision --stop-at-step 3
    sed -i 's/^precision *=.*/precision = auto/' old$precision/config.ini
    steps 0 "" old$precision
    expect_message "compute.precision: old$precision/config.ini says auto, as earlier versions wrote it; the run goes on in $precision"
    expect_equal "frozen" "$(frozen old$precision)" $precision
done
steps 75 "" other compute.precision=bf16 --stop-at-step 3
sed -i 's/^precision *=.*/precision = auto/' other/config.ini
steps 78 "" other compute.precision=f32
expect_message "compute.precision"

# samples have the same bits at any number of threads, on each processor
expect_exit 0 "$TWEEDIE" train points.ini --run wide network.width=64 network.depth=2 objective.timesteps=50 compute.precision=f32
for prefix in "" "$AVX2" "$BASELINE"; do
    for threads in 1 2 3 4; do
        # shellcheck disable=SC2086
        OMP_NUM_THREADS=$threads expect_exit 0 $prefix "$TWEEDIE" sample wide --count 1000 --out threads$threads.h5 --force
        LAST="cmp threads1.h5 threads$threads.h5 ($prefix)"
        cmp threads1.h5 threads$threads.h5 || fail "$threads threads give other samples than one"
    done
done

# convolutions: auto is as the run began, which a run of a version without the key did by definition; another one is refused
convolution() { sed -n 's/^convolution *= *//p' "$1/config.ini"; }
steps 75 "" began --stop-at-step 3
expect_equal "frozen" "$(convolution began)" auto
sed -i '/^convolution *=/d' began/config.ini
steps 75 "" began --stop-at-step 4
expect_equal "frozen" "$(convolution began)" direct
steps 78 "" began compute.convolution=winograd
expect_message "compute.convolution"
steps 0 "" began compute.convolution=direct
