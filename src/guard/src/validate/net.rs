//! Addresses of networks.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Ends of file names that are no top-level domains.
const FILES: &[&str] = &[
    "css", "csv", "gif", "gz", "html", "ico", "jpeg", "jpg", "js", "json", "jsx", "pdf", "png", "scss", "svg", "tar",
    "tgz", "toml", "tsx", "txt", "webp", "xml", "yaml", "yml",
];

/// Common ends of addresses that are no countries'.
const DOMAINS: &[&str] = &[
    "app", "biz", "com", "dev", "edu", "gov", "info", "int", "mil", "net", "online", "org", "shop", "xyz",
];

/// The accepted prefix of what has the form of an e-mail address. Files are named after addresses
/// (`jane@example.com.pdf`, `jane@example.com-invoice.pdf`, `jane@example.com_2024`): the address is in there if
/// what is left of it ends like one.
pub(crate) fn email(text: &str) -> Option<usize> {
    let at = text.find('@')?;
    if text.starts_with("git@") {
        return None;
    }
    let address = text.trim_end_matches('_');
    let mut end = address.len();
    loop {
        let (rest, last) = address[at + 1..end].rsplit_once('.')?;
        let file = FILES.iter().any(|file| last.eq_ignore_ascii_case(file));
        if !file && !last.contains('-') && last.bytes().any(|b| !b.is_ascii_digit()) {
            let known = DOMAINS.iter().any(|known| last.eq_ignore_ascii_case(known));
            let country = last.len() == 2 && rest.bytes().any(|b| b.is_ascii_alphabetic());
            return (end == address.len() || known || country).then_some(end);
        }
        end = match last.split_once('-') {
            Some((domain, _)) if !file => at + 1 + rest.len() + 1 + domain.len(),
            _ => at + 1 + rest.len(),
        };
    }
}

/// The accepted prefix of an IPv4 address, or of a network as `address/length`; no netmask, and not the unspecified
/// address alone.
pub(crate) fn ipv4(text: &str) -> Option<usize> {
    let (address, length) = split_prefix(text);
    let network = length.is_some_and(|length| length <= 32);
    let ip = address.parse::<Ipv4Addr>().ok()?;
    let accepted = (network || !ip.is_unspecified()) && !ip.is_broadcast() && ip.octets()[..3] != [255; 3];
    accepted.then_some(if network { text.len() } else { address.len() })
}

/// The accepted prefix of an IPv6 address that may have a zone or a prefix length behind it.
pub(crate) fn ipv6(text: &str) -> Option<usize> {
    let (bare, _) = text.split_once('%').unwrap_or((text, ""));
    let (address, length) = split_prefix(bare);
    let end = match length {
        Some(129..) => address.len(),
        _ => text.len(),
    };
    is_ipv6(address).then_some(end)
}

fn split_prefix(text: &str) -> (&str, Option<u32>) {
    match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse().unwrap_or(u32::MAX))),
        None => (text, None),
    }
}

fn is_ipv6(text: &str) -> bool {
    let groups = text.split(':').filter(|g| !g.is_empty()).count();
    let telling = groups >= 3
        || text == "::1"
        || text.contains('.')
        || (text.len() >= 6 && text.contains("::") && groups > 0 && has_digit(text));
    text.parse::<Ipv6Addr>().is_ok_and(|ip| !ip.is_unspecified()) && telling
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

/// Six pairs of hexadecimal digits with one separator, or three groups of four.
pub(crate) fn is_mac(text: &str) -> bool {
    let separator = text.bytes().find(|b| !b.is_ascii_hexdigit());
    let hex: Vec<u8> = text
        .bytes()
        .filter(u8::is_ascii_hexdigit)
        .map(|b| b.to_ascii_lowercase())
        .collect();
    let one = text.bytes().all(|b| b.is_ascii_hexdigit() || Some(b) == separator);
    one && hex.len() == 12 && !hex.iter().all(|b| *b == b'0') && !hex.iter().all(|b| *b == b'f')
}
