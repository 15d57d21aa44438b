#!/usr/bin/env bash
# run.sh SECONDS [TARGET...]: scripts/fuzz as a test, skipped where clang and its fuzzer are not installed.
set -u
cd "$(dirname "$0")/../.." || exit 1
scripts/fuzz --at-hand || { echo "skipped: clang with its fuzzer and OpenMP is not at hand (scripts/setup --fuzz installs it)"; exit 77; }
exec scripts/fuzz "$@"
