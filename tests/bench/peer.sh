#!/usr/bin/env bash
# Tweedie beside PyTorch on the same cores: the CIFAR-10 network, a step of training and an evaluation of sampling, in f32 and bf16, each
# against PyTorch's eager mode, torch.compile and, for sampling, diffusers' network compiled; in turn, the fastest of each. Checks that both
# networks have as many parameters, and ends with the table's row for this machine.
#
#   TWEEDIE=PROGRAM tests/bench/peer.sh [--tasks train,sample] [--precisions f32,bf16] [--ways eager,compile,diffusers]
#                                       [--rounds 3] [--steps 2] [--batch 16] [--threads 2] [--verbose]
#
# Makes a virtual environment with PyTorch from PyPI, without its CUDA packages, in $PEER_ENV (~/.cache/tweedie-peer) where there is none.
# torch.compile needs g++. With what was compiled once in the environment, some ten minutes on two cores; twenty without.
set -euo pipefail
: "${TWEEDIE:=tweedie}" "${PEER_ENV:=$HOME/.cache/tweedie-peer}"
root=$(cd "$(dirname "$0")/../.." && pwd)
"$TWEEDIE" --version >/dev/null || { echo "peer: the program ($TWEEDIE) does not run here: set TWEEDIE" >&2 && exit 69; }
# The wheel's libraries name those of CUDA, which a CPU never calls: each that is missing becomes one whose functions all return 999, CUDA's
# "unknown error".
stand_in() {
    local lib names
    lib=$(echo "$PEER_ENV"/lib/python3*/site-packages/torch/lib)
    mkdir -p "$PEER_ENV/stand-in"
    export LD_LIBRARY_PATH=$PEER_ENV/stand-in${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    [ ! -e "$PEER_ENV/complete" ] || return 0
    names=$(for f in "$lib"/libtorch_python.so "$lib"/libtorch_cuda.so; do ldd "$f"; done | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' | sort -u)
    [ -n "$names" ] || return 0
    nm -D --undefined-only "$lib"/*.so | sed -n 's/.* U \(_*\(cu\|nv\|nccl\)[A-Za-z0-9_]*\)\(@.*\)\{0,1\}$/\1/p' | sort -u |
        sed 's/.*/long &(void); long &(void) { return 999; }/' >"$PEER_ENV/stand-in/all.c"
    for name in $names; do gcc -w -fno-builtin -shared -fPIC -o "$PEER_ENV/stand-in/$name" -Wl,-soname,"$name" "$PEER_ENV/stand-in/all.c"; done
}

if [ ! -e "$PEER_ENV/complete" ]; then
    echo "peer: PyTorch is installed in $PEER_ENV" >&2
    python3 -m venv "$PEER_ENV"
    pip=("$PEER_ENV/bin/pip" --quiet --disable-pip-version-check install)
    "${pip[@]}" --no-deps torch
    "${pip[@]}" filelock typing-extensions sympy networkx jinja2 fsspec setuptools numpy
    stand_in
    "$PEER_ENV/bin/python" -W ignore -c 'import torch' || { echo "peer: PyTorch does not load here" >&2 && exit 69; }
    # diffusers is one peer more, not needed
    "${pip[@]}" --no-deps diffusers && "${pip[@]}" huggingface-hub safetensors regex requests pillow importlib-metadata httpx ||
        echo "peer: no diffusers: sampling is compared with our own network in PyTorch alone" >&2
    touch "$PEER_ENV/complete"
fi
stand_in
export TORCHINDUCTOR_CACHE_DIR=$PEER_ENV/compiled OMP_PROC_BIND=false
exec "$PEER_ENV/bin/python" "$root/tests/bench/peer.py" --tweedie "$TWEEDIE" --config "$root/jobs/config/cifar10-ddpm.ini" "$@"
