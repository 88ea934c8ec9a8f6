"""Declarations are found by scanning the folder."""

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from factor_assets.errors import ExpressionError, SettingsError, UnknownFactorError
from factor_assets.expressions import close, delay, high, parse
from factor_assets.expressions.engine import evaluate
from factor_assets.factors import libraries, momentum
from factor_assets.factors.factor import Factor
from factor_assets.factors.library import Library
from factor_assets.factors.registry import (
    all_factors,
    all_libraries,
    collect,
    collect_libraries,
    factor,
    find_factor,
    select_factors,
    select_libraries,
)
from factor_assets.panel.panel import Panel
from factor_assets.settings import Settings
from factor_assets.workspace import Workspace


def _module(name: str, **declared: object) -> ModuleType:
    module = ModuleType(f"factor_assets.factors.{name}")
    vars(module).update(declared)
    return module


ONE, FAR = (Factor(expression=e, sign=0, cite="Test (2020, none)") for e in (delay(close, 1), delay(high, 9)))
KNOWN = collect([_module("mine", x=ONE, y=FAR), _module("theirs", z=FAR)])
LIBRARIES = collect_libraries(
    [
        _module("one", LIBRARY=Library(factors={"a": ONE, "b": FAR}, cite="", description="")),
        _module("two", LIBRARY=Library(factors={"b": FAR}, cite="", description="")),
        _module("terms", a=ONE),
    ],
    families=(),
)


class TestAgainstDefinition:
    def test_rsi_is_its_definition(self):
        """100 - 100 / (1 + mean rise / mean fall), 100 where nothing falls, nothing where nothing moves."""
        prices = np.array([[10.0, 10, 10, 10], [11, 9, 11, 10], [10.5, 8, 12, 10], [12, 7, 13, 10]])
        panel = Panel(
            dates=np.arange(4).astype("datetime64[D]"),
            tickers=("A", "B", "C", "D"),
            fields={"close": prices},
            in_universe=np.ones((4, 4), dtype=bool),
        )
        from factor_assets.factors.technical import relative_strength_index

        last = dict(evaluate({"rsi": relative_strength_index(close, 3)}, panel))["rsi"][-1]
        up, down = (1 + 1.5) / 3, 0.5 / 3
        np.testing.assert_allclose(last, [100 - 100 / (1 + up / down), 0, 100, np.nan], rtol=1e-14)


class TestProperties:
    def test_names_and_families(self):
        found = all_factors()
        assert found["ret_12_1"].factor is momentum.ret_12_1
        assert found["ret_12_1"].family == "momentum"
        assert found["ret_12_1"].lookback == 252
        assert found["ret_12_1"].inputs == ("close",)
        assert found["beta_252d"].is_cross_sectional
        assert list(found) == [f.name for f in found.values()]
        assert {"liquidity", "momentum", "reversal", "size", "technical", "volatility"} <= {
            f.family for f in found.values()
        }
        assert found["ret_12_1"].place == "factor_assets.factors.momentum"

    def test_the_formula_is_the_text(self):
        assert factor("ret_12_1").expression == parse("delay(close, 21) / delay(close, 252) - 1")

    def test_every_file_in_libraries_with_a_library_is_found(self):
        found = all_libraries()
        declared = [
            file.stem
            for file in sorted(Path(libraries.__path__[0]).glob("*.py"))
            if re.search("^LIBRARY = ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        ]
        assert list(found) == declared
        assert not set(found) & {f.family for f in all_factors().values()}
        for name, library in found.items():
            assert {f.family for f in library.factors.values()} == {name}
            assert list(library.factors) == list(library.library.factors)

    def test_a_library_reaches_as_far_as_its_factors(self):
        library = LIBRARIES["one"]
        assert library.lookback == 9
        assert library.inputs == ("close", "high")
        assert library.factors["b"].expression == delay(high, 9)
        assert library.factors["b"].place == "factor_assets.factors.one"

    def test_a_library_s_code_version_is_that_of_all_its_columns(self):
        def version(**factors: Factor) -> str:
            module = _module("one", LIBRARY=Library(factors=factors, cite="", description=""))
            return collect_libraries([module], families=())["one"].code_version

        a, b = LIBRARIES["one"].library.factors.values()
        assert version(a=a, b=b) == LIBRARIES["one"].code_version
        changed = [version(a=a), version(b=b, a=a), version(a=a, c=b), version(a=a, b=a)]
        assert len({*changed, version(a=a, b=b)}) == 5

    @pytest.mark.parametrize(
        ("name", "family"),
        [("x", "mine"), ("mine/x", "mine"), ("a", "one"), ("one/a", "one"), ("one/b", "one"), ("two/b", "two")],
    )
    def test_a_factor_is_found_by_its_names(self, name: str, family: str):
        found = find_factor(name, KNOWN, LIBRARIES)
        assert (found.family, found.name) == (family, name.rpartition("/")[2])

    @pytest.mark.parametrize(
        ("wanted", "chosen"),
        [
            ((), ["x", "y", "z", "own"]),
            (("mine",), ["x", "y", "own"]),
            (("theirs/z", "y"), ["y", "z", "own"]),
            (("z", "other"), ["z", "own"]),
        ],
    )
    def test_the_settings_choose_families_and_names_and_never_against_the_user_s_own(self, wanted, chosen):
        own = collect([_module("other", own=ONE)])
        assert list(select_factors(KNOWN, wanted, own=own)) == chosen

    def test_the_settings_choose_libraries(self):
        assert select_libraries(LIBRARIES, ()) == {}
        assert list(select_libraries(LIBRARIES, ("two", "one"))) == ["one", "two"]

    def test_a_workspace_has_what_its_settings_choose(self):
        chosen = {"families": ["momentum", "size/size"], "libraries": list(all_libraries())[:1]}
        workspace = Workspace(Settings.model_validate({"factors": chosen}))
        assert {f.family for f in workspace.factors.values()} == {"momentum", "size"}
        assert [name for name, f in workspace.factors.items() if f.family == "size"] == ["size"]
        assert list(workspace.libraries) == list(all_libraries())[:1]
        for everything in ({"factors": {"families": ["all"]}}, {"data": {"source": "yahoo"}}):
            workspace = Workspace(Settings.model_validate(everything))
            of_prices = {name: f for name, f in all_factors().items() if not f.document_tables}
            assert (workspace.factors, dict(workspace.libraries)) == (of_prices, {})

    def test_factors_of_documents_are_there_where_the_settings_ask_for_them(self):
        everything = {
            "sec": {"contact": "A b@example.com"},
            "reports": {"path": "reports"},
            "data": {"source": "yahoo"},
        }
        assert Workspace(Settings.model_validate(everything)).factors == all_factors()
        with pytest.raises(SettingsError, match=r"value/be_me reads fundamentals, .* do not ask for; set sec.contact"):
            _ = Workspace(Settings.model_validate({"factors": {"families": ["value"]}})).factors

    def test_the_sample_market_has_some_of_every_family(self):
        chosen = Workspace(Settings()).factors
        assert {f.family for f in chosen.values()} == {
            f.family for f in all_factors().values() if not f.document_tables
        }
        assert len(chosen) < 30


class TestErrors:
    def test_unknown(self):
        with pytest.raises(UnknownFactorError, match=r"No factor is called 'ret_12'; did you mean .*'ret_12_1'"):
            factor("ret_12")

    def test_duplicate(self):
        with pytest.raises(ExpressionError, match="'x' is declared in 'a' and in 'b'"):
            collect([_module("a", x=ONE), _module("b", x=ONE)])

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("b", "'b' is a column of several libraries; say one/b or two/b"),
            ("mien/x", "No factor is called 'mien/x'; did you mean 'mine/x'"),
            ("theirs/x", "No factor is called 'theirs/x'; did you mean 'theirs/z'"),
            ("q", "No factor is called 'q'; choose one of 'a', 'b', "),
        ],
    )
    def test_names_that_say_no_factor_or_several(self, name: str, message: str):
        with pytest.raises(UnknownFactorError, match=message):
            find_factor(name, KNOWN, LIBRARIES)

    def test_settings_that_choose_nothing(self):
        with pytest.raises(SettingsError, match=r"factors\.families names 'mien', which is none; did you mean 'mine'"):
            select_factors(KNOWN, ("mien",), own={})
        with pytest.raises(
            SettingsError, match=r"factors\.libraries names 'thre', which is none; choose one of 'one', 'two'"
        ):
            select_libraries(LIBRARIES, ("thre",))

    def test_libraries(self):
        module = _module("mine", LIBRARY=Library(factors={"a": ONE}, cite="", description=""))
        with pytest.raises(
            ExpressionError, match=r"'mine' has the name of a family .* rename factor_assets.factors.mine"
        ):
            collect_libraries([module], families={"mine"})
        empty = _module("none", LIBRARY=Library(factors={}, cite="", description=""))
        with pytest.raises(ExpressionError, match="Library 'none' has no factors; fill LIBRARY"):
            collect_libraries([empty], families=())

    def test_declaration(self):
        with pytest.raises(ExpressionError, match=r"wants an expression; got str.*parse\(\)"):
            Factor(expression="close", sign=0, cite="")
        with pytest.raises(ExpressionError, match="sign is -1, 0 or \\+1; got 2"):
            Factor(expression=close, sign=2, cite="")
