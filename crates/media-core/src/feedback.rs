//! Feedback of a receiver of video (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb) on its way to the sender through a relay:
//! the sender knows the stream under another source and other sequence numbers.

const RECEIVER_REPORT: u8 = 201;
const TRANSPORT: u8 = 205;
const PAYLOAD: u8 = 206;
const NACK: u8 = 1;
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION: u8 = 15;
/// Largest packet that is written: one more request does not fit an Ethernet frame with all that protects it.
const MAX_OUT: usize = 1_100;

/// What the stream is called on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The sources that we send to the receiver with: packets, and repetitions.
    pub ours: [u32; 2],
    /// Who asks, towards the sender.
    pub asking: u32,
    /// The sender's source.
    pub theirs: u32,
    /// How far our sequence numbers are ahead of the sender's.
    pub ahead: u16,
}

/// What a receiver said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// It asked for a picture that stands alone.
    pub key_frame: bool,
    /// Packets that it asked for again.
    pub repeat: usize,
    /// How much it can take, in bit/s.
    pub bitrate: Option<u64>,
}

impl Heard {
    /// Something was written for the sender.
    pub fn is_passed(&self) -> bool {
        self.key_frame || self.repeat > 0
    }
}

/// Reads a compound packet of a receiver and writes its requests into `out` (which is cleared) as the sender is to get them.
/// What is said about other streams is left out. A bitrate is returned and not written: several receivers may have said one.
pub fn pass_on(datagram: &[u8], passage: &Passage, out: &mut Vec<u8>) -> Heard {
    let mut heard = Heard::default();
    begin(out, passage.asking);
    let mut rest = datagram;
    while rest.len() >= 12 && rest[0] >> 6 == 2 {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let Some((packet, next)) = rest.split_at_checked(length) else {
            break;
        };
        rest = next;
        let Some((head, body)) = packet.split_first_chunk::<12>() else {
            continue;
        };
        let about = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if out.len() + packet.len() > MAX_OUT {
            break;
        }
        match (head[1], head[0] & 0x1F) {
            (PAYLOAD, PLI) if passage.ours.contains(&about) => {
                heard.key_frame = true;
                write(out, PLI, PAYLOAD, passage, passage.theirs, 0);
            }
            (PAYLOAD, FIR) => {
                let (entries, _) = body.as_chunks::<8>();
                let mine = |e: &&[u8; 8]| passage.ours.contains(&u32::from_be_bytes([e[0], e[1], e[2], e[3]]));
                if let Some(entry) = entries.iter().find(mine) {
                    heard.key_frame = true;
                    // RFC 5104 section 4.3.1.2: the media source of the packet is not used.
                    write(out, FIR, PAYLOAD, passage, 0, 2);
                    out.extend_from_slice(&passage.theirs.to_be_bytes());
                    out.extend_from_slice(&[entry[4], 0, 0, 0]);
                }
            }
            (PAYLOAD, APPLICATION) => heard.bitrate = bitrate(body, passage).or(heard.bitrate),
            // A repetition that was lost is asked for under the number of what it repeats.
            (TRANSPORT, NACK) if about == passage.ours[0] => {
                let (entries, _) = body.as_chunks::<4>();
                if entries.is_empty() {
                    continue;
                }
                write(out, NACK, TRANSPORT, passage, passage.theirs, entries.len());
                for e in entries {
                    let number = u16::from_be_bytes([e[0], e[1]]).wrapping_sub(passage.ahead);
                    out.extend_from_slice(&number.to_be_bytes());
                    // The mask counts from the number, whatever that is.
                    out.extend_from_slice(&e[2..]);
                    heard.repeat += 1 + u16::from_be_bytes([e[2], e[3]]).count_ones() as usize;
                }
            }
            _ => {}
        }
    }
    heard
}

/// "REMB", the number of sources, 6 bits of exponent, 18 of mantissa, the sources.
fn bitrate(body: &[u8], passage: &Passage) -> Option<u64> {
    let (head, sources) = body.split_first_chunk::<8>()?;
    if &head[..4] != b"REMB" {
        return None;
    }
    let (sources, _) = sources.as_chunks::<4>();
    let listed = &sources[..sources.len().min(usize::from(head[4]))];
    let mine = |s: &[u8; 4]| passage.ours.contains(&u32::from_be_bytes(*s));
    let mantissa = u64::from(u32::from_be_bytes([0, head[5] & 3, head[6], head[7]]));
    let exponent = u32::from(head[5] >> 2);
    // Nobody has so much; a shift beyond it would lose bits.
    listed
        .iter()
        .any(mine)
        .then(|| mantissa.saturating_mul(1 << exponent.min(45)))
}

/// An empty report begins a compound packet (RFC 3550 section 6.1).
fn begin(out: &mut Vec<u8>, asking: u32) {
    out.clear();
    out.extend_from_slice(&[0x80, RECEIVER_REPORT, 0, 1]);
    out.extend_from_slice(&asking.to_be_bytes());
}

fn write(out: &mut Vec<u8>, format: u8, kind: u8, passage: &Passage, about: u32, words: usize) {
    out.extend_from_slice(&[0x80 | format, kind]);
    out.extend_from_slice(&((2 + words) as u16).to_be_bytes());
    out.extend_from_slice(&passage.asking.to_be_bytes());
    out.extend_from_slice(&about.to_be_bytes());
}

/// Writes a request for a picture that stands alone into `out`, which is cleared.
pub fn key_frame(passage: &Passage, out: &mut Vec<u8>) {
    begin(out, passage.asking);
    write(out, PLI, PAYLOAD, passage, passage.theirs, 0);
}

/// Writes how much the receivers can take, in bit/s, into `out`, which is cleared.
pub fn limit(passage: &Passage, bitrate: u64, out: &mut Vec<u8>) {
    begin(out, passage.asking);
    write(out, APPLICATION, PAYLOAD, passage, 0, 3);
    let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
    let mantissa = (bitrate >> exponent) as u32;
    let [_, high, middle, low] = mantissa.to_be_bytes();
    out.extend_from_slice(b"REMB");
    out.extend_from_slice(&[1, (exponent as u8) << 2 | high, middle, low]);
    out.extend_from_slice(&passage.theirs.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Between a sender that is 7 and a receiver that hears 100, repetitions 101.
    const DOWN: Passage = Passage {
        ours: [100, 101],
        asking: 55,
        theirs: 7,
        ahead: 1000,
    };
    /// The receiver's own view of its stream.
    const RECEIVER: Passage = Passage {
        ours: [0, 0],
        asking: 9,
        theirs: 100,
        ahead: 0,
    };

    fn words(packet: &[u8]) -> Vec<u32> {
        packet
            .as_chunks::<4>()
            .0
            .iter()
            .map(|w| u32::from_be_bytes(*w))
            .collect()
    }

    #[test]
    fn a_request_for_a_key_frame_is_passed_on() {
        let (mut said, mut out) = (Vec::new(), Vec::new());
        key_frame(&RECEIVER, &mut said);
        let heard = pass_on(&said, &DOWN, &mut out);
        assert!(heard.key_frame && heard.is_passed());
        assert_eq!(words(&out), [0x80C9_0001, 55, 0x81CE_0002, 55, 7]);
        // The older form.
        said.truncate(8);
        said.extend([0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 100, 3, 0, 0, 0]);
        assert!(pass_on(&said, &DOWN, &mut out).key_frame);
        assert_eq!(words(&out)[2..], [0x84CE_0004, 55, 0, 7, 3 << 24]);
    }

    #[test]
    fn what_is_asked_for_again_has_the_senders_numbers() {
        let mut out = Vec::new();
        let said = [
            0x81, 205, 0, 4, 0, 0, 0, 9, 0, 0, 0, 100, 0x03, 0xE8, 0x80, 1, 0x03, 0xE7, 0, 0,
        ];
        let heard = pass_on(&said, &DOWN, &mut out);
        assert_eq!((heard.repeat, heard.key_frame), (4, false));
        assert_eq!(words(&out)[2..], [0x81CD_0004, 55, 7, 0x0000_8001, 0xFFFF_0000]);
    }

    #[test]
    fn what_is_about_others_is_left_out() {
        let mut out = Vec::new();
        for said in [
            vec![0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 99],
            vec![0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 101, 0, 1, 0, 0],
            vec![0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 99, 3, 0, 0, 0],
            vec![0x8F, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 100, 0, 1, 0, 0],
            vec![0x81, 206, 0, 9, 0, 0, 0, 9, 0, 0, 0, 100],
            vec![0x81, 205, 0, 2, 0, 0, 0, 9, 0, 0, 0, 100],
        ] {
            assert!(!pass_on(&said, &DOWN, &mut out).is_passed(), "{said:?}");
            assert_eq!(out.len(), 8, "nothing but the empty report");
        }
    }

    #[test]
    fn a_bitrate_is_read_as_it_is_written() {
        let (mut said, mut out) = (Vec::new(), Vec::new());
        for bitrate in [0, 1, 0x3_FFFF, 300_000, 2_500_000, 1 << 40] {
            limit(&RECEIVER, bitrate, &mut said);
            let read = pass_on(&said, &DOWN, &mut out).bitrate.unwrap();
            assert!(read <= bitrate && bitrate - read <= bitrate >> 17, "{bitrate} {read}");
        }
        let other = Passage { theirs: 98, ..RECEIVER };
        limit(&other, 1, &mut said);
        assert_eq!(pass_on(&said, &DOWN, &mut out).bitrate, None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read(datagram in proptest::collection::vec(any::<u8>(), 0..1500)) {
            let mut out = Vec::new();
            pass_on(&datagram, &DOWN, &mut out);
            prop_assert!(out.len() <= MAX_OUT);
        }
    }
}
