# Sourced by dist_train.sh and dist_test.sh: starts NPROC processes with torchrun.
# PYTHON names another interpreter; the checkout's .venv is used when nothing is active.

launch() {
    local nproc=$1 root python
    shift
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    python=${PYTHON:-python}
    if [ -z "${PYTHON:-}${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -x "$root/.venv/bin/python" ]; then
        python=$root/.venv/bin/python
    fi
    PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" \
        "$python" -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$nproc" \
        "$@"
}
