#!/usr/bin/env python3
"""One table of the reports of `weir guard eval --json`: report.py NAME=FILE…"""

import json
import sys


def percent(value, digits=1):
    return "–" if value is None else f"{100 * value:.{digits}f}%"


def three(counts):
    return " / ".join(percent(counts[k]) for k in ("precision", "recall", "f1")) if counts else "–"


def micros(speed):
    return f"{speed['p50']:,.1f} / {speed['p99']:,.1f}" if speed else "–"


def main():
    head = ["tool", "PII spans, typed: precision / recall / F1", "untyped F1", "PII hard negatives flagged",
            "secrets, rows: precision / recall / F1", "prompts with a secret flagged",
            "µs for 2 KiB, ASCII prompts: p50 / p99", "other prompts: p50 / p99"]
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for argument in sys.argv[1:]:
        name, path = argument.split("=", 1)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        # A tool that finds nothing of a kind was not made for it.
        pii = report["kinds"]["pii"]["spans"]["patterns"]
        has_pii = pii["typed"]["true_positives"] > 0
        secret = report["kinds"]["secret"]["rows"]
        has_secrets = secret["true_positives"] > 0 and "presidio" not in name
        negatives = report["hard_negatives"].get("pii/synth-hard-negative", {}).get("flagged", {})
        prompts = report["benign_prompts"]["secret"]["flagged"]
        speed = report["micros_per_2kib"]
        print("| " + " | ".join([
            name,
            three(pii["typed"]) if has_pii else "–",
            percent(pii["untyped"]["f1"]) if has_pii else "–",
            percent(negatives.get("rate")) if has_pii else "–",
            three(secret) if has_secrets else "–",
            percent(prompts["rate"], 2) if has_secrets else "–",
            micros(speed["prompts_ascii"]),
            micros(speed["prompts_other"]),
        ]) + " |")


if __name__ == "__main__":
    main()
