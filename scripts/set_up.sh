# Sets up .venv from requirements.lock: once, and again when the lock has changed. Run by make, with the variables
#   PYTHON  the interpreter that .venv is made with
#   CUDA    0 leaves out what of CUDA torch can be imported without; by default what .venv has, else 1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$(pwd -P)
without_cuda='^(cuda-bindings|cuda-pathfinder|cuda-toolkit|nvidia-cuda-cupti|nvidia-cuda-nvrtc|nvidia-cusolver|nvidia-nvtx|triton)=='

say() { echo "tenfold: $1" >&2; }

ready=$(cat .venv/.ready 2>/dev/null || true)
kept=${ready##*CUDA=}
cuda=${CUDA:-${kept:-1}}
wanted="$(cksum <requirements.lock) CUDA=$cuda"

if [ -L .venv ]; then
    owner=$(dirname "$(readlink -f .venv)")
    [ -x .venv/bin/python ] || { say ".venv is a link to $owner/.venv, which is no environment: rm .venv, then make"; exit 2; }
    [ -z "$ready" ] || [ "${ready% CUDA=*}" = "${wanted% CUDA=*}" ] || other=", which is not of this requirements.lock"
    say ".venv is that of $owner${other:-}; it is left as it is"
    exit
fi

made=$(sed -n 's/^command = .* -m venv //p' .venv/pyvenv.cfg 2>/dev/null || true)
if [ -n "$made" ] && ! [ "$made" -ef .venv ]; then
    say ".venv was made as $made and does not work in $here: rm -rf .venv, then make sets it up here"
    exit 2
fi
[ "$ready" != "$wanted" ] || exit 0

if [ -x .venv/bin/python ]; then
    say "bringing .venv up to requirements.lock ..."
else
    "$PYTHON" scripts/check_python.py
    say "setting up .venv from requirements.lock: a download of about 3 GB$([ "$cuda" != 0 ] || echo ", or somewhat less"), a few minutes ..."
    "$PYTHON" -m venv "$here/.venv"
    echo "CUDA=$cuda" >.venv/.ready # so that an interrupted download goes on with the same packages
fi
left_out='^$'
[ "$cuda" != 0 ] || left_out=$without_cuda
pip() { .venv/bin/python -m pip "$1" --quiet --disable-pip-version-check --no-deps "${@:2}"; }
pip install --require-hashes -r <(awk -v left_out="$left_out" '/^[^ #]/ { skip = $0 ~ left_out } !skip' requirements.lock)
pip install --no-build-isolation -e .
echo "$wanted" >.venv/.ready
