# bench node: real trainings at each ranks x threads of this node, and the job script's lines for the fastest.
. "$(dirname "$0")/train/lib.sh"
make_tiny

expect_exit 0 "$TWEEDIE" bench node tiny.ini --repetitions 1
cores=$(sed -n 's/^\([0-9]*\) cores, 16 samples a step, ranks started by mpirun.*/\1/p' "$OUT")
[ "${cores:-0}" -ge 1 ] || fail "no number of cores"
expect_output "1 x $cores "
[ "$cores" -lt 2 ] || expect_output "2 x $((cores / 2)) "
expect_equal "candidates marked as fastest" "$(grep -c '   fastest$' "$OUT")" 1
best=$(sed -n 's/^ *\([0-9]*\) x \([0-9]*\) .*   fastest$/RANKS_PER_NODE=\1 THREADS=\2/p' "$OUT")
expect_output "$best"
expect_output "#SBATCH --ntasks-per-node=$(sed 's/.*NODE=\([0-9]*\) .*/\1/' <<<"$best")"
expect_output "#SBATCH --cpus-per-task=${best##*=}"
[ -z "$(find . -name 'bench-node*')" ] || fail "something was written"

# a step and an evaluation by themselves, and beside their convolutions
for kind in step sample; do
    expect_exit 0 "$TWEEDIE" bench $kind tiny.ini --alone --repetitions 1 --json
    expect_equal "limit" "$(json_value convolution_limit_ms "$OUT")" null
    expect_equal "ratio" "$(json_value ratio "$OUT")" null
    expect_equal "parameters" "$(json_value parameters "$OUT")" 167345
    peak=$(json_value peak_rss_bytes "$OUT")
    expect_exit 0 "$TWEEDIE" bench $kind tiny.ini --repetitions 1 --json
    [ "$(json_value convolution_limit_ms "$OUT")" != null ] || fail "no limit"
    [ "$(json_value peak_rss_bytes "$OUT")" -lt $((peak + 20000000)) ] || fail "the limit's memory is taken for the step's"
done

# which is the fastest: by a launcher that tells how long a step of so many ranks takes
mkdir -p fake none
cat >fake/launch <<'END'
#!/bin/bash
echo "$*" >>"$LAUNCHED"
while [ $# -gt 0 ]; do
    case $1 in
    -n) ranks=$2 ;;
    --ntasks=*) ranks=${1#*=} ;;
    *train) [ -z "$FAILS" ] || [ "$FAILS" != "$ranks" ] || { echo "tweedie: out of memory"; exit 70; } ;;
    esac
    shift
done
echo "a step takes 0.$((9 - ranks)) s here; the 8 steps that are left"
END
chmod +x fake/launch
ln -s launch fake/mpirun
ln -s launch fake/srun
export LAUNCHED=$HERE/launched FAILS=''
launched() { # COMMAND…: with the fake launchers alone
    rm -f "$LAUNCHED"
    PATH=$HERE/fake:/usr/bin:/bin expect_exit 0 "$@"
}
if [ "$cores" -ge 2 ]; then
    launched "$TWEEDIE" bench node tiny.ini --repetitions 2 --json
    most=2
    while [ $((2 * most)) -le "$cores" ] && [ $most -lt 16 ]; do most=$((2 * most)); done
    [ $most -gt 8 ] || expect_equal "ranks" "$(json_value ranks_per_node "$OUT")" $most
    expect_equal "trainings of one rank" "$(grep -c -- "-n 1 .* --dry-run .*compute.threads=$cores" "$LAUNCHED")" 2
    grep -q -- "ppr:2:node:PE=$((cores / 2)) --bind-to core" "$LAUNCHED" || fail "two ranks are not bound to their cores"
    # one that fails is told and passed over; bound or not
    FAILS=2 launched "$TWEEDIE" bench node tiny.ini --repetitions 1 --json
    expect_message "2 ranks of $((cores / 2)) thread"
    expect_message "no step was measured: out of memory"
    [ "$(json_value ranks_per_node "$OUT")" != 2 ] || fail "what failed was chosen"
    grep -q -- "-n 2 .*--bind-to none" "$LAUNCHED" || fail "not tried without binding"
fi
# a job's ranks are started by srun; the batch is shared by its nodes
export SLURM_JOB_ID=1 SLURMD_NODENAME=here
launched "$TWEEDIE" bench node tiny.ini --repetitions 1 --nodes 4 --json
expect_equal "launcher" "$(json_value launcher "$OUT")" '"srun"'
grep -q -- "--nodelist=here --ntasks=1 --ntasks-per-node=1 --cpus-per-task=$cores .*train.batch=4 " "$LAUNCHED" || fail "not so: $(cat "$LAUNCHED")"
unset SLURM_JOB_ID SLURMD_NODENAME

# without a launcher, on several ranks, without a share of the batch, with a mistake in the configuration
PATH=$HERE/none expect_exit 64 "$TWEEDIE" bench node tiny.ini
expect_message "no launcher is on the PATH (mpirun)"
expect_exit 64 ranks 2 "$TWEEDIE" bench node tiny.ini
expect_message "bench node: starts the ranks itself; it was started on 2"
expect_exit 64 "$TWEEDIE" bench node tiny.ini --nodes 3
expect_message "train.batch = 16 cannot be shared by so many nodes"
expect_exit 78 "$TWEEDIE" bench node tiny.ini network.bose=1
expect_message "network.bose"
expect_exit 64 "$TWEEDIE" bench step tiny.ini --nodes 2
expect_message "--nodes"
