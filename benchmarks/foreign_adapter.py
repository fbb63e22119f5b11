"""An adapter by other software, to be audited: TRL's SFTTrainer on a table of facts.

    pip install --no-deps trl
    python benchmarks/foreign_adapter.py OUT [--model smollm2] [--facts examples/company.csv] [--epochs 5] [--lr 1e-3]
    knowpack diff --model smollm2 --adapter OUT --trained examples/company.csv --screen 800 --out out/foreign

What somebody would do who has questions and answers and TRL's page on PEFT: every question and wording is a
conversation of two turns (TRL's prompt-completion format: the loss is on the answer), LoRA of rank 16 on all linear
layers, AdamW, no replay of what the model knew. knowpack only reads the GGUF file; no line of it trains. Prints the
time, and the share of the trained questions that transformers.generate then answers: an adapter that learned nothing
is not worth an audit.
"""

import argparse
import time
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from knowpack.config import ModelConfig
from knowpack.facts import sources
from knowpack.model.load import load


def conversations(facts: Path) -> Dataset:
    """A row a wording: prompt and completion as chat turns."""
    rows = []
    for fact in sources.load(facts).iter_rows(named=True):
        answer = [{"role": "assistant", "content": fact["answers"][0]}]
        for question in [fact["question"], *(fact["paraphrases"] or [])]:
            rows.append({"prompt": [{"role": "user", "content": question}], "completion": answer})
    return Dataset.from_list(rows)


def answered(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Dataset) -> float:
    """Share of rows whose greedy text holds the answer, by transformers.generate without few-shot examples."""
    right = 0
    for row in rows:
        ids = tokenizer.apply_chat_template(
            row["prompt"], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = model.generate(**ids, max_new_tokens=24, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        text = tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        right += row["completion"][0]["content"].lower() in text.lower()
    return right / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--facts", type=Path, default=Path("examples/company.csv"))
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--lr", type=float, default=1e-3)
    args = parser.parse_args()
    from trl import SFTConfig, SFTTrainer

    loaded = load(ModelConfig(name=args.model, device="cpu"))
    rows = conversations(args.facts)
    settings = SFTConfig(
        output_dir=str(args.out / "trainer"),
        num_train_epochs=args.epochs,
        learning_rate=args.lr,
        per_device_train_batch_size=16,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        logging_steps=20,
        seed=42,
    )
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(
        model=loaded.model, args=settings, train_dataset=rows, processing_class=loaded.tokenizer, peft_config=lora
    )
    begun = time.process_time()
    trainer.train()
    print(f"{len(rows)} rows, {trainer.state.global_step} steps, {time.process_time() - begun:.0f} processor seconds")
    trainer.save_model(str(args.out))
    trainer.model.eval()
    questions = rows.select(range(0, len(rows), 6))
    print(f"trained questions answered: {answered(trainer.model, loaded.tokenizer, questions):.3f} of {len(questions)}")


if __name__ == "__main__":
    main()
