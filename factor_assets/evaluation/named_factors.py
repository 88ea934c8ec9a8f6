"""Which factors the names of `evaluation.neutralised_on` mean.

What does not belong here: what is done with them (`marginal_evidence.py`, `spanning_evidence.py`).
"""

from collections.abc import Iterable

from factor_assets.errors import EvaluationError, did_you_mean
from factor_assets.evaluation.factor_correlations import Label


def resolve_factors(wanted: Iterable[str], known: Iterable[Label]) -> list[Label]:
    """Return the factors that `family/name`s or names mean, each once.

    Raises
    ------
    EvaluationError
        If there is none, or several families have the name.
    """
    labels = list(known)
    found = []
    for text in wanted:
        meant = [label for label in labels if text in {label[1], "/".join(label)}]
        if len(meant) > 1:
            raise EvaluationError(
                f"evaluation.neutralised_on has {text!r}, which several families have; say"
                f" {' or '.join('/'.join(label) for label in meant)}."
            )
        if not meant:
            choices = ["/".join(label) if "/" in text else label[1] for label in labels]
            raise EvaluationError(
                f"evaluation.neutralised_on has {text!r}, which is not evaluated; {did_you_mean(text, choices)}"
            )
        found.append(meant[0])
    return list(dict.fromkeys(found))
