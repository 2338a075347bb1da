#!/usr/bin/env python3
"""What Presidio (patterns only) or detect-secrets finds in labelled rows, in the form that
`weir guard eval --from` counts.

    peers.py presidio|detect-secrets FILE… > verdicts.jsonl
"""

import gzip
import inspect
import json
import logging
import sys
import time

# Presidio grades every match; below this it is a guess.
THRESHOLD = 0.4


def presidio():
    """Every pattern recogniser it ships, of every country, with context words and without a model."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, PatternRecognizer, RecognizerRegistry
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
    for name, kind in inspect.getmembers(shipped, inspect.isclass):
        if not issubclass(kind, EntityRecognizer):
            continue
        if issubclass(kind, PatternRecognizer) or name == "PhoneRecognizer":
            registry.add_recognizer(kind(supported_language="en"))
    engine = AnalyzerEngine(registry=registry, nlp_engine=Words(), supported_languages=["en"])
    print(f"presidio: {len(registry.recognizers)} recognisers", file=sys.stderr)

    def scan(text):
        found = engine.analyze(text, language="en", score_threshold=THRESHOLD)
        return [("pii", r.entity_type, r.start, r.end, r.score) for r in found]

    return scan


def detect_secrets():
    """Its default plug-ins and filters, line by line, as it scans files."""
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    # Its settings are global and live as long as this.
    settings = default_settings()
    settings.__enter__()

    def scan(text, settings=settings):
        found, at = [], 0
        for line in text.splitlines(keepends=True):
            for secret in scan_line(line.rstrip("\r\n")):
                value = secret.secret_value or ""
                start = at + max(line.find(value), 0)
                found.append(("secret", secret.type, start, start + len(value), 1.0))
            at += len(line)
        return found

    return scan


def main():
    tool = sys.argv[1]
    scan = {"presidio": presidio, "detect-secrets": detect_secrets}[tool]()
    scan("warm up: jane@example.com, 4111 1111 1111 1111")
    for path in sys.argv[2:]:
        opened = gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")
        with opened as lines:
            for number, line in enumerate(lines):
                text = json.loads(line)["text"]
                start = time.perf_counter()
                found = scan(text)
                micros = (time.perf_counter() - start) * 1e6
                findings = [
                    {"rule": f"{tool}.{name}", "kind": kind, "type": name, "start": start, "end": end,
                     "tier": "redact", "score": score}
                    for kind, name, start, end, score in found
                ]
                print(json.dumps({"file": path, "row": number, "findings": findings,
                                  "scores": {"injection": 0.0}, "micros": micros}))


if __name__ == "__main__":
    main()
