# The number of ranks, threads and microbatches is no part of the result: losses, validation losses and pictures are those of one rank.
#
# In f32 (the steps of bf16 differ more). Losses and norms are held against each other to 2e-6 relative. They are sums of float32 terms, 6e-8 each, whose order depends on the ranks,
# and what differs in a gradient differs in the next parameters: 5e-8 of a loss and 2e-7 of a norm were met over 8 steps. Another seed
# differs by 8e-2.
. "$(dirname "$0")/train/lib.sh"
make_tiny
set -- tiny.ini data.flip=yes ema.rates=0.5 log.validate_every=4 compute.precision=f32

values() { # KEY RUN: one value a line
    sed -n "s/.*\"$1\": \([^,}]*\).*/\1/p" "$2/metrics.jsonl"
}

agree() { # RUN_A RUN_B: whether losses, validation losses and norms agree
    local key
    for key in loss validation_loss gradient_norm; do
        paste <(values $key "$1") <(values $key "$2") |
            awk -v key=$key '{ d = $1 > $2 ? $1 - $2 : $2 - $1; if (!($1 > 0) || !($2 > 0) || d > 2e-6 * $1) { print key, NR ":", $1, $2; bad = 1 } }
                 END { if (NR == 0) { print key ": none"; bad = 1 } exit bad }' || return 1
    done
}

expect_exit 0 train 1 one "$@"
expect_equal "losses" "$(values loss one | wc -l)" 8
expect_equal "validation losses" "$(values validation_loss one | wc -l)" 2
for n in 2 4 8; do
    expect_exit 0 train $n ranks$n "$@"
    agree one ranks$n || fail "$n ranks differ from one"
done
expect_exit 0 train 1 threads "$@" compute.threads=2
agree one threads || fail "two threads differ from one"
for micro in 1 2 5; do
    expect_exit 0 train 2 micro$micro "$@" train.microbatch=$micro
    agree one micro$micro || fail "microbatches of $micro differ from the whole"
done
expect_exit 0 train 2 seed "$@" run.seed=1
agree one seed >/dev/null && fail "another seed is told to agree"

# a run goes on with other ranks, threads and microbatches
expect_exit 75 train 4 moving "$@" --stop-at-step 3
expect_exit 75 train 1 moving "$@" --stop-at-step 5 compute.threads=2
expect_exit 0 train 2 moving "$@" train.microbatch=3
agree one moving || fail "a run that moved differs"
expect_equal "restarts" "$(json_value restart moving/metrics.jsonl)" 2

# the picture of given weights, byte for byte: the learning rate of the first step of a warm-up is zero, so the weights are those of --init
for n in 1 2 4; do
    expect_exit 0 train $n grid$n tiny.ini --init one --init-weights raw train.steps=1 optimizer.warmup=10 log.grid_every=1 \
        log.grid_count=10 log.grid_steps=5 sample.batch=4 log.validate_every=1
    expect_message "samples in grid$n/samples/step-000000001.png"
    agree grid1 grid$n || fail "the losses of given weights differ on $n ranks"
    cmp <(pixels grid1/samples/step-000000001.png) <(pixels grid$n/samples/step-000000001.png) || fail "the picture of $n ranks differs from that of one"
done
[ "$(wc -c <grid1/samples/step-000000001.png)" -gt 1000 ] || fail "the picture is too small to be one"
expect_exit 0 train 1 another tiny.ini --init one train.steps=1 optimizer.warmup=10 log.grid_every=1 log.grid_count=10 log.grid_steps=5 \
    sample.batch=4 sample.seed=1
cmp -s <(pixels grid1/samples/step-000000001.png) <(pixels another/samples/step-000000001.png) && fail "another seed gave the same picture"
exit 0
