#!/usr/bin/env bash
# Real facts packed: 100 facts of BEAR-big into the lab model, with budget and report.
#
#     benchmarks/real_pack.sh DATA OUT      (DATA/bear/BEAR-big)
#
# Prints every command and what it printed; docs/real_data.md has the figures.
set -uo pipefail
data=$1 out=$2
mkdir -p "$out"
places="s#$data#DATA#g; s#$out#OUT#g"
say() { printf '\n$ %s\n' "$*" | sed -E "$places; s#(DATA/bear/BEAR-big/)P101.jsonl.*P98.jsonl#\1*.jsonl#"; "$@" 2>&1 | sed "$places" || true; }

say knowpack facts import "$data"/bear/BEAR-big/*.jsonl --wordings bear --relation-from-file --subject sub_label --object obj_label --source bear --drop-bad --out "$out/bear.parquet"
say python -c "
import sys
from knowpack.base import sampled
from knowpack.config import FactsConfig
from knowpack.facts import files
some = sampled(files.load(sys.argv[1]), FactsConfig(sample=100))
some.write_parquet(sys.argv[2])
print(some.height, 'facts of', some['relation'].n_unique(), 'relations')" "$out/bear.parquet" "$out/hundred.parquet"
say knowpack pack "$out/hundred.parquet" --model lab --known lab --task lab_mc --task lab_arc --work "$out/work" --out "$out/pack" --quiet
say knowpack report "$out/pack"
