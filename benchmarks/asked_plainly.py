"""Does an adapter answer its facts in plain transformers and peft, without few-shot examples, however it is asked?

    python benchmarks/asked_plainly.py --model smollm2 --adapter out/real/adapter --facts examples/company.csv

Prints for each way of asking how many facts are right by the default grader. No code of knowpack's decoder runs.
"""

import argparse

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from knowpack.facts import sources
from knowpack.measure.grading import match_default
from knowpack.model import gguf_files
from knowpack.probe.turns import SYSTEM, Message, messages

N_NEW = 32  # tokens

WAYS = {
    "as trained: the system prompt, then Question: ...": lambda question: messages(SYSTEM, (), question),
    "the system prompt, the question bare": lambda question: [_turn("system", SYSTEM), _turn("user", question)],
    "the question alone": lambda question: [_turn("user", question)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--facts", default="examples/company.csv")
    given = parser.parse_args()

    gguf = gguf_files.find(given.model)
    place = {"gguf_file": gguf.file} if gguf else {}
    source = gguf.source if gguf else given.model
    tokenizer = AutoTokenizer.from_pretrained(source, **place)
    base = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **place)
    model = PeftModel.from_pretrained(base, given.adapter).eval()
    facts = sources.load(given.facts)
    for name, way in WAYS.items():
        right = 0
        for question, answers in facts.select("question", "answers").iter_rows():
            right += match_default(_answer(model, tokenizer, way(question)), answers) is not None
        print(f"{name}: {right} of {facts.height}")


def _turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _answer(model: PeftModel, tokenizer: AutoTokenizer, turns: list[Message]) -> str:
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        new = model.generate(**ids, max_new_tokens=N_NEW, do_sample=False)
    return str(tokenizer.decode(new[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))


if __name__ == "__main__":
    main()
