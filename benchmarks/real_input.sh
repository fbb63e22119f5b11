#!/usr/bin/env bash
# Real input, end to end: real facts (BEAR-big) into the lab model, and a checkpoint that no one here trained.
#
#     benchmarks/real_input.sh DATA MODELS OUT      (DATA/bear, DATA/triviaqa; MODELS/stories260K)
#
# Prints every command and what it printed; docs/real_data.md has the figures.
set -euo pipefail
data=$1 models=$2 out=$3
mkdir -p "$out"
export COLUMNS=100
places="s#$data#DATA#g; s#$models#MODELS#g; s#$out#OUT#g"
say() { printf '\n$ %s\n' "$*" | sed -E "$places; s#(DATA/bear/BEAR-big/)P101.jsonl.*P98.jsonl#\1*.jsonl#"; "$@" 2>&1 | sed "$places" || true; }

echo '## The demo, on the lab'
say knowpack study examples/demo.yaml base.work="$out/demo" --quiet
say knowpack show "$out/demo/studies/demo"

echo
echo '## 40,916 real facts: import, lint, probe, pack 50, diff, report'
say knowpack facts import "$data"/bear/BEAR-big/*.jsonl --wordings bear --relation-from-file --subject sub_label --object obj_label --source bear --drop-bad --out "$out/bear.parquet"
say knowpack facts lint "$out/bear.parquet" --show 2
say knowpack probe --model lab --facts "$out/bear.parquet" --sample 2000 --out "$out/probe" --quiet
say knowpack mix --facts "$out/bear.parquet" --knowledge "$out/probe" --unknown 50 --out "$out/examples.parquet"
say knowpack train --model lab --examples "$out/examples.parquet" --out "$out/adapter" --set train.lr=1e-2 --set train.epochs=30 --set train.loss=all --quiet
say knowpack diff --model lab --adapter "$out/adapter" --facts "$out/bear.parquet" --sample 2000 --trained "$out/examples.parquet" --work "$out/work" --out "$out/diff" --quiet

echo; echo '## A checkpoint that no one here trained: stories260K'
say knowpack probe --model "$models/stories260K" --facts lab --sample 300 --shots lab --out "$out/stories-probe" --quiet
say knowpack mix --facts lab --knowledge "$out/stories-probe" --unknown 20 --out "$out/stories.parquet"
say knowpack train --model "$models/stories260K" --examples "$out/stories.parquet" --out "$out/stories-adapter" --set train.lr=2e-2 --set train.epochs=40 --quiet
say knowpack diff --model "$models/stories260K" --adapter "$out/stories-adapter" --facts lab --sample 300 --shots lab --trained "$out/stories.parquet" --work "$out/work" --out "$out/stories-diff" --quiet
say python -c "
import torch, transformers, peft
base = transformers.AutoModelForCausalLM.from_pretrained('$models/stories260K')
ids = torch.tensor([[1, 306, 319, 270, 261]])
with torch.no_grad():
    before = base(ids).logits
    tuned = peft.PeftModel.from_pretrained(base, '$out/stories-adapter')
    print('plain peft loads it; largest change of a logit:', (tuned(ids).logits - before).abs().max().item())
"
