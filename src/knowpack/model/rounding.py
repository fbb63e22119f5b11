"""Whether answers before and after were rounded alike. torch is not imported for it: a report asks it too."""

from collections.abc import Mapping

HALF = ("bfloat16", "float16")


def otherwise_rounded(before: Mapping[str, object], after: Mapping[str, object]) -> str | None:
    """A line where the answers before and after were computed in half precision on two kinds of processor, each as
    machine.of_answers has it. In float32 rounding seldom changes a text; in bfloat16 it changed 13% of SmolLM2's."""
    one, other = before.get("processor"), after.get("processor")
    if not one or not other or one == other or not {before.get("dtype"), after.get("dtype")} & set(HALF):
        return None
    return (
        f"the base was asked on {one}, the adapted model on {other}, in {after.get('dtype')}: rounding alone changes "
        "some of the answers, and they count as shifts; ask both on one kind of processor, or in float32"
    )
