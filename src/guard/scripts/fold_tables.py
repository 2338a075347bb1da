"""Writes src/views/tables.rs: which characters stand for which ASCII character.

Facts come from Unicode: compatibility decompositions (UnicodeData.txt, as `unicodedata` has them), and
confusables.txt of UTS #39 as JSON (the file of the Python package confusable_homoglyphs), both under
the Unicode License V3. Letters that people use as look-alikes but that the data folds otherwise, or
not at all, are listed here.

    python3 fold_tables.py confusables.json > ../src/views/tables.rs
"""

import json
import sys
import unicodedata as ud

# What looks like what: letters first, then those that look alike only at a glance.
BY_HAND = {
    # Cyrillic
    "а": "a", "в": "b", "с": "c", "ԁ": "d", "е": "e", "ё": "e", "ғ": "f", "һ": "h", "і": "i", "ї": "i", "ј": "j", "к": "k",
    "ӏ": "l", "м": "m", "н": "h", "о": "o", "р": "p", "ԛ": "q", "г": "r", "ѕ": "s", "т": "t", "ц": "u", "ѵ": "v",
    "ԝ": "w", "х": "x", "у": "y", "ү": "y", "ұ": "y", "з": "3", "п": "n", "и": "u", "ш": "w", "є": "e", "ԍ": "g",
    "А": "A", "В": "B", "С": "C", "Е": "E", "Ё": "E", "Ғ": "F", "Ԍ": "G", "Н": "H", "І": "I", "Ї": "I", "Ј": "J", "К": "K",
    "М": "M", "О": "O", "Р": "P", "Ѕ": "S", "Т": "T", "Ѵ": "V", "Ԝ": "W", "Х": "X", "У": "Y", "Ү": "Y", "Ӏ": "I",
    "Д": "D", "И": "N", "Я": "R", "я": "r",
    # Greek
    "α": "a", "β": "b", "γ": "y", "δ": "d", "ε": "e", "ζ": "z", "η": "n", "θ": "0", "ι": "i", "κ": "k", "λ": "l", "μ": "u",
    "ν": "v", "ξ": "e", "ο": "o", "π": "n", "ρ": "p", "σ": "o", "ς": "s", "τ": "t", "υ": "u", "φ": "o", "χ": "x", "ω": "w",
    "Α": "A", "Β": "B", "Ε": "E", "Ζ": "Z", "Η": "H", "Ι": "I", "Κ": "K", "Λ": "A", "Μ": "M", "Ν": "N", "Ο": "O", "Ρ": "P",
    "Σ": "E", "Τ": "T", "Υ": "Y", "Χ": "X", "ϲ": "c", "ϳ": "j", "Ϲ": "C", "Ϳ": "J",
    # Latin beyond ASCII that does not decompose
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "ı": "i", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T",
    "ɑ": "a", "ɡ": "g", "ɩ": "i", "ʟ": "L", "ɴ": "N", "ʀ": "R", "ᴀ": "A", "ʙ": "B", "ᴄ": "C", "ᴅ": "D", "ᴇ": "E", "ꜰ": "F",
    "ɢ": "G", "ʜ": "H", "ɪ": "I", "ᴊ": "J", "ᴋ": "K", "ᴍ": "M", "ᴏ": "O", "ᴘ": "P", "ꞯ": "Q", "ꜱ": "S", "ᴛ": "T", "ᴜ": "U",
    "ᴠ": "V", "ᴡ": "W", "ʏ": "Y", "ᴢ": "Z", "ƨ": "s", "ƽ": "s", "ɐ": "a", "ɔ": "c", "ǝ": "e", "ɟ": "f", "ƃ": "g", "ɥ": "h",
    "ᴉ": "i", "ɾ": "j", "ʞ": "k", "ɯ": "m", "ɹ": "r", "ʇ": "t", "ʌ": "v", "ʍ": "w", "ʎ": "y", "ɓ": "b", "ƈ": "c", "ɗ": "d",
    "ɠ": "g", "ɦ": "h", "ɨ": "i", "ƙ": "k", "ɱ": "m", "ɲ": "n", "ƞ": "n", "ƥ": "p", "ʂ": "s", "ƭ": "t", "ʋ": "v", "ƴ": "y",
    "ʐ": "z", "ŋ": "n", "Ŋ": "N", "ɛ": "e", "ƒ": "f",
    # Armenian, Cherokee, others
    "օ": "o", "ո": "n", "ս": "u", "հ": "h", "ց": "g", "զ": "q", "Տ": "S", "Օ": "O", "Լ": "L",
    "Ꭺ": "A", "Ᏼ": "B", "Ꮯ": "C", "Ꭰ": "D", "Ꭼ": "E", "Ꮐ": "G", "Ꮋ": "H", "Ꭵ": "i", "Ꭻ": "J", "Ꮶ": "K", "Ꮮ": "L", "Ꮇ": "M",
    "Ꮲ": "P", "Ꭱ": "R", "Ꮪ": "S", "Ꭲ": "T", "Ꮩ": "V", "Ꮃ": "W", "Ꮍ": "Y", "Ꮓ": "Z",
}
CONFUSABLES = json.load(open(sys.argv[1]))
# Blocks whose letters are written in words of their own scripts, and never meant as ASCII.
NOT = ["HEBREW", "ARABIC", "CJK", "KANGXI", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO", "DEVANAGARI", "BENGALI", "GURMUKHI",
       "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "THAI", "LAO", "MYANMAR", "TIBETAN", "KHMER",
       "NKO", "THAANA", "SYRIAC"]


def ascii_alnum(text):
    return text if len(text) == 1 and text.isascii() and text.isprintable() and text != " " else None


def compat(char):
    """What a compatibility form of an ASCII character folds to."""
    if ud.normalize("NFC", char) == char and ud.normalize("NFD", char) == char:
        return ascii_alnum(ud.normalize("NFKC", char))
    return None


def enclosed(char):
    """Circled, squared, parenthesized and regional letters."""
    name = ud.name(char, "")
    for lead in ["NEGATIVE CIRCLED LATIN CAPITAL LETTER ", "NEGATIVE SQUARED LATIN CAPITAL LETTER ",
                 "SQUARED LATIN CAPITAL LETTER ", "PARENTHESIZED LATIN CAPITAL LETTER ",
                 "CIRCLED LATIN CAPITAL LETTER ", "TORTOISE SHELL BRACKETED LATIN CAPITAL LETTER "]:
        if name.startswith(lead) and len(name) == len(lead) + 1:
            return name[-1]
    if name.startswith("PARENTHESIZED LATIN SMALL LETTER "):
        return name[-1].lower()
    return None


def skeleton(char):
    """What a letter is taken for by somebody who looks only at its shape."""
    if char in BY_HAND:
        return BY_HAND[char]
    base = "".join(c for c in ud.normalize("NFKD", char) if not ud.combining(c))
    if found := ascii_alnum(base) or enclosed(char):
        return found
    if len(base) == 1 and base in BY_HAND:
        return BY_HAND[base]
    if any(word in ud.name(char, "") for word in NOT) or ud.category(char)[0] not in "LN":
        return None
    for other in CONFUSABLES.get(char, []):
        if len(other["c"]) == 1 and other["c"].isascii() and other["c"].isalnum():
            return other["c"]
    return None


def ranges(of, skip):
    found = []
    for code in range(0x80, 0x20000):
        if 0xD800 <= code < 0xE000 or skip(code):
            continue
        to = of(chr(code))
        if to is None:
            continue
        to = ord(to)
        if found:
            start, end, first, step = found[-1]
            if end == code - 1 and (step == 1 or start == end) and to == first + code - start:
                found[-1] = (start, code, first, 1)
                continue
            if end == code - 1 and (step == 0 or start == end) and to == first:
                found[-1] = (start, code, first, 0)
                continue
        found.append((code, code, to, 0))
    return found


def print_table(name, doc, rows):
    print(f"\n/// {doc}\n#[rustfmt::skip]\npub(super) const {name}: [(u32, u8, u8, u8); {len(rows)}] = [")
    for i in range(0, len(rows), 6):
        cells = (f"(0x{s:X}, {e - s}, {first}, {step})," for s, e, first, step in rows[i:i + 6])
        print("    " + " ".join(cells))
    print("];")


# ª º ² ³ ¹ and the digits of lists stay in the view that every rule sees; fullwidth forms are arithmetic.
plain = ranges(compat, lambda c: c < 0x2C0 or 0x2070 <= c < 0x20A0 or 0x2460 <= c < 0x24B6 or 0xFF00 <= c < 0xFF5F)
primary = {c for s, e, *_ in plain for c in range(s, e + 1)} | set(range(0xFF00, 0xFF5F))
looks = ranges(skeleton, lambda c: c in primary)
assert all(e - s < 256 for s, e, *_ in plain + looks)
print("//! Made by `scripts/fold_tables.py` from Unicode data: change that, not this.\n//!")
print("//! Rows are `(first character, further characters, ASCII of the first, ASCII step for each further one)`.")
print_table("COMPAT", "Compatibility forms of ASCII characters: styled, circled, small.", plain)
print_table("LOOKS", "Characters that look like an ASCII letter or digit, or are one with marks.", looks)
