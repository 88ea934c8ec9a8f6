"""How findings of the pure stages become Dagster asset checks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from factor_assets.panel.quality import Finding

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
