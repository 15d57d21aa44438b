# The job scripts with a stand-in for the program and no Slurm: names and options arrive as they were written, numbers are numbers, and a
# warning that comes before the script is ready is not its end.
. "$(dirname "$0")/lib.sh"
JOBS=$SOURCE/jobs
mkdir bin
cat >bin/tweedie <<'END'
#!/usr/bin/env bash
[ "$1" != inspect ] || { echo "${*: -1}" && exit; }
printf '<%s>' "$@" >>"$CALLS"
echo >>"$CALLS"
END
chmod +x bin/tweedie
export TWEEDIE=$HERE/bin/tweedie CALLS=$HERE/calls SLURM_JOB_ID=7 SLURM_JOB_NAME=x SLURM_CPUS_ON_NODE=2 SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=n1
printf '[train]\nbatch = 4\n' >a.ini
cp a.ini odd.b=c.ini

# ---- paths with '=', '%', blanks and a dash in front are paths
expect_exit 0 "$JOBS/submit" odd.b=c.ini "$HERE/x.y=z/run 100%" --dry-run train.steps=3
expect_output "RUN=$HERE/x.y=z/run\\ 100% "
expect_output "--output=$HERE/x.y=z/run\\ 100%%/logs/%x-%j.out "
expect_output " train.steps=3"
mkdir -p -- "-run/weights" "-run/checkpoints"
for k in 1 2 3; do : >"-run/weights/step-00000000$k-ema-0.9.h5"; done
: >-run/checkpoints/step-000000003.h5
expect_exit 0 env RUN=-run KEEP=1 EXPORT='"ema:0.9" raw' bash "$JOBS/checkpoint.sbatch"
grep -qxF "<checkpoint><export><./-run><--weights><ema:0.9>" calls || fail "EXPORT does not arrive as written: $(cat calls)"
grep -qxF "<checkpoint><export><./-run><--weights><raw>" calls || fail "EXPORT does not arrive as written: $(cat calls)"
expect_equal "exports that stay" "$(cd ./-run/weights && echo *)" "step-000000003-ema-0.9.h5"

# ---- options with quotes and blanks
expect_exit 0 "$JOBS/submit" a.ini run --dry-run --all "--account=me --comment='two words'" --train '"--export=ALL,EXPORT=raw ema:0.9"'
expect_output ' --account=me --comment=two\ words '
expect_output ' --export=ALL\,EXPORT=raw\ ema:0.9 '
expect_exit 64 "$JOBS/submit" a.ini run --dry-run --all "--comment='open"
expect_message "a quote is not closed: --comment='open"

# ---- numbers of the environment are checked before anything is computed with them
refused() {
    expect_exit 64 env "$1" RUN=run CONFIG=a.ini WEIGHTS=w bash "$JOBS/$2"
    cat "$OUT" "$ERR" >said
    grep -qF "${1%%=*}='${1#*=}' is not a " said || fail "it does not say so: $(cat said)"
    [ ! -e planted ] || fail "the value was run"
}
mkdir -p run
for name in RANKS_PER_NODE REQUEUE LOCK_WAIT THREADS; do refused "$name=a[\$(touch planted)]" train.sbatch; done
for name in COUNT RANKS_PER_NODE BLOCK; do
    refused "$name=a[\$(touch planted)]" sample.sbatch
    refused "$name=0" sample.sbatch
done
for name in COUNT ROWS RANKS_PER_NODE BLOCK; do refused "$name=a[\$(touch planted)]" restore.sbatch; done
for name in COUNT RANKS_PER_NODE BLOCK; do refused "$name=0" restore.sbatch; done
for name in RANKS_PER_NODE THREADS; do refused "$name=a[\$(touch planted)]" evaluate.sbatch; done
for name in KEEP KEEP_EVERY EVERY; do refused "$name=a[\$(touch planted)]" checkpoint.sbatch; done
refused "MAX_HOURS=soon" train.sbatch
expect_exit 0 env RUN=./-run KEEP=08 bash "$JOBS/checkpoint.sbatch" # ten in no base
expect_exit 64 env THREADS='a[$(touch planted)]' "$JOBS/train-mpirun" 1 a.ini run
expect_message "is not a whole number"
[ ! -e planted ] || fail "the value was run"

# ---- a warning while the profile is still being read: the job does not begin, and asks to start again
mkdir home
echo 'touch "$CALLS.profile"; sleep 1' >home/.bash_profile
for script in train sample; do
    rm -f calls calls.profile
    env --default-signal=USR1 HOME="$HERE/home" PATH="$HERE/bin:$PATH" TWEEDIE="$TWEEDIE" RUN=run CONFIG=a.ini WEIGHTS=w OUT=o.h5 LAUNCH=mpirun \
        bash "$JOBS/$script.sbatch" >"$OUT" 2>"$ERR" &
    pid=$!
    for ((i = 0; i < 200; i++)); do [ ! -e calls.profile ] || break && sleep 0.05; done
    kill -USR1 $pid
    code=0
    LAST="$script.sbatch, warned early"
    wait $pid || code=$?
    [ $code -lt 128 ] || fail "the signal ended it: $code"
    [ $script = sample ] || expect_output "stopped early; requeueing"
done

# ---- what srun is told of MPI: pmix, another, or nothing
cat >bin/srun <<'END'
#!/usr/bin/env bash
printf '<%s>' "$@" >>"$CALLS"
echo >>"$CALLS"
END
chmod +x bin/srun
mkdir home-srun
echo "PATH=$HERE/bin:\$PATH" >home-srun/.bash_profile # behind /etc/profile, which sets it anew
for wanted in pmix pmi2 ""; do
    for script in train sample restore likelihood evaluate; do
        rm -rf calls run/lock o.h5*
        given=(LAUNCH_MPI="$wanted")
        [ "$wanted" != pmix ] || given=()
        env HOME="$HERE/home-srun" PATH="$HERE/bin:$PATH" "${given[@]}" RUN=run CONFIG=a.ini WEIGHTS=w OUT="$HERE/o.h5" SAMPLES=s REFERENCE=r DATA=d TASK=t \
            INPUT=i COUNT=8 ROWS=8 bash "$JOBS/$script.sbatch" >"$OUT" 2>"$ERR"
        LAST="$script.sbatch with LAUNCH_MPI=$wanted"
        grep -q '<--ntasks=' calls || fail "it does not call srun: $(cat calls)"
        case $(grep '<--ntasks=' calls) in
        *"<--mpi=$wanted>"*) ;;
        *"<--mpi="* | *"<>"*) fail "srun hears $(grep '<--ntasks=' calls)" ;;
        *) [ -z "$wanted" ] || fail "srun does not hear --mpi=$wanted" ;;
        esac
    done
done
