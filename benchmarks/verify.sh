#!/bin/bash
# Time `extract`, then `extract --verify`, of the same ledgers into each kind of sink.
# usage: benchmarks/verify.sh FOLDER [postgres://…]   an empty database, where one is named
set -euo pipefail
folder=$1
tables=contract_data,contract_events,token_transfers,transactions,ledgers
mkdir -p "$folder"
[ -d "$folder/lake" ] || stellarrow synth --ledgers 2000 --size 20KB --contracts 500 --out "$folder/lake"
for place in "parquet:$folder/parquet" "jsonl:$folder/jsonl" "csv:$folder/csv" ${2:+"$2"}; do
  for verify in "" --verify; do
    began=$(date +%s.%N)
    # shellcheck disable=SC2086  no flag, or one
    stellarrow extract "$folder/lake" --tables $tables --to "$place" $verify >/dev/null 2>&1
    echo "${place%%:*} ${verify:-extract}: $(echo "$(date +%s.%N) - $began" | bc) s"
  done
done
