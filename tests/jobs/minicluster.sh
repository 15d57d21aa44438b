# slow
# scripts/minicluster itself: nodes that are machines to Slurm and MPI, that fail like machines, and of which nothing is left afterwards.
. "$(dirname "$0")/lib.sh"
links() { ip -brief link show | awk '{ print $1 }' | sort; }
before=$(links)
cluster 3

expect_equal "hosts" "$(on_cluster srun --nodes=3 --ntasks-per-node=1 hostname | sort | xargs)" "n1 n2 n3"
expect_equal "addresses" "$(on_cluster srun --nodes=3 sh -c 'ip -brief -4 address show eth0 | wc -l' | xargs)" "1 1 1"
expect_exit 0 on_cluster srun --mpi=pmix --nodes=3 "$TWEEDIE" --version
on_cluster srun --nodes=3 sh -c 'touch /tmp/mine'
[ ! -e /tmp/mine ] || fail "a node writes to the machine's /tmp"
expect_equal "links on the machine" "$(links)" "$before"

# the folder, the environment and the exit code of a command are the caller's
mkdir "with blanks"
cd "with blanks" || exit
expect_equal "folder" "$(on_cluster pwd)" "$PWD"
expect_equal "folder on a node" "$(mini on 2 pwd)" "$PWD"
cd ..
expect_equal "environment" "$(COLOUR='dark blue' on_cluster sh -c 'echo $COLOUR')" "dark blue"
expect_exit 7 on_cluster sh -c 'exit 7'
expect_equal "input" "$(echo words | on_cluster cat)" words

# what is refused
expect_exit 64 mini
expect_exit 0 mini --help
expect_output "cut-link N"
expect_exit 64 mini up --nodes none
expect_exit 64 mini up --nods 3
expect_exit 73 mini up --nodes 2
expect_message "is up with 3 nodes"
expect_exit 64 mini kill-node 4
expect_message "there is no node 4 (1 to 3)"
expect_exit 64 mini kill-node 1 2
expect_message "unexpected argument '2'"
expect_exit 64 mini down now
expect_exit 0 mini down --help
expect_exit 64 mini jump
expect_exit 73 env TWEEDIE_MINICLUSTER_DIR="$HERE" "$SOURCE/scripts/minicluster" down
expect_message "not touched"
[ ! -e "$HERE.lock" ] || fail "a lock beside the folder"
expect_exit 78 env TWEEDIE_MINICLUSTER_DIR=/tmp/minicluster "$SOURCE/scripts/minicluster" up
expect_exit 78 env TWEEDIE_MINICLUSTER_DIR="$HERE/with blanks" "$SOURCE/scripts/minicluster" up
expect_exit 74 env TWEEDIE_MINICLUSTER_DIR=/proc/minicluster "$SOURCE/scripts/minicluster" up
expect_exit 3 env TWEEDIE_MINICLUSTER_DIR=/var/lib/none "$SOURCE/scripts/minicluster" status

# a node whose power fails, or whose cable is cut, is lost to Slurm, and comes back
down_nodes() { [ "$(on_cluster sinfo --noheader --Node --states=down --format=%N | xargs)" = "$1" ]; }
on_cluster srun --nodelist=n2 sleep 600 2>/dev/null &
running() { mini on 2 pgrep -x sleep; }
wait_until 20 running
expect_exit 0 mini kill-node 2
expect_exit 69 mini on 2 true
expect_message "node 2 is off"
expect_exit 0 mini cut-link 3
wait_until 90 down_nodes "n2 n3"
expect_exit 0 mini status
expect_output "cable of n3: DOWN"
expect_output "n2    power off"
expect_output "n1    power on   cable of n1: UP"
expect_exit 0 mini heal 2
expect_exit 0 mini heal 3
wait_until 60 all_idle 3
! running >/dev/null || fail "a process has outlived its node's power failure"
expect_exit 0 on_cluster srun --nodes=3 true

# as another user
if id games >/dev/null 2>&1; then
    expect_equal "user" "$(SUDO_UID=$(id -u games) SUDO_GID=$(id -g games) SUDO_USER=games on_cluster srun id -un)" games
fi

# however an up is interrupted, the next one works and nothing is left
processes() { pgrep -f "$TWEEDIE_MINICLUSTER_DIR"; }
left() {
    processes >/dev/null || ls -d "$TWEEDIE_MINICLUSTER_DIR"* 2>/dev/null
}
for moment in 0.1 0.3 0.6 1.0; do
    mini down >/dev/null
    "$SOURCE/scripts/minicluster" up --nodes 3 >/dev/null 2>&1 &
    victim=$!
    sleep "$moment"
    kill -KILL "$victim"
    wait "$victim" 2>/dev/null
    [ -e "$TWEEDIE_MINICLUSTER_DIR/complete" ] || {
        expect_exit 3 mini status
        expect_exit 69 on_cluster true
    }
    expect_exit 0 mini up --nodes 3
    expect_exit 0 on_cluster srun --nodes=3 true
done
# where it can it clears up itself: asked to end, told something impossible, or with a daemon that does not start
for moment in 0.3 0.6; do
    for signal in TERM HUP; do
        mini down >/dev/null
        "$SOURCE/scripts/minicluster" up --nodes 3 >/dev/null 2>&1 &
        victim=$!
        sleep "$moment"
        kill "-$signal" "$victim"
        wait "$victim" 2>/dev/null
        ! left || fail "something is left of an up that got SIG$signal after $moment s"
    done
done
expect_exit 66 mini up --share "$HERE/none"
expect_message "--share $HERE/none: there is no such folder"
expect_exit 64 mini up --share /tmp
mkdir bin
printf '#!/bin/sh\nexit 1\n' >bin/mungekey
chmod +x bin/mungekey
expect_exit 70 env PATH="$HERE/bin:$PATH" "$SOURCE/scripts/minicluster" up
! left || fail "something is left of an up that failed"
! processes || fail "processes are left"
! ls -d "$TWEEDIE_MINICLUSTER_DIR"* 2>/dev/null || fail "files are left"
expect_equal "links on the machine" "$(links)" "$before"
