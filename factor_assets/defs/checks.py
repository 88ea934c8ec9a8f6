"""How findings and judgements of the pure stages become Dagster asset checks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from factor_assets.defs.event_log import recorded_together
from factor_assets.evaluation.value_quality import CHECKS, Judgement
from factor_assets.panel.quality import Finding

_TOLD, _SHOWN = 3, 20
"""Columns of a library that a check's sentence and its table name."""

_SEVERITY = {"warning": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}


def finding_specs(checks: Mapping[str, str], asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return one check an entry of name -> description."""
    return [dg.AssetCheckSpec(name, asset=asset, description=text) for name, text in checks.items()]


def finding_results(findings: Sequence[Finding], asset: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """Yield one result a finding; a check passes when it found nothing."""
    for finding in findings:
        yield dg.AssetCheckResult(
            check_name=finding.check,
            asset_key=asset,
            passed=finding.n == 0,
            severity=_SEVERITY[finding.severity],
            description=f"{finding.n} of {finding.n_rows} rows" if finding.n else None,
            metadata={
                "n_found": finding.n,
                "n_rows": finding.n_rows,
                **({"examples": dg.MetadataValue.md(_as_markdown(finding.examples))} if finding.examples else {}),
            },
        )


def _as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(str(row.get(name, "")).replace("|", "\\|") for name in names) + " |" for row in rows]
    return "\n".join(lines)


def value_specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset that holds factor values, one a concern: their events cost more than they do."""
    return finding_specs(CHECKS, asset)


def value_results(judgements: Iterable[Judgement], asset: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """Yield one result a judgement."""
    for judgement in judgements:
        yield dg.AssetCheckResult(
            check_name=judgement.check,
            asset_key=asset,
            passed=judgement.passed,
            severity=_SEVERITY["error" if judgement.is_error else "warning"],
            description=judgement.text,
            metadata=dict(judgement.numbers),
        )


def record_together(context: dg.AssetExecutionContext, judged: Mapping[dg.AssetKey, Iterable[Judgement]]) -> None:
    """Record the judgements of many assets in one transaction.

    A result that is yielded is two events with a transaction each: with four checks, half the time of a factor's run.
    """
    with recorded_together(context):
        for key, judgements in judged.items():
            for result in value_results(judgements, key):
                context.log_event(
                    dg.AssetCheckEvaluation(
                        asset_key=key,
                        check_name=str(result.check_name),
                        passed=result.passed,
                        severity=result.severity,
                        description=result.description,
                        metadata=result.metadata,
                    )
                )


def over_columns(judged: Mapping[str, Sequence[Judgement]]) -> Iterator[Judgement]:
    """Yield one judgement a check over all columns of an asset; the worst are named first.

    Parameters
    ----------
    judged
        Column -> its judgements, in the order of the checks.
    """
    for number, check in enumerate(CHECKS):
        found = {column: judgements[number] for column, judgements in judged.items()}
        failed = sorted((column for column in found if not found[column].passed), key=lambda c: -found[c].excess)
        text = f"all of {len(found)} columns pass"
        if failed:
            told = "; ".join(f"{column}: {found[column].text}" for column in failed[:_TOLD])
            text = f"{len(failed)} of {len(found)} columns fail: {told}{'; ...' if len(failed) > _TOLD else ''}"
        rows = [{"column": column, **found[column].numbers} for column in failed[:_SHOWN]]
        yield Judgement(
            check=check,
            passed=not failed,
            is_error=any(found[column].is_error for column in failed),
            excess=max((found[column].excess for column in failed), default=0.0),
            text=text,
            numbers={
                "n_columns": len(found),
                "n_failed": len(failed),
                **({"worst_columns": dg.MetadataValue.md(_as_markdown(rows))} if rows else {}),
            },
        )
