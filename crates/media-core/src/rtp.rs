//! RTP packets (RFC 3550 section 5.1): a borrowed view, and the fixed header that we send.

/// Length of the fixed header.
pub const HEADER_LEN: usize = 12;

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than its header, extension or padding says.
    #[error("RTP packet cut short")]
    Short,
    /// The version is not 2.
    #[error("not RTP version 2")]
    Version,
    /// Payload types 64-95 collide with RTCP (RFC 5761 section 4).
    #[error("an RTCP packet on the RTP port")]
    Rtcp,
}

/// A view into a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Marker bit: the first packet of a talk spurt, or of a telephone event.
    pub marker: bool,
    /// Payload type, 0-127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Where the payload starts in the datagram (at least [`HEADER_LEN`]).
    pub payload_offset: usize,
    /// The payload, without padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Parse a datagram. CSRCs and header extensions are skipped, padding is taken off.
    ///
    /// # Errors
    /// [`RtpError`].
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, RtpError> {
        let Some((h, _)) = datagram.split_first_chunk::<HEADER_LEN>() else {
            return Err(RtpError::Short);
        };
        if h[0] >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let payload_type = h[1] & 0x7F;
        if (64..=95).contains(&payload_type) {
            return Err(RtpError::Rtcp);
        }
        let mut offset = HEADER_LEN + 4 * usize::from(h[0] & 0x0F);
        if h[0] & 0x10 != 0 {
            let extension = datagram.get(offset..offset + 4).ok_or(RtpError::Short)?;
            offset += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        let mut end = datagram.len();
        if h[0] & 0x20 != 0 {
            let padding = usize::from(datagram[end - 1]);
            // A length of 0, or one that reaches into the header, is invalid (RFC 3550 A.1).
            if padding == 0 || padding > end {
                return Err(RtpError::Short);
            }
            end -= padding;
        }
        let payload = datagram.get(offset..end).ok_or(RtpError::Short)?;
        Ok(Packet {
            marker: h[1] & 0x80 != 0,
            payload_type,
            sequence: u16::from_be_bytes([h[2], h[3]]),
            timestamp: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
            ssrc: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
            payload_offset: offset,
            payload,
        })
    }
}

/// Gives the header extensions of a packet (RFC 8285) the numbers of another description: `numbers` holds the new number of
/// each, 0 takes it out. The packet keeps its length; what is taken out becomes padding. Forms that are not read are emptied.
/// The packet is one that [`Packet::parse`] takes.
pub fn renumber_extensions(packet: &mut [u8], numbers: &[u8; 16]) {
    let Some(first) = packet.first().copied().filter(|first| first & 0x10 != 0) else {
        return;
    };
    let at = HEADER_LEN + 4 * usize::from(first & 0x0F);
    let Some(head) = packet.get(at..at + 4) else { return };
    let one_byte = head[..2] == [0xBE, 0xDE];
    let length = 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
    let Some(elements) = packet.get_mut(at + 4..at + 4 + length) else {
        return;
    };
    let mut i = 0;
    while one_byte && i < elements.len() {
        let number = usize::from(elements[i] >> 4);
        if elements[i] == 0 {
            i += 1;
            continue;
        }
        let end = i + 2 + usize::from(elements[i] & 0x0F);
        // 15 ends the list; 0 with a length, and one that is cut short, are malformed.
        if matches!(number, 0 | 15) || end > elements.len() {
            break;
        }
        match numbers[number] {
            0 => elements[i..end].fill(0),
            new => elements[i] = new << 4 | elements[i] & 0x0F,
        }
        i = end;
    }
    elements[i..].fill(0);
    if !one_byte {
        packet[at..at + 2].copy_from_slice(&[0xBE, 0xDE]);
    }
}

/// The fixed header of a packet without CSRC, extension and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 0-127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Serialise.
    #[inline]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        [
            0x80,
            (u8::from(self.marker) << 7) | (self.payload_type & 0x7F),
            s0,
            s1,
            t0,
            t1,
            t2,
            t3,
            c0,
            c1,
            c2,
            c3,
        ]
    }
}

/// Units of an RTP clock that have passed at `micros` of a monotonic clock, modulo 2^32. Computed from the whole time and
/// never added up, so that it does not drift.
#[inline]
pub fn clock_units(micros: u64, clock: u32) -> u32 {
    (u128::from(micros) * u128::from(clock) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extensions_get_other_numbers() {
        let mut numbers = [0u8; 16];
        (numbers[2], numbers[3]) = (5, 3);
        let renumbered = |profile: [u8; 2], elements: &[u8]| {
            let mut packet = vec![0x91, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7, 7, 7, 7];
            packet.extend(profile);
            packet.extend(((elements.len() / 4) as u16).to_be_bytes());
            packet.extend(elements);
            packet.extend([42, 42]);
            renumber_extensions(&mut packet, &numbers);
            assert_eq!(
                (&packet[..16], &packet[16..18]),
                (
                    &[0x91, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7, 7, 7, 7][..],
                    &[0xBE, 0xDE][..]
                )
            );
            assert_eq!(packet[packet.len() - 2..], [42, 42]);
            packet[20..packet.len() - 2].to_vec()
        };
        let one = [0xBE, 0xDE];
        assert_eq!(
            renumbered(one, &[0x22, 1, 2, 3, 0x10, 9, 0x30, 8]),
            [0x52, 1, 2, 3, 0, 0, 0x30, 8]
        );
        assert_eq!(
            renumbered(one, &[0, 0x30, 8, 0, 0xF0, 1, 0x30, 1]),
            [0, 0x30, 8, 0, 0, 0, 0, 0]
        );
        assert_eq!(renumbered(one, &[0x30, 8, 0x3F, 1]), [0x30, 8, 0, 0], "cut short");
        assert_eq!(renumbered([0x10, 0], &[3, 1, 8, 0]), [0, 0, 0, 0], "another form");
    }

    proptest! {
        #[test]
        fn renumbering_leaves_the_payload_alone(mut packet in proptest::collection::vec(any::<u8>(), 0..200), numbers: [u8; 16]) {
            let before = packet.clone();
            let numbers = numbers.map(|n| n % 15);
            renumber_extensions(&mut packet, &numbers);
            let parsed = Packet::parse(&before);
            prop_assert_eq!(parsed.map(|p| (p.payload_offset, p.payload)), Packet::parse(&packet).map(|p| (p.payload_offset, p.payload)));
        }
    }

    #[test]
    fn header_and_view_agree() {
        let header = Header {
            marker: true,
            payload_type: 101,
            sequence: 65535,
            timestamp: 0xDEAD_BEEF,
            ssrc: 7,
        };
        let mut datagram = header.to_bytes().to_vec();
        datagram.extend_from_slice(&[1, 2, 3]);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.payload, [1, 2, 3]);
        let back = Header {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
        };
        assert_eq!(back, header);
    }

    #[test]
    fn csrc_extension_and_padding_are_taken_off() {
        let mut d = vec![0x80 | 0x20 | 0x10 | 2, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        d.extend_from_slice(&[0; 8]); // two CSRCs
        d.extend_from_slice(&[0xBE, 0xDE, 0, 1, 9, 9, 9, 9]); // an extension of one word
        d.extend_from_slice(&[5, 6, 0, 2]); // two octets of payload, two of padding
        let packet = Packet::parse(&d).unwrap();
        assert_eq!(packet.payload, [5, 6]);
        assert_eq!(packet.payload_offset, 28);
        for cut in 0..d.len() - 4 {
            let _ = Packet::parse(&d[..cut]);
        }
        assert_eq!(Packet::parse(&d[..25]), Err(RtpError::Short));
    }

    #[test]
    fn what_is_not_rtp_is_refused() {
        assert_eq!(Packet::parse(b"OPTIONS sip:x SIP/2.0"), Err(RtpError::Version));
        assert_eq!(Packet::parse(&[0x80; 11]), Err(RtpError::Short));
        assert_eq!(
            Packet::parse(&[0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]),
            Err(RtpError::Rtcp)
        );
    }

    proptest! {
        #[test]
        fn no_datagram_panics(datagram in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Packet::parse(&datagram);
        }
    }

    #[test]
    fn a_day_of_frames_meets_the_clock_exactly() {
        let mut expected = 0u32;
        for frame in 0..24 * 3600 * 50u64 {
            assert_eq!(clock_units(frame * 20_000, 8000), expected);
            expected = expected.wrapping_add(160);
        }
    }
}
