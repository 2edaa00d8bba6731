#!/bin/sh
# Runs what is in this bundle. It needs an NVIDIA driver for the GPU engines, and
# nothing else.
set -u
here=$(cd "$(dirname "$0")" && pwd)

usage() {
    cat <<END
usage: run.sh test [ARGUMENT..]      run every test; arguments go to each
       run.sh bench [ARGUMENT..]     run every benchmark; arguments are Criterion's
       run.sh COMMAND [ARGUMENT..]   run cudamark, such as: run.sh classic --help

Criterion writes its report to target/criterion/report/index.html, below the
current folder or CARGO_TARGET_DIR.
END
}

# Runs every file in a folder. Fails when one of them does, after the last.
run_all() {
    folder=$1
    shift
    failed=
    for program in "$here/$folder"/*; do
        echo "running $folder/$(basename "$program")" >&2
        "$program" "$@" || failed="$failed $(basename "$program")"
    done
    if [ -n "$failed" ]; then
        echo "failed:$failed" >&2
        return 1
    fi
}

# Without cargo to ask, Criterion takes this.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR

# Where tests that start the command find it.
CARGO_BIN_EXE_cudamark=$here/bin/cudamark
export CARGO_BIN_EXE_cudamark

case ${1:-} in
    test)
        shift
        run_all tests "$@"
        ;;
    bench)
        shift
        run_all benches --bench "$@"
        ;;
    '' | -h | --help)
        usage
        ;;
    *)
        exec "$here/bin/cudamark" "$@"
        ;;
esac
