//! Seeded mutations: what libFuzzer does without feedback, so that a failure can be replayed by its seed.

/// SplitMix64.
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole course the seed decides.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.number() % n.max(1) as u64) as usize
    }
}

/// Pieces that parsers stumble over; `fuzz/sip.dict` has the same.
pub const SPICE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"\r\n ",
    b"\r\n\t",
    b"\r\n\r\n",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"=",
    b"@",
    b"[",
    b"]",
    b"%",
    b"%00",
    b"?",
    b"*",
    b"SIP/2.0 ",
    b"Via: ",
    b"Contact: ",
    b"Expires: 0\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"4294967296",
    b"-1",
    b"NaN",
    b"1e999",
    b";tag=",
    b";branch=",
    b"z9hG4bK",
    b";rport",
    b";expires=",
    b";q=",
    b";reg-id=1",
    b";+sip.instance=\"<urn:uuid:1>\"",
    b"ACK",
    b"INVITE",
    b"CANCEL",
    b"Record-Route: <sip:x;lr>\r\n",
    b"sip:",
    b"sips:",
    b"tel:+1",
    b"a=rtpmap:",
    b"a=sendonly\r\n",
    b"m=audio 65536 RTP/AVP 300\r\n",
    b"c=IN IP6 ::\r\n",
    b"nc=00000001",
    b"qop=auth-int",
    b"algorithm=SHA-512-256",
];

/// Deletes, doubles, overwrites, inserts and splices, one to eight times.
pub fn mutate(rng: &mut Rng, base: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = base.to_vec();
    for _ in 0..=rng.below(8) {
        let at = rng.below(out.len() + 1);
        let len = rng.below(24).min(out.len() - at);
        match rng.below(7) {
            0 => drop(out.drain(at..at + len)),
            1 => {
                let piece = out[at..at + len].to_vec();
                out.splice(at..at, piece);
            }
            2 if at < out.len() => out[at] = rng.number() as u8,
            3 if at < out.len() => out[at] ^= 1 << rng.below(8),
            4 | 5 => {
                let spice = SPICE[rng.below(SPICE.len())];
                out.splice(at..at, spice.iter().copied());
            }
            _ => {
                let from = rng.below(other.len());
                let end = (from + rng.below(80)).min(other.len());
                out.splice(at..at + len, other[from..end].iter().copied());
            }
        }
        out.truncate(70_000);
    }
    out
}
