#!/usr/bin/env python3
"""Prints docs/guard-quality.md: quality.py EVAL STREAM UNSEEN PEERS DATE

EVAL: `weir guard eval --json`; STREAM: the example `stream-figures`; UNSEEN: `train-injection --measure`;
PEERS: the table of report.py. run.sh makes them all.
"""

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


def goals(report, stream, unseen):
    """The figures that the packs are built towards, and what was measured."""
    kinds, over = report["kinds"], report["over_refusal"].get("all", {}).get("blocked", {})
    pii, secret = kinds["pii"]["spans"]["patterns"]["typed"], kinds["secret"]["rows"]
    negatives = report["hard_negatives"].get("pii/synth-hard-negative", {}).get("flagged", {})
    prompts, attacks = report["benign_prompts"]["secret"]["flagged"], report["injection"]
    evasion, speed = report["evasion"]["all"], report["micros_per_2kib"]
    held = stream["held_characters"]
    return [
        ("personal data, spans that patterns can see, typed F1", "0.92; 0.96", f"{pii['f1']:.3f}"),
        ("the same, hard negatives flagged", "4%; 3%", percent(negatives.get("rate"))),
        ("secrets, precision / recall / F1", "0.98 / 0.90 / 0.94; 0.985 / 0.95 / 0.965",
         " / ".join(f"{secret[k]:.3f}" for k in ("precision", "recall", "f1"))),
        ("the same, harmless prompts flagged", "0.1%; 0.05%", percent(prompts["rate"], 2)),
        ("attacks, recall at 1% / 0.1% false positives, rows that were trained on", "",
         f"{attacks['at_1_percent']['recall']['rate']:.3f} / {attacks['at_01_percent']['recall']['rate']:.3f}"),
        ("the same, the classifier alone on texts that it has not seen", "0.65 / 0.45; 0.75 / 0.60", unseen[0]),
        ("the same, the classifier alone on sources that it has not seen", "", unseen[1]),
        ("attacks blocked by the shipped thresholds; harmless texts blocked", "",
         f"{percent(attacks['shipped_block']['recall']['rate'])}; {percent(attacks['shipped_block']['false_positives']['rate'], 2)}"),
        ("obfuscated attacks caught, through plain ones caught", "0.95; 0.98", f"{evasion['flagged_ratio']:.3f}"),
        ("NotInject and XSTest, blocked", "1.5%; 0.7%", percent(over.get("rate"), 2)),
        ("µs for 2 KiB of mostly ASCII prompts, p50 (mean)", "30; 20",
         f"{speed['prompts_ascii']['p50']:.0f} ({speed['prompts_ascii']['mean']:.0f})"),
        ("µs for 2 KiB of prompts in other scripts, p50 (mean)", "90; 50",
         f"{speed['prompts_other']['p50']:.0f} ({speed['prompts_other']['mean']:.0f})"),
        ("streaming, µs for a piece of five bytes, mean", "1; 0.3", f"{stream['micros_per_piece']['mean']:.2f}"),
        ("characters held back, mean / p99", "6 / 24; 4 / 15", f"{held['mean']:.1f} / {held['p99']}"),
        ("ms to compile every pack at start", "300; 100", f"{stream['compile_ms']:.0f}"),
    ]


def unseen_of(lines):
    """Recall at 1% and at 0.1% of each way of leaving texts out, as `train-injection --measure` tells."""
    found = [line.split()[1] for line in lines if line.startswith("  recall ") and "false positives (margin" in line]
    return [" / ".join(found[at:at + 2]) for at in range(0, len(found), 2)]


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        stream = json.load(file)
    with open(sys.argv[3], encoding="utf-8") as file:
        unseen = unseen_of(file)
    with open(sys.argv[4], encoding="utf-8") as file:
        peers = file.read()
    kinds, date = report["kinds"], sys.argv[5]
    print("# How good the packs are\n")
    print(f"Measured on {date}, every built-in pack on ({', '.join(report['packs'])}; {stream['rules'][0]} rules for "
          f"input, {stream['rules'][1]} for output), by\n")
    print("    benches/run.sh guard\n")
    print("which writes this page. The rows are those of [src/guard/data](../src/guard/data/README.md), whose sources and "
          "licences are listed there. The packs were made and the classifier was trained with these rows in sight, so other "
          "texts will do worse. What each figure means is in "
          "[guardrails.md](guardrails.md#weir-guard-eval-how-good-it-is). In brackets: Wilson 95% interval.\n")
    print("## In short\n")
    table(["what", "at least; aim", "measured"], [list(row) for row in goals(report, stream, unseen)])
    print(f"Streaming: each of {stream['texts']:,} different harmless texts of these rows taken for an answer, in pieces of five "
          "bytes. Times are of one core of the machine at hand, other work on it included.\n")
    print("## Beside others\n")
    print("The same rows, counted by the same code; only every tenth harmless prompt. Presidio has its patterns for English "
          "and no model" + ("; `presidio-all` has those of every country" if "| presidio-all |" in peers else "") + ".\n")
    print(peers)

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
    # Looked at by hand: true of the nine rows that are there now.
    if kinds["secret"]["rows"]["false_positives"] == 9:
        hits = kinds["secret"]["rows"]["true_positives"]
        print("Of the nine harmless rows in which a secret is found, [seven contradict other rows](../src/guard/data/README.md): "
              f"without them precision is {hits / (hits + 2):.3f}. The two others are 40 and 60 hexadecimal digits given to a name "
              "with `meraki` in it.\n")

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
