#!/usr/bin/env bash
# Real benchmarks, end to end: raw files prepared, scored on the lab model before and after packing 50 facts, compared.
#
#     benchmarks/real_bench.sh DATA OUT [MMLU_ITEMS_A_SUBJECT]      (DATA/mmlu, truthfulqa, arc, logiqa)
#
# Prints every command and what it printed, but the lines of MMLU's 57 subjects; docs/real_data.md has the figures.
set -euo pipefail
data=$1 out=$2 items=${3:-}
mkdir -p "$out"
export COLUMNS=100
places="s#$data#DATA#g; s#$out#OUT#g"
parts='/│ mmlu_/{/mmlu_\(humanities\|other\|social_sciences\|stem\) /!d}'
say() { printf '\n$ %s\n' "$*" | sed "$places"; "$@" 2>&1 | sed "$places; $parts"; }

say knowpack bench prepare "$data" --out "$out/data"
say knowpack probe --model lab --facts lab --sample 500 --out "$out/probe" --quiet
say knowpack mix --facts lab --knowledge "$out/probe" --unknown 50 --out "$out/examples.parquet"
say knowpack train --model lab --examples "$out/examples.parquet" --out "$out/adapter" --set train.lr=1e-2 --set train.epochs=30 --set train.loss=all --quiet
tasks=truthfulqa_mc1,truthfulqa_mc2,truthfulqa_gen,arc_easy,arc_challenge,logiqa
for name in base tuned; do
    adapter=(); [ $name = tuned ] && adapter=(--adapter "$out/adapter")
    say knowpack bench --model lab "${adapter[@]}" --out "$out/$name-lab" --quiet
    say knowpack bench --model lab "${adapter[@]}" --tasks $tasks --data "$out/data" --out "$out/$name" --quiet
    say knowpack bench --model lab "${adapter[@]}" --tasks mmlu ${items:+--limit $items} --data "$out/data" --out "$out/$name-mmlu" --quiet
done
for kind in -lab "" -mmlu; do say knowpack bench compare "$out/base$kind" "$out/tuned$kind"; done
