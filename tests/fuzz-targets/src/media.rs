//! Media and numbers.

use std::hint::black_box;
use strowger_core::number::{CHINA, Number};
use strowger_core::spoken::{Kind, Language, Manner, Piece, SpokenError, speak, units};

/// Any bytes are a packet or nothing.
pub fn rtp(data: &[u8]) {
    use strowger_media_core::rtp::{Header, Packet};
    // A parser without side effects whose result nobody looks at is not run at all.
    let Ok(packet) = black_box(Packet::parse(black_box(data))) else {
        return;
    };
    assert!(packet.payload_offset >= 12 && packet.payload_offset + packet.payload.len() <= data.len());
    let header = Header {
        marker: packet.marker,
        payload_type: packet.payload_type,
        sequence: packet.sequence,
        timestamp: packet.timestamp,
        ssrc: packet.ssrc,
    };
    let mut again = header.to_bytes().to_vec();
    again.extend_from_slice(packet.payload);
    let again = Packet::parse(&again).map(|p| (p.sequence, p.timestamp, p.ssrc, p.marker, p.payload_type));
    let fields = (
        packet.sequence,
        packet.timestamp,
        packet.ssrc,
        packet.marker,
        packet.payload_type,
    );
    assert_eq!(again.ok(), Some(fields));
}

/// Any bytes are reports or nothing, and no more of them than there is room for.
pub fn rtcp(data: &[u8]) {
    let mut items = 0;
    strowger_media_core::rtcp::parse(data, |_| items += 1);
    assert!(items <= data.len() / 4, "{items} items in {} bytes", data.len());
}

/// Any bytes are a sound or an error.
pub fn wav(data: &[u8]) {
    let _ = black_box(strowger_media_core::wav::read(black_box(data)));
    let _ = black_box(strowger_media_core::wav::read_stereo(black_box(data)));
}

/// Any text is a number or an error, and a number's canonical form means the same number.
pub fn number(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(number) = Number::parse(text, CHINA) {
        let again = Number::parse(number.as_str(), CHINA);
        assert_eq!(again.as_ref(), Ok(&number));
        assert!(!format!("{number:?}").contains(number.as_str()));
    }
}

/// Any text is read in both languages or in neither, by units that exist, and with no more pieces than it can be worth.
pub fn spoken(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let kind = Kind::ALL[usize::from(first) % Kind::ALL.len()];
    let said = Language::ALL.map(|language| -> Result<(), SpokenError> {
        let pieces = speak(kind, text, language, &Manner::default())?;
        assert!(!pieces.is_empty() && pieces.len() <= 2 * 64);
        for piece in &pieces {
            if let Piece::Unit(unit) = piece {
                assert!(units(language).iter().any(|u| u.unit == *unit), "{unit}");
            }
        }
        Ok(())
    });
    assert_eq!(said[0], said[1]);
}

/// Any bytes are a sound of bounded length or an error.
pub fn import(data: &[u8]) {
    use strowger_speech::import::{Limits, import};
    let limits = Limits {
        millis: 1000,
        ..Limits::default()
    };
    if let Ok(sound) = import(std::io::Cursor::new(data.to_vec()), limits) {
        assert!(!sound.samples.is_empty() && sound.millis() <= 1010);
        assert!((8000..=48_000).contains(&sound.rate) && (1..=2).contains(&sound.channels));
    }
}

/// Any text of a recogniser is a result of bounded length, or none.
pub fn transcript(data: &[u8]) {
    use strowger_speech::recognition::{Heard, Protocol};
    let Ok(text) = std::str::from_utf8(data) else { return };
    for protocol in [Protocol::Vosk, Protocol::Strowger] {
        match protocol.read(text) {
            Ok(Heard::Partial(text) | Heard::Refused(text)) => assert!(text.len() <= 4000),
            Ok(Heard::Final { text, span }) => {
                assert!(!text.is_empty() && text.len() <= 4000);
                assert!(span.is_none_or(|(begin, end)| begin <= end));
            }
            Ok(Heard::Nothing) | Err(_) => {}
        }
    }
}

/// A Range header: what it gives lies within the recording, whatever its size.
pub fn range(data: &[u8]) {
    let Some((size, header)) = data.split_first_chunk::<8>() else {
        return;
    };
    let size = u64::from_be_bytes(*size);
    let wanted = strowger_blobs::wanted(&String::from_utf8_lossy(header));
    if let Some(range) = wanted.of(size) {
        assert!(
            range.start <= range.end && range.end <= size,
            "{wanted:?} of {size}: {range:?}"
        );
        assert!(range.start < range.end || size == 0, "an empty part of {size}");
    }
}
