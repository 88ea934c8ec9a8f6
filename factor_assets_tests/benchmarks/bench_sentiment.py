"""Accuracy of the offline default on Financial PhraseBank, beside that of always saying the commonest class.

    python -m factor_assets_tests.benchmarks.bench_sentiment

Sentences of financial news that annotators with a background in finance labelled; of the subset on which all agreed.
The label is the sign of the compound with VADER's own thresholds, +-0.05.

References
----------
Malo, Sinha, Korhonen, Wallenius and Takala (2014), Good debt or bad debt: Detecting semantic orientations in economic
texts, JASIST 65(4), doi:10.1002/asi.23062.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from factor_assets.text.lexicon import compound, model_name

CLASSES = ("negative", "neutral", "positive")
THRESHOLD = 0.05


@dataclass(frozen=True)
class Agreement:
    """Counts of (label, said) over sentences."""

    counts: Counter[tuple[str, str]]

    @property
    def n(self) -> int:
        return self.counts.total()

    @property
    def accuracy(self) -> float:
        return sum(self.counts[c, c] for c in CLASSES) / self.n

    @property
    def majority(self) -> float:
        """Accuracy of always saying the commonest class."""
        return max(self.labelled(c) for c in CLASSES) / self.n

    def labelled(self, label: str) -> int:
        return sum(self.counts[label, said] for said in CLASSES)

    def recall(self, label: str) -> float:
        return self.counts[label, label] / self.labelled(label)

    def precision(self, label: str) -> float:
        return self.counts[label, label] / sum(self.counts[true, label] for true in CLASSES)


def measure(path: Path) -> Agreement:
    """Label every sentence that all annotators agreed on."""
    rows = pq.read_table(path, filters=[("min_agreement_pct", "=", 100)]).to_pylist()
    return Agreement(Counter((row["label"], said(compound(row["sentence"]))) for row in rows))


def said(score: float) -> str:
    return "positive" if score >= THRESHOLD else "negative" if score <= -THRESHOLD else "neutral"


def main() -> None:
    """Print the table."""
    shared = Path(__file__).resolve().parents[3] / "shared" / "data"
    found = measure(shared / "sentiment" / "financial_phrasebank.parquet")
    print(
        f"{model_name()}: {found.accuracy:.1%} of {found.n} sentences; always the commonest class: {found.majority:.1%}"
    )
    for c in CLASSES:
        print(
            f"{c:9s} {found.labelled(c):5d} sentences, recall {found.recall(c):.1%}, precision {found.precision(c):.1%}"
        )


if __name__ == "__main__":
    main()
