//! Any text is a number or an error, and a number's canonical form means the same number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strowger_core::number::{CHINA, Number};

fuzz_target!(|text: &str| {
    if let Ok(number) = Number::parse(text, CHINA) {
        let again = Number::parse(number.as_str(), CHINA);
        assert_eq!(again.as_ref(), Ok(&number));
        assert!(!format!("{number:?}").contains(number.as_str()));
    }
});
