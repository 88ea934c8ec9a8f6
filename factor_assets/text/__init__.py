"""Documents -> numbers: prompts, answers of a language model or a lexicon, and the ledger that pays for each once."""
