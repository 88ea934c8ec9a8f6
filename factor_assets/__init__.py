"""factor_assets: equity factors as partitioned Dagster assets; prices in, evidence out.

The map, in the order data moves:

sources      the outside world -> raw rows as delivered
panel        raw rows -> what was known, when
expressions  the factor language and its engine
factors      declarations, one file a family
evaluation   factors and later returns -> evidence
storage      tables at rest
defs         Dagster: assets, checks, schedules
trial        one factor at a time, outside the graph: `evaluate_factor("rank(-delta(close, 5))")`
calendar     sessions of an exchange
settings     the only reader of the environment; `columns` and `errors` declare what is stored and what can go wrong

The names below are the notebook API; each loads its module on first use, so that importing the package is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from factor_assets.expressions import Expression, parse
    from factor_assets.expressions.engine import evaluate
    from factor_assets.factors.factor import Factor
    from factor_assets.factors.registry import all_factors
    from factor_assets.panel.panel import Panel
    from factor_assets.settings import Settings
    from factor_assets.settings_file import load_settings
    from factor_assets.storage.slice import Slice
    from factor_assets.trial import check_factor, evaluate_factor
    from factor_assets.workspace import Workspace

__all__ = [
    "Expression",
    "Factor",
    "Panel",
    "Settings",
    "Slice",
    "Workspace",
    "all_factors",
    "check_factor",
    "evaluate",
    "evaluate_factor",
    "load_settings",
    "parse",
]

_HOME = {
    "Expression": "expressions",
    "Factor": "factors.factor",
    "Panel": "panel.panel",
    "Settings": "settings",
    "Slice": "storage.slice",
    "Workspace": "workspace",
    "all_factors": "factors.registry",
    "check_factor": "trial",
    "evaluate": "expressions.engine",
    "evaluate_factor": "trial",
    "load_settings": "settings_file",
    "parse": "expressions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
