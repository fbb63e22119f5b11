"""How long a study takes on how many GPUs: arithmetic from stated figures, nothing measured on a GPU.

    python benchmarks/grid_plan.py        # the paper's 30 cells x 3 seeds, an 8B model, 21,036 facts x 10 prompts

Per row of a probe: `tokens` are read in one forward (the few-shot prefix is computed once a prompt and not counted), 2
products a parameter and token; rows whose draft does not hold are then decoded, a step reading all weights once for a
batch. The trained facts are asked after each epoch too (Figure 2). Training: 4 products a parameter and token (the
frozen weights need no gradients of their own). Cells go to whichever GPU is free, in the study's order, after the base
was measured on one.
"""

import argparse
import heapq

SIZES, AUGMENTED = (1, 10, 50, 100, 500, 3000), (0, 1, 1, 10, 10)  # the paper's grid: examples beside each fact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--parameters", type=float, default=8.03e9)
    parser.add_argument("--facts", type=int, default=21036)
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--sets", type=float, default=2.4, help="A, fresh B1, and the share of facts at stake in B2")
    parser.add_argument("--tokens", type=float, default=40, help="of a row: question, template and answer")
    parser.add_argument("--redecoded", type=float, default=0.5, help="share of rows whose draft does not hold")
    parser.add_argument("--steps", type=float, default=8, help="of a row that is decoded")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--example-tokens", type=float, default=60)
    parser.add_argument("--flops", type=float, default=989e12, help="data sheet, dense bfloat16 (H100 SXM)")
    parser.add_argument("--share", type=float, default=0.3, help="of it that is reached; measured on CPUs: .47 to .59")
    parser.add_argument("--bandwidth", type=float, default=3.35e12, help="bytes/s, data sheet")
    parser.add_argument("--bandwidth-share", type=float, default=0.7)
    given = parser.parse_args()

    speed = given.flops * given.share
    rows = given.facts * given.prompts * given.sets
    read = rows * given.tokens * 2 * given.parameters / speed
    step = 2 * given.parameters / (given.bandwidth * given.bandwidth_share)
    decoded = rows * given.redecoded / given.batch * given.steps * step
    probe = read + decoded
    examples = [n * (1 + k) for n in SIZES for k in AUGMENTED]
    train = [n * given.epochs * given.example_tokens * 4 * given.parameters / speed for n in examples]
    epochs = [n * given.epochs * given.prompts * probe / rows for n in SIZES for _ in AUGMENTED]
    cells = [a + b + probe for a, b in zip(train, epochs, strict=True) for _ in range(given.seeds)]

    print(f"rows of a probe: {rows:,.0f}; seconds on one GPU: reading {read:,.0f}, decoding {decoded:,.0f}")
    print(f"training, seconds: mean {sum(train) / len(train):,.0f}, longest {max(train):,.0f}")
    print(f"reliability after each epoch, seconds: mean {sum(epochs) / len(epochs):,.0f}, longest {max(epochs):,.0f}")
    print(f"{len(cells)} cells and the base: {(sum(cells) + probe) / 3600:.1f} GPU hours")
    for gpus in given.gpus:
        print(f"{gpus:>3} GPUs: {(probe + greedy(cells, gpus)) / 3600:5.1f} h by the clock", end="")
        print(f" ({(probe + greedy(sorted(cells, reverse=True), gpus)) / 3600:.1f} h with the longest cells first)")


def greedy(cells: list[float], gpus: int) -> float:
    """Seconds until the last of these cells has ended, each taken by the GPU that is free first."""
    free = [0.0] * gpus
    for seconds in cells:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


if __name__ == "__main__":
    main()
