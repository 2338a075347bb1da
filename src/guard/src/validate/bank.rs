//! Numbers of bank accounts.

/// Lengths from the IBAN registry (SWIFT, ISO 13616), by country.
const IBAN_LENGTHS: &[(&str, u8)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

pub(crate) fn iban(text: &str) -> Option<usize> {
    let country = text.get(..2)?.to_ascii_uppercase();
    let length = IBAN_LENGTHS.iter().find(|(c, _)| *c == country)?.1;
    let mut compact = Vec::with_capacity(34);
    let mut end = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() {
            compact.push(byte.to_ascii_uppercase());
            if compact.len() == usize::from(length) {
                end = at + 1;
                break;
            }
        }
    }
    if end == 0 || text.as_bytes().get(end).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let remainder = compact[4..].iter().chain(&compact[..4]).fold(0u32, |r, b| match b {
        b'0'..=b'9' => (r * 10 + u32::from(b - b'0')) % 97,
        letter => (r * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    (remainder == 1).then_some(end)
}

/// A business identifier code (ISO 9362): letters five and six are a country.
pub(crate) fn is_bic(text: &str) -> bool {
    const WITHOUT_IBAN: &[&str] = &[
        "AO", "AR", "AU", "BB", "BD", "BM", "BO", "BS", "CA", "CI", "CL", "CM", "CN", "CO", "CW", "EC", "ET", "FJ",
        "GH", "HK", "ID", "IN", "JE", "JM", "JP", "KE", "KH", "KR", "KY", "LK", "MA", "MO", "MX", "MY", "MZ", "NA",
        "NG", "NP", "NZ", "PA", "PE", "PH", "PR", "PY", "RW", "SG", "SN", "TH", "TT", "TW", "TZ", "UG", "US", "UY",
        "UZ", "VE", "VN", "ZA", "ZM", "ZW", "GG", "IM", "GA", "TG", "BJ", "BF", "ML", "NE", "CD", "CG", "DZ", "KG",
        "TJ", "TM", "AM", "LA", "MM",
    ];
    let country = text.get(4..6).map(str::to_ascii_uppercase).unwrap_or_default();
    matches!(text.len(), 8 | 11)
        && (WITHOUT_IBAN.contains(&country.as_str()) || IBAN_LENGTHS.iter().any(|(c, _)| *c == country))
}
