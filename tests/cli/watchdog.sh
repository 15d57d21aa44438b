# A rank that stops, spins or leaves: the run ends in time with a code that is not 0, and says which rank is missing, and where.
. "$(dirname "$0")/lib.sh"

VICTIM=$(dirname "$TWEEDIE")/tests/test_watchdog
[ -x "$VICTIM" ] || skip "the victim was not built"

expect_exit 0 timeout 40 mpirun -n 1 "$VICTIM" victim stop # rank 1 is not there

SECONDS=0
expect_exit 70 timeout 40 mpirun -n 3 "$VICTIM" victim stop
expect_message "is in 'backward' of step 2, waiting for other ranks, for "
expect_message "(limit 2 s); ending the run"
expect_message "watchdog: missing: rank 1 on "
expect_message "is in 'backward' of step 2 for "
[ "$SECONDS" -le 20 ] || fail "it took $SECONDS s"

expect_exit 70 timeout 40 mpirun -n 2 "$VICTIM" victim spin
expect_message "watchdog: missing: rank 1 on "

expect_exit 70 timeout 40 mpirun -n 2 "$VICTIM" victim exit
expect_message "a rank called exit() before it had left the others"

# the same where every rank is a node of its own, and nobody shares memory: node 0 knows, and speaks before the others do
expect_exit 70 timeout 40 mpirun -n 3 "$VICTIM" victim stop 1
expect_message "watchdog: rank 0 on "
expect_message "watchdog: missing: rank 1 on $(hostname -s), last heard of "
expect_message "s ago in 'backward' of step "
! grep -q "watchdog: rank 2" "$ERR" || fail "node 2 spoke first"
expect_equal "ranks named" "$(grep -c "missing:" "$ERR")" 1

# one that does not hang altogether is known to the second
expect_exit 70 timeout 40 mpirun -n 3 "$VICTIM" victim spin 1
expect_message "watchdog: missing: rank 1 on $(hostname -s) is in 'backward' of step 2 for "

# node 0 itself: the others say so, two seconds later
expect_exit 70 timeout 40 mpirun -n 3 "$VICTIM" victim stop 1 0
expect_message "watchdog: missing: rank 0 on $(hostname -s), last heard of "

# of the two ranks of another node one
expect_exit 70 timeout 40 mpirun -n 4 "$VICTIM" victim spin 2 3
expect_message "watchdog: missing: rank 3 on $(hostname -s) is in 'backward' of step 2 for "
expect_equal "ranks named" "$(grep -c "missing:" "$ERR")" 1

# srun without PMIx: single processes that each believe to be the whole run
expect_exit 78 env SLURM_STEP_NUM_TASKS=8 "$TWEEDIE" train none.ini --run run
expect_message "srun started 8 tasks but MPI sees 1: use srun --mpi=pmix or mpirun"
