//! Tokens and how random they look.

pub(crate) fn is_jwt(text: &str) -> bool {
    let Some(header) = text.split('.').next() else {
        return false;
    };
    let decoded = base64url(header);
    decoded.starts_with(b"{") && decoded.trim_ascii_end().ends_with(b"}") && decoded.windows(5).any(|w| w == b"\"alg\"")
}

fn base64url(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => break,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// Shannon entropy of the bytes of `text`, bits a byte.
pub(crate) fn entropy(text: &str) -> f32 {
    let mut counts = [0u32; 256];
    text.bytes().for_each(|b| counts[usize::from(b)] += 1);
    let total = text.len() as f32;
    counts
        .iter()
        .filter(|c| **c > 0)
        .map(|c| *c as f32 / total)
        .map(|p| -p * p.log2())
        .sum()
}
