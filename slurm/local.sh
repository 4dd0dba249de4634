#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real Slurm on this one machine, to try jobs and for the tests.
#
#   slurm/local.sh start [NODES] [CPUS]   NODES virtual nodes (2) with CPUS cores each (as many as there are)
#   slurm/local.sh stop                   end its daemons and remove its files
#
# Needs the packages slurm-wlm and munge. All files lie in one folder; a Slurm that this machine may already
# have keeps its configuration, its ports and its munge. Commands find this one by its configuration file:
#
#   export SLURM_CONF=/tmp/cosim-slurm-0/slurm.conf     (`start` prints the path)
set -euo pipefail

folder=/tmp/cosim-slurm-$(id -u)
socket=$folder/munge.socket
# Daemons live in sbin, which is not on every user's PATH.
PATH=$PATH:/usr/sbin

write_configuration() {
    local nodes=$1 cpus=$2 host memory_mb binding=task/affinity
    host=$(hostname -s)
    memory_mb=$(awk '/^MemTotal/ {print int($2 * 0.9 / 1024)}' /proc/meminfo)
    # Binding to cores that do not exist fails; without binding the ranks share those that do.
    if [ "$cpus" -gt "$(nproc)" ]; then binding=task/none; fi
    cat >"$folder/slurm.conf" <<CONF
ClusterName=cosim
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthInfo=socket=$socket
# MPICH finds its ranks through PMI-2; without it every rank is a world of its own.
MpiDefault=pmi2
# No control groups: they need systemd.
ProctrackType=proctrack/linuxproc
TaskPlugin=$binding
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# Believe the number of cores below, even if there are fewer.
SlurmdParameters=config_overrides
ReturnToService=2
MailProg=/bin/true
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
NodeName=n[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[17001-$((17000 + nodes))] \
CPUs=$cpus CoresPerSocket=$cpus RealMemory=$memory_mb State=UNKNOWN
PartitionName=local Nodes=ALL Default=YES MaxTime=1:00:00 State=UP
CONF
}

wait_for_nodes() {
    for _ in $(seq 60); do
        if [ "$(sinfo --noheader --states=idle --format=%D)" = "$1" ]; then return 0; fi
        sleep 0.5
    done
    echo "$1 Slurm nodes were not ready within 30 s; what the daemons say is in $folder/*.log" >&2
    return 1
}

start() {
    local nodes=${1:-2} cpus=${2:-$(nproc)} node program
    for program in munged slurmctld slurmd sinfo; do
        if command -v "$program" >/dev/null; then continue; fi
        echo "$program is not installed: apt-get install --no-install-recommends slurm-wlm munge" >&2
        return 1
    done
    if [ -e "$folder" ]; then
        echo "$folder exists: this Slurm runs already, or did not end well; slurm/local.sh stop clears it" >&2
        return 1
    fi
    install -d -m 755 "$folder" "$folder/state"
    (umask 277 && head -c 128 /dev/urandom >"$folder/munge.key")
    munged --socket="$socket" --key-file="$folder/munge.key" --log-file="$folder/munge.log" \
        --pid-file="$folder/munged.pid" --seed-file="$folder/munge.seed"
    write_configuration "$nodes" "$cpus"
    export SLURM_CONF=$folder/slurm.conf
    slurmctld
    for node in $(seq "$nodes"); do
        install -d "$folder/spool.n$node"
        slurmd -N "n$node"
    done
    wait_for_nodes "$nodes"
    echo "export SLURM_CONF=$SLURM_CONF"
}

# Whether process $1 is a Slurm daemon that has not ended; one that nobody waited for yet (state Z) has ended.
is_daemon() {
    grep -qsE '^Name:\s*(slurmd|slurmctld|munged)' "/proc/$1/status" &&
        ! grep -qsE '^State:\s*Z' "/proc/$1/status"
}

stop() {
    local file pid pids=()
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
