"""100,000 texts through the parser: a value that prints and reads back the same, or an error that can be shown."""

import random
import time
from collections.abc import Callable, Iterator

import pytest

from factor_assets.errors import ExpressionError, ExpressionSyntaxError
from factor_assets.expressions import Call, Constant, Expression, Field, parse
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.expression import known_fields
from factor_assets.expressions.parser import MAX_LENGTH

FIELDS = ("close", "open", "raw_volume", "market_cap", "returns")
FUNCTIONS = sorted(name for name, spec in OPERATORS.items() if not spec.symbol)
SYMBOLS = ("**", "<=", ">=", *"+-*/<>&|~(),=")
NUMBERS = (
    *("0", "1", "-0", "2.", ".5", "0.1", "1e-3", "1E+5", "1e15", "1e16", "5e-324", "1.7976931348623157e308", "1e309"),
    *("1e999999999", "9" * 400, "0." + "0" * 400 + "1", "00012", "1_000", "0x1f", "1e", "1.2.3", "10001", "-20"),
)
OTHERS = (
    *"!^%[]{}'\"\\:;@?$`#.\n\t\r\x00\x0b\x1b\x7f\x85\xa0\xad",
    *"\N{SUPERSCRIPT TWO}\N{FULLWIDTH DIGIT ONE}\N{ARABIC-INDIC DIGIT THREE}\N{MINUS SIGN}\N{GREEK SMALL LETTER ALPHA}",
    *"\N{EM SPACE}\N{ZERO WIDTH SPACE}\N{RIGHT-TO-LEFT OVERRIDE}\N{COMBINING ACUTE ACCENT}\N{GRINNING FACE}",
    *("\ud800", "\udfff", "\ufeff", "\uffff", "\U0010ffff"),
    *("and", "or", "not", "if", "else", "lambda", "True", "None", "nan", "inf", "import", "__import__", "__class__"),
    *("==", "!=", "//", "->", "=>", "<>", ":=", "&&", "||", "...", "f'{close}'", "close.real", "close[0]", "sector"),
)


def random_tree(rng: random.Random, depth: int) -> Expression:
    """An expression over all operators."""
    kind = rng.random()
    if depth == 0 or kind < 0.15:
        return Field(rng.choice(FIELDS))
    if kind < 0.3:
        number = rng.choice((rng.randint(-3, 300), rng.gauss(0, 1), rng.gauss(0, 1) * 10.0 ** rng.randint(-300, 300)))
        return Constant(number)
    spec = OPERATORS[rng.choice(sorted(OPERATORS))]
    names = list(spec.args) + [spec.args[-1]] * (rng.randint(0, 2) if spec.variadic else 0)
    args = tuple(
        Field("sector") if name in spec.labels and rng.random() < 0.5 else random_tree(rng, depth - 1) for name in names
    )
    params: dict[str, float] = {}
    for name, wanted in spec.params.items():
        if name in spec.defaults and rng.random() < 0.5:
            continue
        if name == "n":
            params[name] = rng.randint(spec.smallest, rng.choice((5, 300, 10_000)))
        elif name == "min_periods":
            params[name] = rng.randint(1, spec.lookback(**params, min_periods=1) + 1)
        else:
            value = rng.uniform(*spec.limits[name])
            params[name] = round(value) if wanted is int else rng.choice((value, float(round(value, 2))))
    return Call(spec.name, args, tuple(params.items()))


def formulas(rng: random.Random, n: int) -> Iterator[str]:
    """Formulas that are right, with spaces where there may be any."""
    for _ in range(n):
        text = str(random_tree(rng, rng.randint(0, 4)))
        yield text.replace(" ", rng.choice((" ", "", "\n", " \t "))) if rng.random() < 0.3 else text


def mutations(rng: random.Random, n: int) -> Iterator[str]:
    """Right formulas with pieces put in, taken out, doubled, exchanged or moved."""
    seeds = [text for text in formulas(rng, 600) if len(text) < 200]
    pieces = (
        *SYMBOLS,
        *SYMBOLS,
        *NUMBERS,
        *OTHERS,
        *FUNCTIONS,
        *FIELDS,
        "n=",
        "x=",
        "min_periods=",
        "q=0.5",
        ", ",
        " ",
    )
    for _ in range(n):
        text = rng.choice(seeds)
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(text))
            to = at + rng.randint(1, 6)
            text = rng.choice(
                (
                    lambda text, at, to: text[:at] + rng.choice(pieces) + text[at:],
                    lambda text, at, to: text[:at] + rng.choice(pieces) + text[to:],
                    lambda text, at, to: text[:at] + text[to:],
                    lambda text, at, to: text[:to] + text[at:],
                    lambda text, at, to: text[:at] + rng.choice(seeds) + text[to:],
                    lambda text, at, to: text[at:] + text[:at],
                    lambda text, at, to: text[:at] + text[at:to][::-1] + text[to:],
                    lambda text, at, to: text.replace(rng.choice("(,)0123456789 "), rng.choice(pieces), 1),
                )
            )(text, at, to)
        yield text


def tokens(rng: random.Random, n: int) -> Iterator[str]:
    """Sequences of tokens, mostly of the language."""
    common = (*SYMBOLS, *FIELDS, *FUNCTIONS, *(f"{name}(" for name in FUNCTIONS), "3", "5", "0.5", ")", ")", ",", "n=")
    for _ in range(n):
        count = rng.randint(0, 14)
        joint = rng.choice(("", " "))
        yield joint.join(rng.choice(rng.choice((common, common, common, NUMBERS, OTHERS))) for _ in range(count))


def characters(rng: random.Random, n: int) -> Iterator[str]:
    """Characters of any kind."""
    for _ in range(n):
        highest = rng.choice((0x7F, 0xFF, 0xFFFF, 0x10FFFF))
        yield "".join(chr(rng.randint(0, highest)) for _ in range(rng.randint(0, 30)))


def hostile(rng: random.Random, n: int) -> Iterator[str]:
    """Deep, long and wide ones, up to and beyond the longest that is read."""
    starts = (
        "(",
        "-",
        "~",
        "-(",
        "abs(",
        "1-(",
        "2**",
        "1**-(",
        "max(x=(",
        "close+",
        "-abs(1**-(",
        "residualize(close,",
        "[",
    )
    starts = (
        *starts,
        "1<(",
        "close*close+",
        "where(1,",
        "fill(-close,",
        "~-",
        "mean(n=5,x=",
        "9",
        "a",
        " ",
        "1e",
        "close,",
        ")",
    )
    for _ in range(n):
        start = rng.choice(starts)
        length = rng.choice((rng.randint(1, 120), rng.randint(90, 220), rng.randint(1, 2_000), 30_000 // len(start)))
        count = length if rng.random() < 0.1 else min(length, 400)
        inside = rng.choice(
            ("close", "close", "close", "1", "-1", "", "sector", "1e400", "x" * rng.choice((1, 10_000)))
        )
        end = rng.choice((")", ")", ")", ", 3)", "**2", "+1)", " < 2)"))
        yield start * count + inside + end * rng.choice((0, 1, count - 1, *[start.count("(") * count] * 5))


def outcome(text: str) -> Expression | ExpressionError:
    """What the parser makes of a text; anything but a value or an error of ours fails the test here."""
    try:
        expression = parse(text)
    except ExpressionError as error:
        return error
    again = parse(str(expression))
    assert again == expression, text
    assert str(again) == str(expression), text
    return expression


class TestAgainstPrinter:
    def test_trees_over_all_operators(self):
        rng = random.Random(7)
        seen = set()
        for _ in range(5_000):
            tree = random_tree(rng, 3)
            assert parse(str(tree)) == tree
            seen |= {tree.operator} if isinstance(tree, Call) else set()
        assert seen == set(OPERATORS)


class TestProperties:
    @pytest.mark.parametrize(
        ("texts", "n", "least_values", "least_errors"),
        [
            (formulas, 15_000, 15_000, 0),
            pytest.param(mutations, 52_500, 3_000, 30_000, marks=pytest.mark.slow),
            (tokens, 22_000, 200, 15_000),
            (characters, 10_000, 1, 9_000),
            (hostile, 500, 20, 250),
        ],
    )
    def test_a_value_or_a_clear_error(
        self, texts: Callable[[random.Random, int], Iterator[str]], n: int, least_values: int, least_errors: int
    ):
        values, slowest = 0, 0.0
        for text in texts(random.Random(20_250_101), n):
            begun = time.thread_time()
            made = outcome(text)
            slowest = max(slowest, time.thread_time() - begun)
            if isinstance(made, Expression):
                values += 1
                continue
            message = str(made)
            assert len(message) > 20
            assert message.encode(), ascii(text)  # half a surrogate pair could not be printed
            if isinstance(made, ExpressionSyntaxError):
                assert 0 <= made.position <= len(text)
                assert all(line.isprintable() for line in message.split("\n")), ascii(text)
            else:
                assert len(text) > MAX_LENGTH
        assert values >= least_values
        assert n - values >= least_errors
        assert slowest < 2.0

    def test_a_deep_stack_of_the_caller_makes_no_difference(self):
        """Notebooks and servers call from deep inside; the recursion limit must not be met before ours."""

        def deeper(n: int, text: str) -> Expression | ExpressionError:
            return deeper(n - 1, text) if n else outcome(text)

        for start in ("abs(", "(", "-", "-(", "2**", "1-(", "max(x=(", "abs(1**-(", "~-", "residualize(close,("):
            assert isinstance(deeper(200, start * 1_000), ExpressionSyntaxError)
        for start, end in (
            ("abs(", ")"),
            ("-", ""),
            ("-(", ")"),
            ("2**", ""),
            ("1-(", ")"),
            ("1<(", ")"),
            ("(1+2)*(", ")"),
        ):
            deep = deeper(200, start * 98 + "close" + end * 98)
            assert isinstance(deep, Expression)
            assert deep.depth in (99, 100)

    def test_every_name_of_the_language_is_told_apart_from_its_misspellings(self):
        for name in (*FUNCTIONS, *known_fields()):
            wrong = name[:-1] + "q"
            with pytest.raises(ExpressionSyntaxError, match=rf"unknown field '{wrong}'"):
                parse(wrong)


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "position", "message"),
        [
            ("\N{FULLWIDTH DIGIT ONE} + 1", 0, "unexpected character '\N{FULLWIDTH DIGIT ONE}'"),
            ("1\N{ARABIC-INDIC DIGIT THREE}", 1, "unexpected character"),
            ("1 + \ud800", 4, "unexpected character '\\ud800' at position 4:\n  1 + \N{REPLACEMENT CHARACTER}\n"),
            ("\x1b[2J", 0, "unexpected character '\\x1b' at position 0:\n  \N{REPLACEMENT CHARACTER}[2J\n"),
            (
                "mean(n=5, close)",
                10,
                "expected arguments without a name before those with one in mean(x, n, min_periods=n)",
            ),
            ("mean(close, 5, min_periods=2, 3)", 30, "expected arguments without a name before those with one"),
            ("residualize(on=sector, close)", 23, "before those with one in residualize(x, *on)"),
            ("abs(" * 150, 404, "expected at most 100 levels of nesting, got more"),
            ("a" * 5_000, 0, f"unknown field '{'a' * 60}...'"),
            ("mean(close, 1e300)", 0, "wants n of at most 10000 sessions"),
        ],
    )
    def test_position_and_message(self, text, position, message):
        with pytest.raises(ExpressionSyntaxError) as caught:
            parse(text)
        assert caught.value.position == position
        assert message in str(caught.value)
