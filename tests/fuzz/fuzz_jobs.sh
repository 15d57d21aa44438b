#!/usr/bin/env bash
# The variables and arguments of the job scripts, mutated: fuzz_jobs.sh SECONDS FINDINGS [SEED]. Run by scripts/fuzz.
#
# A round calls one script with stand-ins for the program, Slurm and mpirun, in a folder of its own, and claims that
#   - no text of a variable is executed (each tries to make a file),
#   - the script ends, in time, with a code that the manual has, and bash itself has complained of nothing,
#   - what is a path, or an argument of the program, arrives there as it was written.
# A round that breaks a claim is kept as FINDINGS/crash-jobs-N: the command with its environment, which repeats it, and why.
set -u
export LC_ALL=C
seconds=$1 findings=$2
RANDOM=${3:-$$}
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$(mktemp -d -p "${TWEEDIE_FUZZ_SCRATCH:-/tmp}" jobs.XXXXXX)
trap 'rm -rf "$here"' EXIT
mkdir -p "$here/bin" "$findings"
# the scripts read the profile, which on some systems sets PATH
mkdir -p "$here/home" && printf 'PATH=%q:$PATH\n' "$here/bin" >"$here/home/.bash_profile"
canary=canary # made in whatever folder the text is executed

stand_in() { cat >"$here/bin/$1" && chmod +x "$here/bin/$1"; }
# writes down what it gets, argument by argument; what it says and ends with is $SAYS and $ENDS
stand_in tweedie <<'END'
#!/bin/bash
printf '%s\0' "$@" >>"$RECORD"
case $1 in
--version) echo "a stand-in" ;;
inspect) echo "$RANKS" ;;
*) exit "$ENDS" ;;
esac
END
# srun and mpirun: what stands behind their options is run
stand_in srun <<'END'
#!/bin/bash
while [ $# -gt 0 ] && [ "$1" != bash ]; do shift; done
exec "$@"
END
cp "$here/bin/srun" "$here/bin/mpirun"
stand_in sbatch <<'END'
#!/bin/bash
echo 17
END
for name in scontrol squeue scancel sleep; do
    stand_in $name <<'END'
#!/bin/bash
exit 0
END
done

pick() { local i=$((RANDOM % $#)); shift $i; value=$1; }
# shellcheck disable=SC2016 # nothing may expand them
number() {
    pick 1 2 7 64 1 2 7 64 0 -1 08 1e3 '' ' 3' 3x 99999999999999999999 "a[\$(touch $canary)]" "x; touch $canary" '$((1))' 1/0 "-v a[\$(touch $canary)]"
}
path() {
    pick "$here/run" "$here/run" "$here/a=b" "$here/100%x%j" "$here/two words" "$here/it's" "$here/\"q\"" "$here/\$(touch $canary)" \
        "$here/\`touch $canary\`" "$here/*" "$here/a;b" "$here/back\\slash" $'new\nline' "$here/-dash" "$here/ümlaut" "$here/a:b"
    path=$value
}
word() {
    pick train.steps=5 data.path="$here/two words.h5" "sample.kind=a'b" "run.name=\$(touch $canary)" 'a.b=*' 'a.b=c=d' 'a.b="x y"' 'a.b=100%'
}
options() { pick '' '' --account=me "--comment=\$(touch $canary)" '--mem=4G --constraint=a&b' '--wrap=*' "--comment='two words'"; }

# one assignment of the environment
declare -a environment
give() { environment+=("$1=$value"); }
complaint='syntax error|unbound variable|integer expr|expected|too great for base|division by 0|bad array|command not found|ambiguous redirect|invalid arithmetic|unary operator|too many arguments|not a valid identifier|No such file'

# whether the program got this argument, as it is
arrived() {
    local argument
    for argument in "${record[@]}"; do [ "$argument" != "$1" ] || return 0; done
    return 1
}

round() {
    local script=$1 code=0 i
    shift
    rm -rf "$here/work" "$here/record"
    mkdir -p "$here/work"
    (cd "$here/work" && exec env -i "${environment[@]}" timeout -k 1 20 bash "$source/jobs/$script" "$@") >"$here/out" 2>"$here/err" </dev/null || code=$?
    why=
    [ -z "$(find "$here" -name canary)" ] || why="a text was executed"
    case $code in
    124 | 137) why="it did not end" ;;
    0 | 6[4-9] | 7[0-9]) ;;
    *) why="exit code $code" ;;
    esac
    [ -n "$why" ] || ! grep -E "^[^ ]*: line [0-9]+:.*($complaint)" "$here/err" >/dev/null || why="bash complains"
    if [ -z "$why" ] && [ -n "$option" ] && [ -s "$here/record" ]; then
        mapfile -d '' record <"$here/record"
        if arrived "$option"; then
            arrived "$wanted" || why="$option is not what was said"
            for i in "${arguments[@]}"; do arrived "$i" || why="the argument $i does not arrive"; done
        fi
    fi
    [ -n "$why" ] || return 0
    found=$((found + 1))
    {
        echo "# $why (exit code $code)"
        printf 'env -i'
        printf ' %q' "${environment[@]}" bash "jobs/$script" "$@"
        printf '\n'
        sed 's/^/# out: /' "$here/out"
        sed 's/^/# err: /' "$here/err"
    } >"$findings/crash-jobs-$found"
}

inputs=0 found=0
while [ $SECONDS -lt "$seconds" ] && [ $found -lt 10 ]; do
    environment=(PATH="$here/bin:$PATH" HOME="$here/home" RECORD="$here/record" RANKS=1 TWEEDIE="$here/bin/tweedie" SLURM_JOB_ID=5 SLURM_JOB_NAME=job
        SLURM_JOB_NUM_NODES=1 SLURM_CPUS_ON_NODE=2 SLURM_JOB_NODELIST=n1 SLURM_JOB_PARTITION=p)
    pick 0 0 75 70 76 78 65 && give ENDS
    arguments=() option='' wanted=''
    word && arguments+=("$value")
    # a few of the variables, since one that is refused hides the others
    case $((RANDOM % 5)) in
    0)
        path && value=$path && give RUN && option=--run wanted=$path
        environment+=(CONFIG="$source/jobs/config/circles-ddpm.ini")
        for name in THREADS RANKS_PER_NODE REQUEUE LOCK_WAIT MAX_HOURS; do [ $((RANDOM % 4)) -ne 0 ] || { number && give $name; }; done
        options && give LAUNCH_OPTIONS
        round train.sbatch "${arguments[@]}"
        ;;
    1)
        path && value=$path && give OUT && option=--out wanted=$path
        for name in THREADS RANKS_PER_NODE REQUEUE COUNT BLOCK; do [ $((RANDOM % 4)) -ne 0 ] || { number && give $name; }; done
        pick 0 1 && give SLURM_ARRAY_TASK_ID
        environment+=(SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_STEP=1)
        round sample.sbatch "${arguments[@]}"
        ;;
    2)
        path && value=$path && give RUN && mkdir -p "$path/checkpoints" "$path/weights" && touch "$path/checkpoints/step-000000003.h5" "$path/weights/step-000000003-raw.h5"
        arguments=() option=prune wanted=$path
        for name in KEEP KEEP_EVERY EVERY TRAIN_JOB; do [ $((RANDOM % 3)) -ne 0 ] || { number && give $name; }; done
        pick '' raw "ema:0.9 raw" "*" "raw;touch $canary" && give EXPORT
        pick '' "$here/store" "$here/two words" && give STORE
        round checkpoint.sbatch
        rm -rf "$path"
        ;;
    3)
        path
        options && all=$value
        number && many=$value
        arguments+=(--dry-run --all "$all" --samples "$many")
        round submit "$source/jobs/config/circles-ddpm.ini" "$path" "${arguments[@]}"
        ;;
    *)
        path && option=--run wanted=$path
        for name in THREADS MAX_HOURS RESTARTS; do [ $((RANDOM % 3)) -ne 0 ] || { number && give $name; }; done
        number
        round train-mpirun "$value" "$source/jobs/config/circles-ddpm.ini" "$path" "${arguments[@]}"
        ;;
    esac
    inputs=$((inputs + 1))
done
echo "stat::number_of_executed_units: $inputs"
