//! Addresses of crypto currencies.

use sha2::{Digest, Sha256};

/// Base58Check: the last four bytes are the double SHA-256 of the others. Ripple orders its alphabet otherwise.
pub(super) fn base58check(text: &str) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    const RIPPLE: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";
    let alphabet = if text.starts_with('r') { RIPPLE } else { ALPHABET };
    // One version byte, twenty of hash, four of check.
    let mut bytes = [0u8; 25];
    for byte in text.bytes() {
        let Some(mut carry) = alphabet.iter().position(|a| *a == byte) else {
            return false;
        };
        for place in bytes.iter_mut().rev() {
            carry += usize::from(*place) * 58;
            *place = (carry & 0xFF) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return false;
        }
    }
    // Each leading zero byte is written as the alphabet's first character.
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let ones = text.bytes().take_while(|b| *b == alphabet[0]).count();
    zeros == ones && Sha256::digest(Sha256::digest(&bytes[..21]))[..4] == bytes[21..]
}

/// Bech32 and Bech32m (BIP 173 and 350): a prefix, `1`, data, six characters of check.
pub(super) fn bech32(text: &str) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let one_case = text.bytes().all(|b| !b.is_ascii_uppercase()) || text.bytes().all(|b| !b.is_ascii_lowercase());
    let lower = text.to_ascii_lowercase();
    let Some((prefix, data)) = lower.rsplit_once('1') else {
        return false;
    };
    let step = |check: u32, value: u32| {
        let top = check >> 25;
        let next = (check & 0x01FF_FFFF) << 5 ^ value;
        [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3]
            .iter()
            .enumerate()
            .filter(|(bit, _)| top >> bit & 1 == 1)
            .fold(next, |c, (_, generator)| c ^ generator)
    };
    let high = prefix.bytes().map(|b| u32::from(b >> 5));
    let low = prefix.bytes().map(|b| u32::from(b & 31));
    let mut check = high.chain([0]).chain(low).fold(1, step);
    for byte in data.bytes() {
        let Some(value) = ALPHABET.iter().position(|a| *a == byte) else {
            return false;
        };
        check = step(check, value as u32);
    }
    one_case && !prefix.is_empty() && data.len() >= 6 && matches!(check, 1 | 0x2BC8_30A3)
}

/// An Ethereum address: the capitals of a mixed one are its check (EIP-55); one case has none.
pub(super) fn eip55(text: &str) -> bool {
    let Some(address) = text.get(2..).filter(|a| a.len() == 40) else {
        return false;
    };
    let has = |test: fn(&u8) -> bool| address.as_bytes().iter().any(test);
    if !has(u8::is_ascii_lowercase) || !has(u8::is_ascii_uppercase) {
        return has(|b| *b != b'0');
    }
    let hash = keccak256(address.to_ascii_lowercase().as_bytes());
    address.bytes().enumerate().all(|(i, byte)| {
        let nibble = hash[i / 2] >> (4 * (1 - i % 2)) & 15;
        byte.is_ascii_digit() || byte.is_ascii_uppercase() == (nibble >= 8)
    })
}

/// Keccak-256 with the padding from before SHA-3, of a message shorter than one block.
fn keccak256(message: &[u8]) -> [u8; 32] {
    const RATE: usize = 136;
    let mut block = [0u8; RATE];
    let length = message.len().min(RATE - 1);
    block[..length].copy_from_slice(&message[..length]);
    block[length] ^= 0x01;
    block[RATE - 1] ^= 0x80;
    let mut state = [0u64; 25];
    for (lane, bytes) in state.iter_mut().zip(block.chunks_exact(8)) {
        *lane = bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    }
    keccak_f(&mut state);
    let mut out = [0; 32];
    for (bytes, lane) in out.chunks_exact_mut(8).zip(state) {
        bytes.copy_from_slice(&lane.to_le_bytes());
    }
    out
}

/// The permutation Keccak-f[1600].
fn keccak_f(a: &mut [u64; 25]) {
    // Round constants come from a shift register: bit 2^j - 1 of round i is its (j + 7i)th output.
    let mut register = 1u8;
    for _ in 0..24 {
        // Theta
        let column: [u64; 5] = std::array::from_fn(|x| (0..5).fold(0, |c, y| c ^ a[x + 5 * y]));
        for (i, lane) in a.iter_mut().enumerate() {
            *lane ^= column[(i + 4) % 5] ^ column[(i % 5 + 1) % 5].rotate_left(1);
        }
        // Rho and pi
        let (mut x, mut y, mut current) = (1, 0, a[1]);
        for t in 0..24u32 {
            (x, y) = (y, (2 * x + 3 * y) % 5);
            let next = a[x + 5 * y];
            a[x + 5 * y] = current.rotate_left((t + 1) * (t + 2) / 2 % 64);
            current = next;
        }
        // Chi
        for row in a.chunks_exact_mut(5) {
            let old: [u64; 5] = std::array::from_fn(|x| row[x]);
            for (x, lane) in row.iter_mut().enumerate() {
                *lane = old[x] ^ (!old[(x + 1) % 5] & old[(x + 2) % 5]);
            }
        }
        // Iota
        for j in 0..7 {
            if register & 1 == 1 {
                a[0] ^= 1 << ((1u32 << j) - 1);
            }
            register = register << 1 ^ if register & 0x80 == 0 { 0 } else { 0x71 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::keccak256;

    #[test]
    fn keccak_gives_its_published_values() {
        let hex = |message: &[u8]| keccak256(message).map(|b| format!("{b:02x}")).concat();
        assert_eq!(
            hex(b""),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
        assert_eq!(
            hex(b"abc"),
            "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
        );
    }
}
