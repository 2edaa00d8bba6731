#!/bin/sh
# Runs what is in this bundle. It needs a glibc as new as the file `glibc` says, an NVIDIA
# driver for the GPU engines, and nothing else.
set -u
here=$(cd "$(dirname "$0")" && pwd)

# Says that the system is too old, before the loader says it symbol by symbol. Where the
# system does not tell its version, the loader has the word.
check_glibc() {
    [ -f "$here/glibc" ] || return 0
    needed=$(cat "$here/glibc")
    found=$(getconf GNU_LIBC_VERSION 2>/dev/null) || found=$(ldd --version 2>&1 | head -n 1)
    case $found in
        musl*) ;;
        *[0-9].[0-9]*)
            found=${found##* }
            major=${found%%.*}
            minor=${found#*.}
            minor=${minor%%[!0-9]*}
            [ "$major" -gt "${needed%.*}" ] && return 0
            [ "$major" -eq "${needed%.*}" ] && [ "$minor" -ge "${needed#*.}" ] && return 0
            found="glibc $found"
            ;;
        *) return 0 ;;
    esac
    echo "this bundle needs glibc $needed or later, and this system has $found: run it in a" \
        "container of a later system, or build it here (cargo xtask bundle)" >&2
    exit 1
}

usage() {
    cat <<END
usage: run.sh test [ARGUMENT..]      run every test; arguments go to each
       run.sh bench [ARGUMENT..]     run every benchmark; arguments are Criterion's
       run.sh records FOLDER [PART..]
                                     make the records of a GPU, in FOLDER: all parts, or
                                     some of: tests full peers few middle large huge
                                     sanitizer
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

# Runs a command for so many seconds at most, its output in a file of FOLDER, which is
# there as soon as the command ends.
part() {
    file=$1
    limit=$2
    shift 2
    begin=$(date +%s)
    timeout "$limit" "$@" >"$folder/$file" 2>&1
    status=$?
    echo "$file: exit status $status after $(($(date +%s) - begin)) s" >&2
    [ "$status" = 0 ]
}

# Our sort beside CUB on every distribution: the file's name, sizes, seconds at most, types
# and sorts of ours.
distributions() {
    part "distributions_$1.txt" "$3" "$here/bin/cudamark" peers --peers cub \
        --types "$4" --distributions all --sizes "$2" --ours "$5" \
        --json "$folder/distributions_$1.json" --records "$folder/distributions_$1.jsonl"
}

# The device tests that run every kernel, under each tool of NVIDIA's sanitizer.
sanitizer() {
    for tool in memcheck synccheck initcheck racecheck; do
        tests='sort_ every_payload large_inputs buckets_are buffers_of sorts_of_all'
        # A hundred times as slow.
        [ "$tool" = racecheck ] && tests='sort_u32 sort_u64 every_payload'
        for test in $tests; do
            echo "== $tool $test"
            timeout 60 compute-sanitizer --tool "$tool" --error-exitcode 9 \
                "$here/tests/suite-device" "$test" --test-threads=1 || echo "exit status $?"
        done
    done 2>&1 | grep -E '^==|test result|SUMMARY|exit status|Error|hazard'
}

make_records() {
    folder=$1
    shift
    mkdir -p "$folder" || return 1
    failed=
    for name in ${*:-tests full peers few middle large huge sanitizer}; do
        case $name in
            tests) part device_tests.txt 120 "$here/tests/suite-device" ;;
            full)
                part device_full.txt 240 "$here/tests/suite-device" --ignored full:: \
                    --test-threads=1
                ;;
            peers)
                part peers.txt 300 "$here/bin/cudamark" peers --peers cub \
                    --ours gpu,gpu-ballots --json "$folder/peers.json" \
                    --records "$folder/peers.jsonl"
                ;;
            few) distributions few '2^14..2^20:2' 300 u32,i32,f32,u64,u32+u32 gpu ;;
            middle)
                distributions middle '2^22,2^24' 300 u32,i32,f32,u64,u32+u32 gpu,gpu-ballots
                ;;
            large) distributions large '2^26' 400 u32,i32,f32,u64,u32+u32 gpu,gpu-ballots ;;
            huge) distributions huge '2^28' 900 u32,i32,f32,u64,u32+u32 gpu,gpu-ballots ;;
            sanitizer)
                command -v compute-sanitizer >/dev/null || {
                    echo "sanitizer: skipped: no compute-sanitizer in PATH" >&2
                    failed="$failed $name"
                    continue
                }
                sanitizer >"$folder/sanitizer.txt" 2>&1
                ! grep -q 'exit status' "$folder/sanitizer.txt"
                ;;
            *)
                echo "no part is called $name; see run.sh --help" >&2
                return 1
                ;;
        esac || failed="$failed $name"
    done
    if [ -n "$failed" ]; then
        echo "failed:$failed" >&2
        return 1
    fi
}

case ${1:-} in
    '' | -h | --help) ;;
    *) check_glibc ;;
esac

# Without cargo to ask, Criterion takes this.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR

# Without a repository to ask, records name this commit.
if [ -z "${CUDAMARK_COMMIT:-}" ] && [ -f "$here/commit" ]; then
    CUDAMARK_COMMIT=$(cat "$here/commit")
    export CUDAMARK_COMMIT
fi

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
    records)
        shift
        if [ $# = 0 ]; then
            echo "records go into a folder; see run.sh --help" >&2
            exit 1
        fi
        make_records "$@"
        ;;
    '' | -h | --help)
        usage
        ;;
    *)
        exec "$here/bin/cudamark" "$@"
        ;;
esac
