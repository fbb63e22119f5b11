"""What a report calls what was asked: facts that the model knows, or questions of its own with its own answers.

Run -> `Words`. Where there was no table of facts to keep (`pack --known none`) nobody says that an answer is right, so
that no category of such a page is a knowledge category.
"""

from typing import NamedTuple

from knowpack.records import Category
from knowpack.report.finished_run import Run


class Words(NamedTuple):
    """For all that was not trained."""

    categories: tuple[str, ...]
    """In the order of Category."""
    chips: tuple[str, ...]
    """The same, short."""
    items: str
    """What was asked, in the plural."""
    at_risk: str
    """Those that can be lost."""
    answer: str
    """The answer that counts."""
    note: str
    """What the categories mean."""
    which: str = "that were not trained"
    """Which of them were asked."""

    @property
    def none_fell(self) -> str:
        """Where nothing was lost."""
        return f"None of the {self.items} {self.which} fell to a lower category."

    def between(self, before: str, after: str) -> str:
        """Two categories as a move."""
        return f"{self.name(before)} → {self.name(after)}"

    def name(self, category: str) -> str:
        """A category as it is called here."""
        return self.categories[list(Category).index(Category(category))]


KNOWN = Words(
    tuple(str(one) for one in Category),
    ("Unknown", "Weakly", "Maybe", "Highly"),
    "facts",
    "known facts",
    "right answer",
    " HighlyKnown: answered rightly under every prompt; MaybeKnown: under some; Unknown: under none.",
)
OWN = Words(
    ("Never", "Sampled", "Sometimes", "Always"),
    ("Never", "Sampled", "Sometimes", "Always"),
    "questions of its own",
    "own answers",
    "own answer",
    " The model wrote these questions itself and no table says what is right: Always, Sometimes and Never tell under "
    "how many prompts it gives the answer that it gave when it wrote them.",
)


def words(run: Run) -> Words:
    """Of this run. Where the trained facts are not known, some of those asked may be among them."""
    called = OWN if run.asks_its_own else KNOWN
    return called if run.examples() is not None else called._replace(which="that were asked")
