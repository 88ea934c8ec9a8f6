"""The words of each topic that reports are rated on: by them sections are chosen, and sentences by who only counts.

What does not belong here: how sections are chosen (`sections.py`), how sentences are rated (`lexicon.py`).
"""

import re
from collections.abc import Mapping
from functools import cache

TOPIC_WORDS: Mapping[str, tuple[str, ...]] = {
    "ceo_statement": (
        r"(dear|to our|fellow|letter to( the| our)?) (valued )?(share|stock)(holders|owners)",
        r"letter from (the|our) (chair|chief)",
        r"message from (the|our) (chair|chief)",
        r"chief executive(['\u2019]s)? (statement|review|letter)",
        r"chief executive officer",
        "CEO",
    ),
    "esg_initiatives": (
        "ESG",
        r"sustainab\w+",
        r"climate",
        r"carbon|greenhouse gas|emissions?",
        r"renewable|recycl\w+",
        r"environmental",
        r"diversity|inclusion|human capital",
        r"human rights|communit(y|ies)",
        r"corporate governance",
        r"ethics|code of conduct",
    ),
    "market_trends": (
        r"competit(ion|ors?|ive)",
        r"market share",
        r"market (trends?|conditions?|growth|demand)",
        r"industry (trends?|growth|conditions?)",
        r"macroeconomic|economic conditions",
        r"customer demand|consumer (demand|spending)",
        r"new entrants|rapidly evolving",
        r"pricing pressure",
    ),
    "risk_factors": (
        r"risk factors?",
        r"risks?",
        r"uncertaint(y|ies)",
        r"adverse(ly)?",
        r"could (harm|affect|result|cause)",
        r"litigation|legal proceedings?",
        r"cyber\w*|security breach\w*",
        r"exposures?|vulnerab\w+",
    ),
    "strategic_priorities": (
        r"strateg(y|ies|ic)",
        r"priorit(y|ies|i[sz]e)",
        r"our (goals?|objectives?|mission|vision|focus)",
        r"we (plan|intend|aim|expect) to",
        r"invest(ing|ments?)? in",
        r"initiatives?",
        r"research and development|innovation",
        r"acquisitions?|expansion|long-term growth",
    ),
}
"""Topic -> regular expressions of what is said where a report speaks of it, each of whole words."""


@cache
def topic_patterns(topic: str) -> tuple[re.Pattern[str], ...]:
    """Return the compiled words of a topic, whatever their case."""
    return tuple(re.compile(rf"\b(?:{word})\b", re.IGNORECASE) for word in TOPIC_WORDS[topic])
