//! Placeholders in a pack's examples: `{{alnum:36}}` stands for 36 letters and digits.
//!
//! Examples of secrets would look like live secrets to every scanner that reads the repository, so
//! packs write their shape and tests expand it, always to the same text.

/// Expands every placeholder of `text`. `Err` names the one that is not understood.
pub(crate) fn expand(text: &str, seed: &str) -> Result<String, String> {
    let mut random = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let Some(close) = rest[open..].find("}}") else { break };
        let name = &rest[open + 2..open + close];
        let Some((alphabet, count)) = parse(name) else {
            // Prompt templates use double braces as well: what is no placeholder of ours stays.
            if name.contains(':') && !name.contains(' ') {
                return Err(format!(
                    "unknown placeholder `{{{{{name}}}}}`: use alnum, alpha, lower, upper, digit, hex, HEX, base32, bech32, base64 or base64url with a length of 1 to 4096"
                ));
            }
            out.push_str(&rest[..open + close + 2]);
            rest = &rest[open + close + 2..];
            continue;
        };
        out.push_str(&rest[..open]);
        for _ in 0..count {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            out.push(char::from(alphabet[(random >> 33) as usize % alphabet.len()]));
        }
        rest = &rest[open + close + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

fn parse(placeholder: &str) -> Option<(&'static [u8], usize)> {
    let (name, count) = placeholder.split_once(':')?;
    let alphabet: &[u8] = match name {
        "alnum" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "alpha" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "lower" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        "upper" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "digit" => b"0123456789",
        "hex" => b"0123456789abcdef",
        "HEX" => b"0123456789ABCDEF",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "bech32" => b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
        "base64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "base64url" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        _ => return None,
    };
    let count = count.parse().ok().filter(|n| (1..=4096).contains(n))?;
    Some((alphabet, count))
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn expansion_is_deterministic_and_of_the_right_shape() {
        let text = expand("key-{{hex:8}} {{digit:3}}.", "rule").unwrap();
        assert_eq!(text, expand("key-{{hex:8}} {{digit:3}}.", "rule").unwrap());
        assert_ne!(text, expand("key-{{hex:8}} {{digit:3}}.", "other").unwrap());
        assert_eq!(text.len(), "key-12345678 123.".len());
        assert_ne!(
            expand("{{alnum:9}}", "r").unwrap(),
            expand("{{alnum:9}}{{alnum:9}}", "r").unwrap()[9..]
        );
    }

    #[test]
    fn foreign_braces_stay_and_typos_are_errors() {
        assert_eq!(expand("{{user}} {{ a:b }} {{", "r").unwrap(), "{{user}} {{ a:b }} {{");
        assert!(expand("{{alnun:9}}", "r").is_err());
        assert!(expand("{{hex:99999}}", "r").is_err());
    }
}
