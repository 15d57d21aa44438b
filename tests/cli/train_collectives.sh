# Every rank takes part in the same collectives in the same order, whatever a run does and however it ends: counted and compared one by one
# (TWEEDIE_DEBUG_COLLECTIVES=1). And a rank that does leave alone is told, by that comparison and by the watchdog.
. "$(dirname "$0")/train/lib.sh"
make_points
export TWEEDIE_DEBUG_COLLECTIVES=1
SHIM=$(dirname "$TWEEDIE")/tests/libtweedie_fault.so
VICTIM=$(dirname "$TWEEDIE")/tests/test_comm
[ -f "$SHIM" ] && [ -x "$VICTIM" ] || skip "the victims were not built"

# ---- the comparison itself
expect_exit 70 timeout 60 mpirun -n 2 "$VICTIM" victim barrier
expect_message "tweedie: collectives differ: rank 0 is in its number 2, 'agreement' of 0; rank 1 in its number 2, 'barrier' of 0"
expect_exit 70 timeout 60 mpirun -n 2 "$VICTIM" victim size
expect_message "'broadcast' of 8; rank 1 in its number 2, 'broadcast' of 4"
expect_exit 70 timeout 60 mpirun -n 2 "$VICTIM" victim leave
expect_message "'agreement' of 0; rank 1 in its number 2, 'the end' of 0"

# ---- all that a run does
set -- points.ini log.validate_every=4 log.grid_every=4 log.grid_count=4 log.grid_steps=3 sample.batch=4
expect_exit 75 train 2 run "$@" --stop-at-step 6
expect_exit 0 train 2 run "$@"
expect_exit 0 train 2 tree "$@" train.rank_independent=yes train.microbatch=4
expect_exit 0 train 2 begun "$@" --init run
expect_exit 0 ranks 2 "$TWEEDIE" sample run --count 16 --out samples.h5 sample.batch=4
TWEEDIE_DEBUG_COLLECTIVES='' expect_exit 0 train 2 straight "$@"
same run straight

# ---- all ways in which it ends early, on all ranks and on one alone
expect_exit 78 train 2 bad points.ini train.step=3
expect_exit 78 train 2 bad points.ini train.batch=15
expect_exit 78 train 2 run "$@" optimizer.clip=3
expect_exit 74 train 2 points.ini/run points.ini
expect_exit 78 ranks 2 "$TWEEDIE" bench step points.ini train.step=3
stale() { # rank $1 alone works in a folder that is gone: paths have no beginning there
    ranks 2 bash -c 'if [ "$OMPI_COMM_WORLD_RANK" = "$1" ]; then mkdir -p gone && cd gone && rmdir ../gone; fi; exec "${@:2}"' \
        bash "$1" "$TWEEDIE" "${@:2}"
}
expect_exit 74 stale 1 train "$HERE/points.ini" --run "$HERE/stale"
expect_message "rank 1 on $(hostname -s): the current directory cannot be determined"
expect_exit 74 stale 1 bench step "$HERE/points.ini"
expect_equal "checkpoints" "$(find stale -name '*.h5' 2>/dev/null | wc -l)" 0

# ---- the watchdog stands from the first collective to the last: rank zero stops over the configuration, and over giving back the lock
unset TWEEDIE_DEBUG_COLLECTIVES
stopping() { # PATH CALL RUN: rank zero stops in this call of a file whose path ends so
    SHIM=$SHIM timeout 60 mpirun -n 2 bash -c '
        [ "$OMPI_COMM_WORLD_RANK" != 0 ] || export LD_PRELOAD=$SHIM
        exec env FAULT_PATH="$1" FAULT_CALL="$2" FAULT_ACTION=stop ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "${@:3}"' \
        bash "$1" "$2" "$TWEEDIE" train points.ini --run "$3" compute.watchdog=2
}
expect_exit 70 stopping points.ini 1 hung
expect_message "is in 'reading the configuration' of step 0, waiting for other ranks"
expect_message "watchdog: missing: rank 0 on "
FAULT_LOG=$HERE/calls expect_exit 0 stopping /lock 1000000 sound
expect_exit 70 stopping /lock "$(grep -c '^file' calls)" last
expect_message "is in 'ending' of step 8, waiting for other ranks"
expect_message "watchdog: missing: rank 0 on "
expect_equal "newest step" "$(newest last)" 8
