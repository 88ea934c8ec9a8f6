"""Calls of a language model against an answering stub of fixed latency: share of the ideal time, and a second run.

    python -m factor_assets_tests.benchmarks.bench_language_model

Ideal: calls x latency / calls at the same time. The stub is a process of its own, so that its work is not ours. The
setting requests_per_minute is out of the way: 16 calls of half a second are 1,920 a minute.
"""

import os
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta

from factor_assets.settings import LanguageModelSettings
from factor_assets.storage.documents import Documents
from factor_assets.text.language_model import Question, Tally, ask_all, document_hash

LATENCY, N_TICKERS, N_DAYS = 0.5, 30, 20
ARTICLE = "The company said on Monday that orders rose, and kept its outlook for the year. " * 25


def questions() -> list[Question]:
    """Return a question for each ticker and day, of ten articles of 2,000 characters."""
    found = []
    for ticker in range(N_TICKERS):
        for day in range(N_DAYS):
            texts = tuple(f"Article {n} of company {ticker} on day {day}\n{ARTICLE}" for n in range(10))
            found.append(
                Question(
                    document_id=document_hash(*texts),
                    purpose="sentiment",
                    ticker=f"T{ticker:02d}",
                    day=date(2024, 1, 2) + timedelta(days=day),
                    texts=texts,
                )
            )
    return found


def main() -> None:
    """Print a line a run."""
    os.environ["ANTHROPIC_API_KEY"] = "benchmark"
    asked = questions()
    for max_concurrent in (6, 16):
        with (
            tempfile.TemporaryDirectory() as folder,
            subprocess.Popen(
                [sys.executable, "-m", "factor_assets_tests.servers.anthropic", str(LATENCY)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as stub,
        ):
            assert stub.stdin is not None
            assert stub.stdout is not None
            settings = LanguageModelSettings(
                provider="anthropic",
                model="stub",
                url=stub.stdout.readline().strip(),
                max_concurrent=max_concurrent,
                requests_per_minute=100_000,
                input_price=3.0,
                output_price=15.0,
                budget=1000.0,
            )
            ideal = len(asked) * LATENCY / max_concurrent
            for run in ("first", "second"):
                begun, processor = time.perf_counter(), time.process_time()
                tally = Tally()
                for answered in ask_all(asked, settings=settings, documents=Documents(folder)):
                    tally.add(answered)
                seconds, processor = time.perf_counter() - begun, time.process_time() - processor
                stub.stdin.write("\n")
                stub.stdin.flush()
                n_calls, most = map(int, stub.stdout.readline().split())
                print(
                    f"{max_concurrent:2d} at once, {run} run: {seconds:6.2f} s, {ideal / seconds:7.1%} of ideal,"
                    f" {processor:.2f} s of processor, {n_calls} calls so far, {most} at once at most, {tally.counts()}"
                )
            stub.stdin.close()


if __name__ == "__main__":
    main()
