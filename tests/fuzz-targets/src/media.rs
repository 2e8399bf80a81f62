//! Media and numbers.

use strowger_core::number::{CHINA, Number};

/// Any bytes are a packet or nothing.
pub fn rtp(data: &[u8]) {
    let _ = strowger_media_core::rtp::Packet::parse(data);
}

/// Any bytes are reports or nothing, and no more of them than there is room for.
pub fn rtcp(data: &[u8]) {
    let mut items = 0;
    strowger_media_core::rtcp::parse(data, |_| items += 1);
    assert!(items <= data.len() / 4, "{items} items in {} bytes", data.len());
}

/// Any bytes are a sound or an error.
pub fn wav(data: &[u8]) {
    let _ = strowger_media_core::wav::read(data);
    let _ = strowger_media_core::wav::read_stereo(data);
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
