//! Addresses of networks.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>()
        .is_ok_and(|ip| !ip.is_unspecified() && !ip.is_broadcast() && ip.octets()[..3] != [255; 3])
}

pub(crate) fn is_ipv6(text: &str) -> bool {
    let groups = text.split(':').filter(|g| !g.is_empty()).count();
    text.parse::<Ipv6Addr>().is_ok_and(|ip| !ip.is_unspecified())
        && (groups >= 3 || text == "::1" || (text.len() >= 8 && text.bytes().any(|b| b.is_ascii_digit())))
}
