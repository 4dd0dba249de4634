#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real Slurm on this one machine, to try jobs and for the tests.
#
#   slurm/local/cluster.sh start [NODES] [CORES]   NODES virtual nodes (2) with CORES cores each (2)
#   slurm/local/cluster.sh stop                    end its daemons and remove its files
#
# Needs the packages slurm-wlm and munge. All files lie in one folder; a Slurm that this machine may already
# have keeps its configuration, its ports and its munge. Commands find this one by its configuration file:
#
#   export SLURM_CONF=/tmp/cosim-slurm-0/slurm.conf     (`start` prints the path)
#
# While there are cores enough each virtual node has real cores of its own and ranks are bound to them. If
# not, nodes claim cores that do not exist, and all ranks share those that do: good to try scripts, bad to
# time runs. There is no accounting: `sstat` answers while a job runs, `sacct` does not. cosim's summary.json
# has the peak memory of every rank.
set -euo pipefail

folder=/tmp/cosim-slurm-$(id -u)
socket=$folder/munge.socket
# Daemons live in sbin, which is not on every user's PATH.
PATH=$PATH:/usr/sbin

# Numbers of the cores that this process may use, one a line.
usable_cores() {
    local range
    for range in $(awk '/^Cpus_allowed_list/ {gsub(",", " "); $1 = ""; print}' /proc/self/status); do
        seq "${range%-*}" "${range#*-}"
    done
}

# The NodeName lines for $1 nodes of $2 cores. Slurm sees all cores of the machine on each of them, and those
# that are not the node's own as reserved.
describe_nodes() {
    local nodes=$1 cores=$2 memory_mb common node own reserved
    memory_mb=$(awk '/^MemTotal/ {print int($2 * 0.9 / 1024)}' /proc/meminfo)
    common="NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 RealMemory=$memory_mb State=UNKNOWN"
    for node in $(seq "$nodes"); do
        if is_oversubscribed "$nodes" "$cores"; then
            echo "NodeName=n$node Port=$((17000 + node)) CPUs=$cores CoresPerSocket=$cores $common"
            continue
        fi
        own=$(usable_cores | tail -n +$(((node - 1) * cores + 1)) | head -n "$cores")
        reserved=$(seq 0 $(($(nproc --all) - 1)) | grep -vxF "$own" | paste -sd, || true)
        echo "NodeName=n$node Port=$((17000 + node)) CPUs=$(nproc --all) CoresPerSocket=$(nproc --all)" \
            "${reserved:+CpuSpecList=$reserved} $common"
    done
}

is_oversubscribed() { [ $(($1 * $2)) -gt "$(usable_cores | wc -l)" ]; }

write_configuration() {
    local binding=task/affinity
    # Binding to cores that do not exist fails.
    if is_oversubscribed "$@"; then binding=task/none; fi
    cat >"$folder/slurm.conf" <<CONF
ClusterName=cosim
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=16817
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthInfo=socket=$socket
# MPICH finds its ranks through PMI-2; without it every rank is a world of its own.
MpiDefault=pmi2
# No control groups: they need systemd.
ProctrackType=proctrack/linuxproc
TaskPlugin=$binding
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
# A number of its own for every job: MPICH names shared memory after it, and a killed job leaves that behind.
FirstJobId=$(($(date +%s) % 60000000))
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# Heterogeneous jobs are started by the backfill scheduler, by default every 30 s.
SchedulerParameters=bf_interval=1
# Believe the number of cores below, even if there are fewer.
SlurmdParameters=config_overrides
# Refuse what cannot run instead of letting it wait for ever.
EnforcePartLimits=ALL
ReturnToService=2
MailProg=/bin/true
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
$(describe_nodes "$@")
PartitionName=local Nodes=ALL Default=YES MaxTime=24:00:00 State=UP
CONF
}

wait_for_nodes() {
    for _ in $(seq 60); do
        if [ "$(sinfo --noheader --states=idle --format=%D)" = "$1" ]; then return 0; fi
        sleep 0.5
    done
    echo "$1 Slurm nodes were not ready within 30 s; the last words of the daemons:" >&2
    tail -n 5 "$folder"/*.log >&2
    return 1
}

start() {
    local nodes=${1:-2} cores=${2:-2} node program
    for program in munged slurmctld slurmd sinfo; do
        if command -v "$program" >/dev/null; then continue; fi
        echo "$program is not installed: apt-get install --no-install-recommends slurm-wlm munge" >&2
        return 1
    done
    if [ -e "$folder" ]; then
        echo "$folder exists: this Slurm runs already, or did not end well; slurm/local/cluster.sh stop" \
            "clears it" >&2
        return 1
    fi
    install -d -m 755 "$folder" "$folder/state"
    (umask 277 && head -c 128 /dev/urandom >"$folder/munge.key")
    munged --socket="$socket" --key-file="$folder/munge.key" --log-file="$folder/munge.log" \
        --pid-file="$folder/munged.pid" --seed-file="$folder/munge.seed"
    write_configuration "$nodes" "$cores"
    export SLURM_CONF=$folder/slurm.conf
    slurmctld
    for node in $(seq "$nodes"); do
        install -d "$folder/spool.n$node"
        slurmd -N "n$node"
    done
    if ! wait_for_nodes "$nodes"; then
        stop
        return 1
    fi
    echo "export SLURM_CONF=$SLURM_CONF"
}

# Whether process $1 is a Slurm daemon that has not ended; one that nobody waited for yet (state Z) has ended.
is_daemon() {
    grep -qsE '^Name:\s*(slurmd|slurmctld|munged)' "/proc/$1/status" &&
        ! grep -qsE '^State:\s*Z' "/proc/$1/status"
}

# A job's processes would outlive the daemons.
end_jobs() {
    export SLURM_CONF=$folder/slurm.conf
    scancel --user="$(id -un)"
    for _ in $(seq 100); do
        if [ -z "$(squeue --noheader)" ]; then return; fi
        sleep 0.1
    done
    echo "some jobs did not end within 10 s" >&2
}

stop() {
    local file pid pids=()
    if [ -s "$folder/slurmctld.pid" ] && is_daemon "$(cat "$folder/slurmctld.pid")"; then end_jobs; fi
    for file in "$folder"/slurmd.*.pid "$folder/slurmctld.pid" "$folder/munged.pid"; do
        if ! [ -s "$file" ]; then continue; fi
        pid=$(cat "$file")
        # A daemon that died left its file; its number may be another process's now.
        if is_daemon "$pid"; then kill "$pid" && pids+=("$pid"); fi
    done
    for pid in "${pids[@]}"; do
        # They are no children of this shell, so `wait` does not know them.
        for _ in $(seq 100); do
            if ! is_daemon "$pid"; then continue 2; fi
            sleep 0.1
        done
        kill -KILL "$pid"
    done
    rm -rf "$folder"
}

case ${1:-} in
    start) start "${@:2}" ;;
    stop) stop ;;
    *) sed -n '3,/^set/{/^set/d; s/^# \{0,1\}//; p}' "$0"; exit 2 ;;
esac
