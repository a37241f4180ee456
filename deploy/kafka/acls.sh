#!/bin/sh
# weir's ACLs on a Kafka whose administrator weir is not: its own user has all of its topics and groups, readers have
# the topics that hold no raw payload. (Where weir's user has the right ALTER on the cluster, `weir topics --create
# --readers …` does the same.) Needs Kafka's own kafka-acls.sh in PATH.
#
#   deploy/kafka/acls.sh BOOTSTRAP ADMIN.properties INSTANCE WEIR_USER [READER…]
#   deploy/kafka/acls.sh kafka:9093 admin.properties weir weir ada bob
set -eu
[ $# -ge 4 ] || { sed -n '2,7s/^# *//p' "$0" >&2; exit 2; }
bootstrap=$1 config=$2 instance=$3 owner=$4
shift 4

allow() { kafka-acls.sh --bootstrap-server "$bootstrap" --command-config "$config" --add "$@"; }

allow --allow-principal "User:$owner" --operation All --resource-pattern-type prefixed --topic "$instance."
allow --allow-principal "User:$owner" --operation All --resource-pattern-type prefixed --group "$instance."
for reader in "$@"; do
    for topic in entries endpoints rules saved health dead; do
        allow --allow-principal "User:$reader" --operation Read --topic "$instance.$topic"
    done
    # Groups of a reader begin with its name, so that it cannot move a mark of weir's.
    allow --allow-principal "User:$reader" --operation Read --resource-pattern-type prefixed --group "$reader"
done
