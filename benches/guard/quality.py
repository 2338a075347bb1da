#!/usr/bin/env python3
"""docs/guard-quality.md from a report of `weir guard eval --json`: quality.py REPORT DATE > docs/guard-quality.md"""

import json
import sys


def percent(value, digits=1):
    return "–" if value is None else f"{100 * value:.{digits}f}%"


def share(s, digits=1):
    if not s or not s["of"]:
        return "–"
    low, high = s["rate_95"]
    return f"{percent(s['rate'], digits)} [{percent(low, digits)}, {percent(high, digits)}] of {s['of']:,}"


def prf(counts):
    return " | ".join(percent(counts[k]) for k in ("precision", "recall", "f1"))


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    kinds, date = report["kinds"], sys.argv[2]
    print("# How good the packs are\n")
    print(f"Measured on {date} with every built-in pack on ({', '.join(report['packs'])}; policy {report['policy']}), by\n")
    print("    weir guard eval src/guard/data/*.jsonl.gz --json > report.json")
    print("    benches/guard/quality.py report.json DATE > docs/guard-quality.md\n")
    print("on the development rows, whose sources and licences are listed beside them. The packs and the classifier were "
          "made with these rows in sight, so other texts will do worse. What each figure means is in "
          "[guardrails.md](guardrails.md#weir-guard-eval-how-good-it-is). In brackets: Wilson 95% interval.\n")

    print("## Personal data\n")
    pii = kinds["pii"]
    table(["spans", "precision", "recall", "F1"],
          [[f"{name}, {how}", *prf(pii["spans"][group][how]).split(" | ")]
           for group, name in [("patterns", "what patterns can see"), ("covered", "types that the packs name"),
                               ("all", "every annotated span")]
           for how in ("typed", "untyped", "exact")])
    print("By type, typed, with 10 annotated spans or more:\n")
    rows = [(name, c["typed"]) for name, c in report["entities"].items()]
    rows = [(n, c) for n, c in rows if c["true_positives"] + c["false_negatives"] >= 10]
    table(["type", "spans", "precision", "recall", "F1"],
          [[n, str(c["true_positives"] + c["false_negatives"]), *prf(c).split(" | ")] for n, c in rows])

    print("## Secrets\n")
    rows = [(n, g["rows"]) for n, g in [("all", kinds["secret"])] +
            [(n.split("/", 1)[1], g) for n, g in report["sources"].items() if n.startswith("secret/")]]
    table(["rows of", "precision", "recall", "F1", "harmless rows flagged"],
          [[n, *prf(c).split(" | "), percent(c["false_positive_rate"])] for n, c in rows])

    print("## Attacks\n")
    attacks = report["injection"]
    names = [("shipped_flag", "shipped thresholds, flagged"), ("shipped_block", "shipped thresholds, blocked"),
             ("at_1_percent", "1% false positives, threshold chosen on these rows"),
             ("at_01_percent", "0.1% false positives, threshold chosen on these rows")]
    table(["decided by", "threshold", "recall", "false positives"],
          [[name, "–" if attacks[k]["threshold"] is None else f"{attacks[k]['threshold']:.4f}",
            share(attacks[k]["recall"]), share(attacks[k]["false_positives"], 2)] for k, name in names])
    print("Flagged and blocked by source:\n")
    table(["source", "flagged", "blocked"],
          [[n, share(s), share(attacks["shipped_block"]["sources"][n])]
           for n, s in attacks["shipped_flag"]["sources"].items()])
    print("Obfuscated attacks beside the same ones in plain:\n")
    table(["obfuscation", "rows", "plain flagged", "obfuscated flagged", "the one through the other", "blocked, likewise"],
          [[n, str(e["plain_flagged"]["of"]), percent(e["plain_flagged"]["rate"]),
            percent(e["obfuscated_flagged"]["rate"]), percent(e["flagged_ratio"]), percent(e["blocked_ratio"])]
           for n, e in report["evasion"].items()])

    print("## Other packs\n")
    other = [(n, g["rows"]) for n, g in kinds.items() if n in ("toxic", "exfil_code", "harmful_request")]
    table(["kind of row", "precision", "recall", "F1"], [[n, *prf(c).split(" | ")] for n, c in other])
    print("Harmful requests are no attacks on the model; no pack looks for them.\n")

    print("## False alarms\n")
    table(["harmless rows", "flagged", "blocked"],
          [[f"hard negatives: {n}", share(s["flagged"]), share(s["blocked"])]
           for n, s in report["hard_negatives"].items()] +
          [[f"over-refusal: {n}", share(s["flagged"]), share(s["blocked"])]
           for n, s in report["over_refusal"].items()] +
          [[f"prompts, finding of kind {n}", share(s["flagged"], 2), share(s["blocked"], 2)]
           for n, s in report["benign_prompts"].items()])

    print("## Speed\n")
    speeds = [("prompts_ascii", "harmless prompts, mostly ASCII"), ("prompts_other", "harmless prompts, other scripts"),
              ("all", "all rows")]
    table(["µs for 2 KiB, one core", "rows", "p50", "p99", "mean"],
          [[name, f"{s['rows']:,}", f"{s['p50']:.1f}", f"{s['p99']:.1f}", f"{s['mean']:.1f}"]
           for k, name in speeds if (s := report["micros_per_2kib"][k])])


if __name__ == "__main__":
    main()
