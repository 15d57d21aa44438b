# waits
# A rank that stops, spins or leaves: the run ends in time with a code that is not 0, and says which rank is missing, and where.
. "$(dirname "$0")/lib.sh"

VICTIM=$(dirname "$TWEEDIE")/tests/test_watchdog
[ -x "$VICTIM" ] || skip "the victim was not built"

# begin NAME N ARGUMENTS: N ranks of the victim in the background; they mostly wait
begin() {
    local name=$1 n=$2
    shift 2
    (
        SECONDS=0 code=0
        timeout 40 mpirun -n "$n" "$VICTIM" victim "$@" >"$name.out" 2>"$name.err" || code=$?
        echo "$code $SECONDS" >"$name.end"
    ) &
}

# finish NAME CODE: it has ended with this code, within 20 s
finish() {
    local code seconds
    LAST="victim $1"
    cp "$1.err" "$ERR"
    read -r code seconds <"$1.end"
    [ "$code" -eq "$2" ] || fail "exit code $code, wanted $2"
    [ "$seconds" -le 20 ] || fail "it took $seconds s"
}

# names TEXT: one rank is named, by one speaker or by two, and this is said of it
names() {
    expect_message "watchdog: missing: rank $1"
    expect_equal "ranks named" "$(grep -o "missing: rank [0-9]*" "$ERR" | sort -u | wc -l)" 1
}
HOST=$(hostname -s)

begin nobody 1 stop # rank 1 is not there
begin stop 3 stop
begin spin 2 spin
begin exit 2 exit
wait
finish nobody 0
finish stop 70
expect_message "is in 'backward' of step 2, waiting for other ranks, for "
expect_message "(limit 2 s); ending the run"
names "1 on $HOST is in 'backward' of step 2 for "
finish spin 70
names "1 on $HOST is in 'backward' of step 2 for "
finish exit 70
expect_message "a rank called exit() before it had left the others"

# the same where every rank is a node of its own, and nobody shares memory: node 0 knows, and speaks before the others do
begin silent 3 stop 1
begin busy 3 spin 1
begin zero 3 stop 1 0
wait
finish silent 70
expect_message "watchdog: rank 0 on "
names "1 on $HOST, last heard of "
expect_message "s ago in 'backward' of step "
! grep -q "watchdog: rank 2" "$ERR" || fail "node 2 spoke first"
finish busy 70 # one that does not hang altogether is known to the second
names "1 on $HOST is in 'backward' of step 2 for "
finish zero 70 # node 0 itself: the others say so, two seconds later
expect_message "watchdog: missing: rank 0 on $HOST, last heard of "

# of the two ranks of another node one, which its courier tells; and the courier itself, which the other one does
begin second 4 spin 2 3
begin first 4 stop 2 2
wait
finish second 70
names "3 on $HOST is in 'backward' of step 2 for "
finish first 70
names "2 on $HOST is in 'backward' of step 2 for "
grep -q "missing: .* without a sign of life for [3-9] s$" "$ERR" || fail "it does not say that rank 2 gives no sign of life"

# one that stops while all wait, so that only its silence tells it from the others: on another node, and beside the speaker
begin far 4 wait 2 2
begin near 4 wait 4 3
wait
finish far 70
names "2 on $HOST is in 'backward' of step 2, waiting for other ranks, for "
finish near 70
names "3 on $HOST is in 'backward' of step 2, waiting for other ranks, for "

# one that stops in a section that may take an hour is missed as soon as one in a step: beside the speaker, a node, the first of a node
begin beside 3 long
begin node 3 long 1 2
begin among 4 long 2 2
wait
for name in beside node among; do
    finish $name 70
    expect_message " is in 'validation' of step 2, waiting for other ranks, for "
    expect_message "; others give no sign of life (limit "
done
names "2 on $HOST is in 'validation' of step 2 for "
finish node 70
names "2 on $HOST, last heard of "
finish beside 70
names "1 on $HOST is in 'validation' of step 2 for "

# srun without PMIx: single processes that each believe to be the whole run
expect_exit 78 env SLURM_STEP_NUM_TASKS=8 "$TWEEDIE" train none.ini --run run
expect_message "srun started 8 tasks but MPI sees 1: use srun --mpi=pmix or mpirun"
