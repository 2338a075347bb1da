//! Addresses of networks.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Ends of file names that are no top-level domains.
const FILES: &[&str] = &[
    "css", "gif", "html", "ico", "jpeg", "jpg", "js", "json", "jsx", "pdf", "png", "scss", "svg", "toml", "tsx", "txt",
    "webp", "xml", "yaml", "yml",
];

/// Whether what has the form of an e-mail address is one.
pub(crate) fn is_email(text: &str) -> bool {
    let file = |end: &str| FILES.iter().any(|file| end.eq_ignore_ascii_case(file));
    !text.starts_with("git@") && !text.rsplit('.').next().is_some_and(file)
}

/// An IPv4 address, or a network as `address/length`; no netmask, and not the unspecified address alone.
pub(crate) fn is_ipv4(text: &str) -> bool {
    let (address, length) = split_prefix(text);
    let network = length.is_some();
    length.unwrap_or(0) <= 32
        && address
            .parse::<Ipv4Addr>()
            .is_ok_and(|ip| (network || !ip.is_unspecified()) && !ip.is_broadcast() && ip.octets()[..3] != [255; 3])
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
