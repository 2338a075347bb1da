#!/usr/bin/env python3
"""What Presidio (patterns only) or detect-secrets finds in labelled rows, in the form that
`weir guard eval --from` counts.

    peers.py presidio|presidio-all|detect-secrets FILE… > verdicts.jsonl

`presidio` has the pattern recognisers that it loads for English by itself, `presidio-all` those of
every country. Times are CPU times.
"""

import gzip
import inspect
import json
import logging
import sys
import time

# Presidio grades every match; below this it is a guess.
THRESHOLD = 0.4


def presidio(every_country):
    """Its pattern recognisers, with context words and without a model."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, PatternRecognizer, RecognizerRegistry
    from presidio_analyzer import predefined_recognizers as shipped
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

    logging.disable(logging.WARNING)

    class Words(NlpEngine):
        """Words as they stand, for the context words; no entities."""

        def __init__(self):
            self.nlp = spacy.blank("en")

        def load(self):
            pass

        def is_loaded(self):
            return True

        def process_text(self, text, language):
            words = self.nlp(text)
            return NlpArtifacts([], words, [w.idx for w in words], [w.lower_ for w in words], self, language)

        def process_batch(self, texts, language, **kwargs):
            return ((text, self.process_text(text, language)) for text in texts)

        def is_stopword(self, word, language):
            return self.nlp.vocab[word].is_stop

        def is_punct(self, word, language):
            return self.nlp.vocab[word].is_punct

        def get_supported_entities(self):
            return []

        def get_supported_languages(self):
            return ["en"]

    registry = RecognizerRegistry(supported_languages=["en"])
    if every_country:
        for name, kind in inspect.getmembers(shipped, inspect.isclass):
            if issubclass(kind, PatternRecognizer) or name == "PhoneRecognizer":
                registry.add_recognizer(kind(supported_language="en"))
    else:
        registry.load_predefined_recognizers(languages=["en"])
        patterns = lambda r: isinstance(r, PatternRecognizer) or r.name == "PhoneRecognizer"
        registry.recognizers = [r for r in registry.recognizers if patterns(r)]
    engine = AnalyzerEngine(registry=registry, nlp_engine=Words(), supported_languages=["en"])
    print(f"presidio: {len(registry.recognizers)} recognisers", file=sys.stderr)

    def scan(text):
        found = engine.analyze(text, language="en", score_threshold=THRESHOLD)
        return [("pii", r.entity_type, r.start, r.end, r.score) for r in found]

    return scan


def detect_secrets():
    """Its default plug-ins and filters, as it scans the lines of a file."""
    from detect_secrets.core.scan import _process_line_based_plugins
    from detect_secrets.settings import default_settings

    # Its settings are global and live as long as this.
    settings = default_settings()
    settings.__enter__()

    def scan(text, settings=settings):
        lines = text.splitlines(keepends=True)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line))
        numbered = [(number, line.rstrip("\r\n")) for number, line in enumerate(lines, 1)]
        found = []
        for secret in _process_line_based_plugins(numbered, "row.txt"):
            value, number = secret.secret_value or "", secret.line_number - 1
            start = starts[number] + max(lines[number].find(value), 0)
            found.append(("secret", secret.type, start, start + len(value), 1.0))
        return found

    return scan


def main():
    tool = sys.argv[1]
    scan = {
        "presidio": lambda: presidio(False),
        "presidio-all": lambda: presidio(True),
        "detect-secrets": detect_secrets,
    }[tool]()
    scan("warm up: jane@example.com, 4111 1111 1111 1111")
    for path in sys.argv[2:]:
        opened = gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")
        with opened as lines:
            for number, line in enumerate(lines):
                text = json.loads(line)["text"]
                start = time.process_time()
                found = scan(text)
                micros = (time.process_time() - start) * 1e6
                findings = [
                    {"rule": f"{tool}.{name}", "kind": kind, "type": name, "start": start, "end": end,
                     "tier": "redact", "score": score}
                    for kind, name, start, end, score in found
                ]
                print(json.dumps({"file": path, "row": number, "findings": findings,
                                  "scores": {"injection": 0.0}, "micros": micros}))


if __name__ == "__main__":
    main()
