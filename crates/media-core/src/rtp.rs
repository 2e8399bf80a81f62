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
