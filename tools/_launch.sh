# Sourced by the launchers of this folder.
# PYTHON names another interpreter; the checkout's .venv is used when nothing is active.

fail() {
    echo "error: $*" >&2
    exit 2
}

# require_count NAME VALUE: VALUE has to be a whole number above 0.
require_count() {
    [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 is '$2', but has to be a whole number above 0."
}

# require_files CONFIG [CHECKPOINT]: told now, not when a job has waited for its turn. A config that is not in the
# present folder may be one of those that lie beside this folder, as for every command.
require_files() {
    local beside
    beside=$(dirname "${BASH_SOURCE[0]}")/../configs/${1#configs/}
    [ -f "$1" ] || [ -f "$beside" ] || fail "config file $1 does not exist: check the path."
    [ $# -lt 2 ] || [ -f "$2" ] || fail "checkpoint $2 does not exist: check the path."
}

# Sets ROOT, PY and PYTHONPATH.
find_python() {
    ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    PY=${PYTHON:-python}
    if [ -z "${PYTHON:-}${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -x "$ROOT/.venv/bin/python" ]; then
        PY=$ROOT/.venv/bin/python
    fi
    export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
}

# launch NPROC SCRIPT ARGUMENTS: NPROC processes on this node, with torchrun. From the environment:
#   NNODES, NODE_RANK, MASTER_ADDR, PORT   several nodes, each of which knows its place
#   NNODES, RDZV_ENDPOINT                  several nodes that meet at HOST:PORT of one of them and find their places;
#                                          also RDZV_ID, RDZV_BACKEND, RDZV_CONF, LOCAL_ADDR (this node's address)
#   MAX_RESTARTS                           how often failed workers are started again; needs a rendezvous, which is at
#                                          MASTER_ADDR:PORT unless RDZV_ENDPOINT says otherwise; on one node, at PORT
#                                          or any free port, and a PORT that is taken ends the job
# Nodes that meet take their places as they come: there a NODE_RANK is not used, and that is told.
launch() {
    local nproc=$1 meet endpoint=${RDZV_ENDPOINT:-} conf=${RDZV_CONF:-} id=${RDZV_ID:-sssd}
    shift
    require_count NPROC "$nproc"
    [[ ${MAX_RESTARTS:-0} =~ ^[0-9]+$ ]] || fail "MAX_RESTARTS is '$MAX_RESTARTS', but has to be a whole number."
    [[ ${NNODES:-1} =~ ^[1-9][0-9]*(:[1-9][0-9]*)?$ ]] ||
        fail "NNODES is '$NNODES', but has to be a whole number above 0, or MIN:MAX with RDZV_ENDPOINT."
    [[ ${PORT:-0} =~ ^[0-9]{1,5}$ ]] && ((10#${PORT:-0} < 65536)) || fail "PORT is '$PORT', but has to be below 65536."
    [[ ${NODE_RANK:-0} =~ ^[0-9]+$ ]] || fail "NODE_RANK is '$NODE_RANK', but has to be a whole number."
    [ -n "$endpoint" ] || [[ ${NNODES:-1} = *:* ]] || ((10#${NODE_RANK:-0} < ${NNODES:-1})) ||
        fail "NODE_RANK is $NODE_RANK, but has to be below NNODES=${NNODES:-1}: ranks begin at 0."
    # Workers that are started again must not find what the ones before them left in the store: fixed places have one
    # store for all, and so has torchrun's rendezvous unless it is told to have a new one each time.
    if [ "${MAX_RESTARTS:-0}" != 0 ] && [ -z "$endpoint" ]; then
        if [ "${NNODES:-1}" = 1 ]; then  # a place of its own: another job's would be joined in silence
            endpoint=localhost:${PORT:-0} conf=${conf:-is_host=1} id=${RDZV_ID:-sssd-$$}
        else
            endpoint=${MASTER_ADDR:-127.0.0.1}:${PORT:-29500}
        fi
    fi
    if [ -n "$endpoint" ]; then
        [ "${NNODES:-1}" = 1 ] || [ -z "${NODE_RANK:-}" ] ||
            echo "note: NODE_RANK=$NODE_RANK is not used: nodes that meet at $endpoint (MAX_RESTARTS or" \
                "RDZV_ENDPOINT is set) take their places as they come." >&2
        export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
        meet=(--rdzv-backend="${RDZV_BACKEND:-c10d}" --rdzv-endpoint="$endpoint" --rdzv-id="$id")
        [ -z "$conf" ] || meet+=(--rdzv-conf="$conf")
        [ -z "${LOCAL_ADDR:-}" ] || meet+=(--local-addr="$LOCAL_ADDR")
    else
        [[ ${NNODES:-1} != *:* ]] || fail "NNODES=$NNODES needs RDZV_ENDPOINT=HOST:PORT, where the nodes meet."
        meet=(--node-rank="${NODE_RANK:-0}" --master-addr="${MASTER_ADDR:-127.0.0.1}" --master-port="${PORT:-29500}")
    fi
    find_python
    exec "$PY" -m torch.distributed.run --nnodes="${NNODES:-1}" --nproc-per-node="$nproc" \
        --max-restarts="${MAX_RESTARTS:-0}" "${meet[@]}" "$@"
}

# queue SCRIPT ARGUMENTS: GPUS processes under Slurm, PARTITION and JOB_NAME having been set. From the environment:
#   GPUS (8), GPUS_PER_NODE (8, or GPUS if that is less), CPUS_PER_TASK (5), SRUN_ARGS, PORT
#   GRES (gpu:GPUS_PER_NODE)               what each node has to have; empty asks for no GPU
queue() {
    local gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-} cpus=${CPUS_PER_TASK:-5} gres extra
    require_count GPUS "$gpus"
    [ -n "$per_node" ] || per_node=$((gpus < 8 ? gpus : 8))
    require_count GPUS_PER_NODE "$per_node"
    require_count CPUS_PER_TASK "$cpus"
    ((gpus % per_node == 0)) || fail "GPUS=$gpus is no multiple of GPUS_PER_NODE=$per_node: no even share of nodes."
    command -v srun >/dev/null || fail "srun was not found: run this where Slurm is, or use tools/dist_*.sh."
    gres=${GRES-gpu:$per_node}
    read -ra extra <<<"${SRUN_ARGS:-}"
    find_python
    [ -z "${PORT:-}" ] || export MASTER_PORT=$PORT
    exec srun --partition="$PARTITION" --job-name="$JOB_NAME" ${gres:+--gres="$gres"} --ntasks="$gpus" \
        --ntasks-per-node="$per_node" --cpus-per-task="$cpus" --kill-on-bad-exit=1 \
        ${extra[@]+"${extra[@]}"} "$PY" -u "$@" --launcher slurm
}
