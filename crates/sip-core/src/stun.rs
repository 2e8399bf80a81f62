//! STUN Binding (RFC 8489), as much as the keep-alive of SIP over UDP needs (RFC 5626 §4.4.2, §8): a client asks, we say
//! which address we see. Nothing is authenticated and nothing is kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Length of the header, in bytes.
pub const HEADER: usize = 20;
/// Longest message that is read, in bytes; a keep-alive is 20 to 60 bytes long.
pub const MAX_MESSAGE: usize = 576;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const REQUEST: u16 = 0x0001;
const INDICATION: u16 = 0x0011;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;
const MAPPED_ADDRESS: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const FINGERPRINT: u16 = 0x8028;
/// USERNAME, MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH, REALM, NONCE: they must be
/// understood by whoever reads them, and mean nothing to a server that authenticates nobody.
const IGNORED: [u16; 7] = [0x0006, 0x0008, 0x001c, 0x001d, 0x001e, 0x0014, 0x0015];
/// Most unknown attributes that are named in an error.
const MAX_UNKNOWN: usize = 8;

/// Names a request and its response.
pub type TransactionId = [u8; 12];

/// Why bytes are no STUN message that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    /// Not STUN at all: the first bits or the magic cookie say so.
    #[error("not a STUN message")]
    NotStun,
    /// The lengths do not fit together, or it is too long.
    #[error("malformed STUN message")]
    Malformed,
    /// The FINGERPRINT is wrong or is not the last attribute.
    #[error("wrong STUN fingerprint")]
    Fingerprint,
    /// A class or method other than those of [`Kind`].
    #[error("unsupported STUN method")]
    Method,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Binding request, with the attributes that had to be understood and were not.
    Request {
        /// Their types, at most eight.
        unknown: Vec<u16>,
    },
    /// Binding indication: it opens a NAT's door and gets no answer.
    Indication,
    /// Binding success response, with the address that the server sees.
    Success {
        /// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of an old server.
        mapped: Option<SocketAddr>,
    },
    /// Binding error response.
    Error {
        /// 300-699.
        code: u16,
    },
}

/// A STUN message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stun {
    /// What it is.
    pub kind: Kind,
    /// The transaction.
    pub id: TransactionId,
    /// True if it carried a FINGERPRINT, which was right.
    pub fingerprint: bool,
}

/// True if a datagram on a SIP port is for STUN: SIP begins with a letter, STUN with two zero bits (RFC 5626 §8).
pub fn is_stun(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER && bytes[0] & 0xc0 == 0 && bytes[4..8] == COOKIE
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

impl Stun {
    /// Reads one message that fills `bytes`.
    ///
    /// # Errors
    /// See [`StunError`]; none of them is answered.
    pub fn parse(bytes: &[u8]) -> Result<Stun, StunError> {
        if !is_stun(bytes) {
            return Err(StunError::NotStun);
        }
        let length = usize::from(u16_at(bytes, 2).ok_or(StunError::Malformed)?);
        if length % 4 != 0 || bytes.len() > MAX_MESSAGE || bytes.len() != HEADER + length {
            return Err(StunError::Malformed);
        }
        let mut id = [0; 12];
        id.copy_from_slice(&bytes[8..HEADER]);
        let (mut unknown, mut mapped, mut code, mut fingerprint) = (Vec::new(), None, None, false);
        let mut at = HEADER;
        while at < bytes.len() {
            if fingerprint {
                return Err(StunError::Fingerprint);
            }
            let kind = u16_at(bytes, at).ok_or(StunError::Malformed)?;
            let size = usize::from(u16_at(bytes, at + 2).ok_or(StunError::Malformed)?);
            let value = bytes.get(at + 4..at + 4 + size).ok_or(StunError::Malformed)?;
            match kind {
                FINGERPRINT => {
                    if value != fingerprint_of(&bytes[..at]) {
                        return Err(StunError::Fingerprint);
                    }
                    fingerprint = true;
                }
                XOR_MAPPED_ADDRESS => mapped = Some(address(value, Some(&id)).ok_or(StunError::Malformed)?),
                MAPPED_ADDRESS => mapped = mapped.or(Some(address(value, None).ok_or(StunError::Malformed)?)),
                ERROR_CODE => match value {
                    [_, _, class, number, ..] => {
                        code = Some(u16::from(class & 7) * 100 + u16::from(*number % 100));
                    }
                    _ => return Err(StunError::Malformed),
                },
                UNKNOWN_ATTRIBUTES => {}
                // The upper half of the types may be left unread (§14).
                kind if kind >= 0x8000 || IGNORED.contains(&kind) => {}
                kind if unknown.len() < MAX_UNKNOWN => unknown.push(kind),
                _ => {}
            }
            // Values are padded to four bytes, and so the lengths add up to a multiple of four.
            at += 4 + size.next_multiple_of(4);
        }
        if at != bytes.len() {
            return Err(StunError::Malformed);
        }
        let kind = match u16_at(bytes, 0) {
            Some(REQUEST) => Kind::Request { unknown },
            Some(INDICATION) => Kind::Indication,
            Some(SUCCESS) => Kind::Success { mapped },
            Some(ERROR) => Kind::Error {
                code: code.ok_or(StunError::Malformed)?,
            },
            _ => return Err(StunError::Method),
        };
        Ok(Stun { kind, id, fingerprint })
    }

    /// The answer to a request that came from `source`: 32 to 52 bytes; `None` for everything else.
    pub fn answer(&self, source: SocketAddr) -> Option<Vec<u8>> {
        let Kind::Request { unknown } = &self.kind else {
            return None;
        };
        let out = if unknown.is_empty() {
            let mut out = head(SUCCESS, &self.id);
            put(&mut out, XOR_MAPPED_ADDRESS, &xor_address(source, &self.id));
            out
        } else {
            let mut out = head(ERROR, &self.id);
            put(&mut out, ERROR_CODE, &[0, 0, 4, 20]);
            let types: Vec<u8> = unknown.iter().flat_map(|t| t.to_be_bytes()).collect();
            put(&mut out, UNKNOWN_ATTRIBUTES, &types);
            out
        };
        Some(finish(out, self.fingerprint))
    }
}

/// A Binding request without attributes, as a keep-alive has it (RFC 5626 §4.4.2). Draw `id` at random.
pub fn request(id: &TransactionId) -> Vec<u8> {
    finish(head(REQUEST, id), false)
}

/// Reads a datagram and says what to send back, if anything.
pub fn respond(bytes: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    Stun::parse(bytes).ok()?.answer(source)
}

fn head(kind: u16, id: &TransactionId) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&COOKIE);
    out.extend_from_slice(id);
    out
}

fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Writes the length, and the fingerprint over everything before it with the length already grown (§14.7).
fn finish(mut out: Vec<u8>, fingerprint: bool) -> Vec<u8> {
    let extra = if fingerprint { 8 } else { 0 };
    let length = (out.len() - HEADER + extra) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
    if fingerprint {
        let value = fingerprint_of(&out);
        put(&mut out, FINGERPRINT, &value);
    }
    out
}

fn xor_address(addr: SocketAddr, id: &TransactionId) -> Vec<u8> {
    let mut out = vec![0, if addr.ip().to_canonical().is_ipv4() { 1 } else { 2 }];
    out.extend_from_slice(&(addr.port() ^ 0x2112).to_be_bytes());
    let mask = COOKIE.iter().chain(id);
    match addr.ip().to_canonical() {
        IpAddr::V4(v4) => out.extend(v4.octets().iter().zip(mask).map(|(a, m)| a ^ m)),
        IpAddr::V6(v6) => out.extend(v6.octets().iter().zip(mask).map(|(a, m)| a ^ m)),
    }
    out
}

/// The address in an attribute, with the mask of XOR-MAPPED-ADDRESS undone if `id` is given (§14.2).
fn address(value: &[u8], id: Option<&TransactionId>) -> Option<SocketAddr> {
    let (family, port, ip) = (*value.get(1)?, u16_at(value, 2)?, value.get(4..)?);
    let mask: Vec<u8> = match id {
        Some(id) => COOKIE.iter().chain(id).copied().collect(),
        None => vec![0; 16],
    };
    let mut bytes = [0; 16];
    for ((byte, value), mask) in bytes.iter_mut().zip(ip).zip(&mask) {
        *byte = value ^ mask;
    }
    let ip = match (family, ip.len()) {
        (1, 4) => IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
        (2, 16) => IpAddr::V6(Ipv6Addr::from(bytes)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port ^ if id.is_some() { 0x2112 } else { 0 }))
}

fn fingerprint_of(bytes: &[u8]) -> [u8; 4] {
    (crc32(bytes) ^ 0x5354_554e).to_be_bytes()
}

/// CRC-32 as Ethernet and ITU-T V.42 have it.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let mut value = n as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 {
                    value >> 1 ^ 0xedb8_8320
                } else {
                    value >> 1
                };
                bit += 1;
            }
            table[n] = value;
            n += 1;
        }
        table
    };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// RFC 5769 §2.2 and §2.3: SOFTWARE, XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT.
    const IPV4: &str = "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220
        00200008 0001a147e112a643 00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96";
    const IPV6: &str = "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220
        00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
        80280004 c8fb0b4c";

    #[test]
    fn the_vectors_of_rfc_5769() {
        for (text, mapped) in [
            (IPV4, "192.0.2.1:32853"),
            (IPV6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
        ] {
            let stun = Stun::parse(&hex(text)).unwrap();
            assert_eq!((stun.id, stun.fingerprint), (ID, true));
            let mapped: SocketAddr = mapped.parse().unwrap();
            assert_eq!(stun.kind, Kind::Success { mapped: Some(mapped) });
            assert_eq!(stun.answer(mapped), None, "a response is not answered");
        }
    }

    #[test]
    fn a_keep_alive_is_told_the_address_it_came_from() {
        for source in ["192.0.2.1:32853", "[2001:db8::7]:5060", "[::ffff:192.0.2.1]:9"] {
            let source: SocketAddr = source.parse().unwrap();
            let response = respond(&request(&ID), source).unwrap();
            let stun = Stun::parse(&response).unwrap();
            let mapped = Some(SocketAddr::new(source.ip().to_canonical(), source.port()));
            assert_eq!(stun.kind, Kind::Success { mapped });
            assert_eq!((stun.id, stun.fingerprint), (ID, false));
        }
        assert_eq!(request(&ID).len(), 20);
    }

    #[test]
    fn a_fingerprint_is_checked_and_returned() {
        let source = "192.0.2.1:1".parse().unwrap();
        let asked = finish(head(REQUEST, &ID), true);
        let response = respond(&asked, source).unwrap();
        assert!(Stun::parse(&response).unwrap().fingerprint);
        // Bytes 20 and 21 are the type of the attribute: bent, it is another one, which may be left unread.
        for i in (0..20).chain(22..asked.len()) {
            let mut bent = asked.clone();
            bent[i] ^= 0x10;
            assert_eq!(respond(&bent, source), None, "byte {i}");
        }
        // Nothing may follow it.
        let mut more = head(REQUEST, &ID);
        more[3] = 16;
        let value = fingerprint_of(&more);
        put(&mut more, FINGERPRINT, &value);
        put(&mut more, 0x8022, b"late");
        assert_eq!(Stun::parse(&more), Err(StunError::Fingerprint));
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let mut asked = head(REQUEST, &ID);
        put(&mut asked, 0x0024, &[0, 0, 0, 1]);
        put(&mut asked, 0x8022, b"software");
        put(&mut asked, 0x0006, b"user");
        let response = respond(&finish(asked, false), "192.0.2.1:1".parse().unwrap()).unwrap();
        assert_eq!(Stun::parse(&response).unwrap().kind, Kind::Error { code: 420 });
        assert!(response.ends_with(&[0, 0x0a, 0, 2, 0, 0x24, 0, 0]));
    }

    #[test]
    fn bounds_are_strict() {
        let good = request(&ID);
        for len in 0..good.len() {
            assert_eq!(Stun::parse(&good[..len]), Err(StunError::NotStun));
        }
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            Stun::parse(&bytes)
        };
        for (what, result) in [
            ("a length that is not there", with(&|b| b[3] = 4)),
            ("an odd length", with(&|b| b[3] = 3)),
            ("bytes behind the end", with(&|b| b.push(0))),
            (
                "half an attribute",
                with(&|b| {
                    b[3] = 4;
                    b.extend([0, 6, 0, 1]);
                }),
            ),
            (
                "an attribute that reaches too far",
                with(&|b| {
                    b[3] = 8;
                    b.extend([0, 6, 0, 5, 1, 2, 3, 4]);
                }),
            ),
            (
                "too long",
                with(&|b| {
                    put(b, 0x8022, &[0; 600]);
                    let length = (b.len() - HEADER) as u16;
                    b[2..4].copy_from_slice(&length.to_be_bytes());
                }),
            ),
        ] {
            assert_eq!(result, Err(StunError::Malformed), "{what}");
        }
        assert_eq!(with(&|b| b[0] = 0x40), Err(StunError::NotStun));
        assert_eq!(with(&|b| b[4] = 0), Err(StunError::NotStun));
        assert_eq!(with(&|b| b[1] = 2), Err(StunError::Method));
        assert_eq!(
            with(&|b| b[1] = 0x11).unwrap().answer("192.0.2.1:1".parse().unwrap()),
            None
        );
        assert!(!is_stun(b"INVITE sip:a@h SIP/2.0\r\n\r\n"));
    }
}
