//! RTCP (RFC 3550 section 6): sender and receiver reports with the mandatory CNAME, and BYE.

/// One reception report block (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Fraction lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; 24 bits, signed.
    pub cumulative_lost: i32,
    /// Extended highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report, 0 if none.
    pub last_sr: u32,
    /// Delay since that report in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// The sender's part of a sender report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP time, 32.32.
    pub ntp: u64,
    /// The same instant in RTP timestamp units.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// One thing that a compound packet said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A sender report's sender part.
    Sender {
        /// Who sent it.
        ssrc: u32,
        /// What it said.
        info: SenderInfo,
    },
    /// A report block, of a sender or a receiver report.
    Report {
        /// Who sent it.
        from: u32,
        /// What it said.
        block: ReportBlock,
    },
    /// A source left.
    Bye {
        /// Which.
        ssrc: u32,
    },
}

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;

/// Build a compound packet into `out` (which is cleared): SR or RR, SDES with the CNAME, and BYE when the stream ends.
/// The CNAME is limited to 64 octets here.
pub fn build(
    out: &mut Vec<u8>,
    ssrc: u32,
    sender: Option<SenderInfo>,
    report: Option<ReportBlock>,
    cname: &str,
    bye: bool,
) {
    out.clear();
    let words = 1 + if sender.is_some() { 5 } else { 0 } + if report.is_some() { 6 } else { 0 };
    header(
        out,
        u8::from(report.is_some()),
        if sender.is_some() { SR } else { RR },
        words,
    );
    out.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(info) = sender {
        out.extend_from_slice(&info.ntp.to_be_bytes());
        for word in [info.rtp_timestamp, info.packets, info.octets] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    if let Some(block) = report {
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
        let words = [
            block.ssrc,
            (u32::from(block.fraction_lost) << 24) | lost,
            block.highest_sequence,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        ];
        for word in words {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    let name = &cname.as_bytes()[..cname.len().min(64)];
    // SSRC, item type, length, text, and at least one null octet, padded to a word (RFC 3550 section 6.5).
    let chunk = (4 + 2 + name.len() + 1).next_multiple_of(4);
    header(out, 1, SDES, chunk / 4);
    let end = out.len() + chunk;
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[1, name.len() as u8]);
    out.extend_from_slice(name);
    out.resize(end, 0);
    if bye {
        header(out, 1, BYE, 1);
        out.extend_from_slice(&ssrc.to_be_bytes());
    }
}

fn header(out: &mut Vec<u8>, count: u8, kind: u8, words_after: usize) {
    out.extend_from_slice(&[0x80 | count, kind]);
    out.extend_from_slice(&(words_after as u16).to_be_bytes());
}

/// Read a compound packet and hand each item to `each`. Unknown packet types are skipped; reading stops at the first
/// malformed part.
pub fn parse(datagram: &[u8], mut each: impl FnMut(Item)) {
    let mut rest = datagram;
    while rest.len() >= 8 && rest[0] >> 6 == 2 {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let Some((packet, next)) = rest.split_at_checked(length) else {
            return;
        };
        let word = |i: usize| {
            packet
                .get(4 * i..4 * i + 4)
                .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
        };
        let count = usize::from(rest[0] & 0x1F);
        let Some(ssrc) = word(1) else { return };
        match packet[1] {
            kind @ (SR | RR) => {
                let mut at = 2;
                if kind == SR {
                    let (Some(high), Some(low), Some(rtp_timestamp), Some(packets), Some(octets)) =
                        (word(2), word(3), word(4), word(5), word(6))
                    else {
                        return;
                    };
                    let ntp = (u64::from(high) << 32) | u64::from(low);
                    each(Item::Sender {
                        ssrc,
                        info: SenderInfo {
                            ntp,
                            rtp_timestamp,
                            packets,
                            octets,
                        },
                    });
                    at = 7;
                }
                for block in 0..count {
                    let at = at + 6 * block;
                    let (Some(about), Some(loss), Some(highest_sequence), Some(jitter), Some(last_sr), Some(delay)) = (
                        word(at),
                        word(at + 1),
                        word(at + 2),
                        word(at + 3),
                        word(at + 4),
                        word(at + 5),
                    ) else {
                        return;
                    };
                    let block = ReportBlock {
                        ssrc: about,
                        fraction_lost: (loss >> 24) as u8,
                        cumulative_lost: ((loss << 8) as i32) >> 8,
                        highest_sequence,
                        jitter,
                        last_sr,
                        delay_since_last_sr: delay,
                    };
                    each(Item::Report { from: ssrc, block });
                }
            }
            BYE => (0..count)
                .filter_map(|i| word(1 + i))
                .for_each(|ssrc| each(Item::Bye { ssrc })),
            _ => {}
        }
        rest = next;
    }
}

/// The middle 32 bits of an NTP time, as reports carry it.
pub fn ntp_middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// Round trip in microseconds from a report block about us, received at `now` (RFC 3550 section 6.4.1). `None` when the
/// block refers to no sender report, or its values make no sense.
pub fn round_trip_micros(now: u64, block: &ReportBlock) -> Option<u64> {
    if block.last_sr == 0 {
        return None;
    }
    let units = ntp_middle(now)
        .wrapping_sub(block.last_sr)
        .wrapping_sub(block.delay_since_last_sr);
    // More than a minute is a stale or wrong report; a slightly negative value is rounding.
    match units as i32 {
        -655..0 => Some(0),
        units @ 0..0x3C_0000 => Some(units as u64 * 1_000_000 / 65536),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(datagram: &[u8]) -> Vec<Item> {
        let mut items = Vec::new();
        parse(datagram, |i| items.push(i));
        items
    }

    #[test]
    fn a_sender_report_with_block_and_bye_round_trips() {
        let info = SenderInfo {
            ntp: 0x1122_3344_5566_7788,
            rtp_timestamp: 9,
            packets: 10,
            octets: 1600,
        };
        let block = ReportBlock {
            ssrc: 2,
            fraction_lost: 25,
            cumulative_lost: -3,
            jitter: 12,
            ..Default::default()
        };
        let mut out = Vec::new();
        build(&mut out, 1, Some(info), Some(block), "media@example", true);
        assert_eq!(out.len() % 4, 0);
        let expected = [
            Item::Sender { ssrc: 1, info },
            Item::Report { from: 1, block },
            Item::Bye { ssrc: 1 },
        ];
        assert_eq!(items(&out), expected);
        build(&mut out, 1, None, None, "", false);
        assert_eq!(items(&out), []);
        assert_eq!(out[1], RR);
    }

    #[test]
    fn round_trip_is_what_is_left_after_the_far_sides_delay() {
        let sent = 5u64 << 32;
        let delay = 65536 / 2; // half a second
        let block = ReportBlock {
            last_sr: ntp_middle(sent),
            delay_since_last_sr: delay,
            ..Default::default()
        };
        let now = sent + (1u64 << 31) + (1u64 << 32) / 10; // 600 ms later
        let rtt = round_trip_micros(now, &block).unwrap();
        assert!((99_000..101_000).contains(&rtt), "{rtt}");
        assert_eq!(round_trip_micros(now, &ReportBlock::default()), None);
        assert_eq!(round_trip_micros(sent, &block), None);
    }

    proptest! {
        #[test]
        fn no_datagram_panics(datagram in proptest::collection::vec(any::<u8>(), 0..96)) {
            items(&datagram);
        }

        #[test]
        fn no_changed_report_panics(position in 0usize..80, value: u8) {
            let mut out = Vec::new();
            build(&mut out, 1, Some(SenderInfo::default()), Some(ReportBlock::default()), "x", true);
            if let Some(octet) = out.get_mut(position) {
                *octet = value;
            }
            items(&out);
        }
    }
}
