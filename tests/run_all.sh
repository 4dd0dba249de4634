#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The whole test suite: plain, under MPI on several numbers of ranks, and with NEST's wheel, which has no MPI.
# Runs every pass, also after one that failed, and then fails if one did.
#
#   tests/run_all.sh                   with the .venv of this clone and the wheel in .nest-wheel
#   PYTHON=... NEST_WHEEL=... tests/run_all.sh
set -euo pipefail
shopt -s inherit_errexit

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
chosen=${PYTHON:-$repository/.venv/bin/python}
found=$(command -v "$chosen") || { echo "no Python at $chosen: run make setup" >&2; exit 1; }
python=$(realpath --no-symlinks "$found")
mpiexec=$(dirname "$python")/mpiexec
wheel=$(realpath --canonicalize-missing "${NEST_WHEEL:-$repository/.nest-wheel}")

cd "$repository"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
export PYTEST_DEBUG_TEMPROOT=$scratch
# Where this is set, each of the hundreds of processes that tests start would compile all of cosim again.
unset PYTHONDONTWRITEBYTECODE
options=(--timeout=300 --strict-markers -p no:cacheprovider -ra --durations=5)
# A job that hangs outside of its tests, where no per-test time-out sees it, is ended after this time.
job_limit_s=1200
summary=()
failed=0

pass() {  # name of the pass, then the command and its arguments
    local name=$1 start=$SECONDS status=0
    echo "===== $name ====="
    "${@:2}" </dev/null || status=$?
    summary+=("$(printf '%5d s  %-6s  %s' $((SECONDS - start)) "$(outcome "$status")" "$name")")
    ((status == 0)) || failed=1
}

outcome() { if (($1 == 0)); then echo passed; else echo FAILED; fi; }

plain() {  # which tests, then more options
    "$python" -m pytest "${options[@]}" -m "$1" "${@:2}"
}

under_mpi() {  # number of ranks
    timeout --foreground --kill-after=10 $job_limit_s \
        "$mpiexec" -n "$1" "$python" -m pytest "${options[@]}" --timeout-method=thread --only-mpi -m mpi
}

with_wheel() {  # a pass, in which `import nest` takes the wheel
    local -x PYTHONPATH=$wheel${PYTHONPATH:+:$PYTHONPATH}
    "$python" - <<'CHECK' || return 1
import sys
from cosim.engines.nest.nestlink import find_nest
if find_nest().has_mpi:
    sys.exit(f"{find_nest()}: this pass needs NEST's wheel, which `make wheel` puts beside it")
CHECK
    "$@"
}

pass "without other processes" plain "not mpi and not starts" -n 2
pass "with processes" plain "not mpi and starts"
for ranks in 2 3 5; do
    pass "$ranks ranks" under_mpi $ranks
done
pass "NEST's wheel, plain" with_wheel plain "wheel and not mpi"
pass "NEST's wheel, 2 ranks" with_wheel under_mpi 2

echo "===== summary ====="
printf '%s\n' "${summary[@]}"
exit $failed
