//! What the lab's numbers do. The table is data: a number, what is said about it, and the steps of its script.

use crate::sounds::Sound;

/// One step of a script.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Nothing for so many milliseconds.
    Wait(u64),
    /// A response without a session: 180, or a final refusal.
    Respond(u16),
    /// 183 with a session: the caller hears this before any answer.
    Early(Hear),
    /// 200: the caller hears this from now on.
    Answer(Hear),
    /// RFC 4733 digits to the caller.
    Digits(&'static str),
    /// BYE.
    HangUp,
}

/// What the caller hears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hear {
    /// One of the shipped sounds, again and again.
    Speech(Sound),
    /// A steady sine at -13 dBFS.
    Tone(u16),
    /// Itself: every packet comes back.
    Echo,
    /// No packets at all.
    Nothing,
}

/// A number of the lab.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabNumber {
    /// As it is dialled: 11 digits.
    pub number: &'static str,
    /// What it does, for people.
    pub says: &'static str,
    /// How it does that.
    pub script: &'static [Step],
}

use Hear::{Echo, Nothing, Speech, Tone};
use Step::{Answer, Digits, Early, HangUp, Respond, Wait};

const RING: Step = Respond(180);

/// A beginning of a group in the printed list, and its numbers.
pub type Group = (&'static str, &'static [LabNumber]);

const ANSWERING: &[LabNumber] = &[
    LabNumber {
        number: "13800000001",
        says: "rings 1 s, answers, speaks until hung up",
        script: &[RING, Wait(1000), Answer(Speech(Sound::LabSpeech))],
    },
    LabNumber {
        number: "13800000002",
        says: "rings 1 s, answers, sends back what it hears",
        script: &[RING, Wait(1000), Answer(Echo)],
    },
    LabNumber {
        number: "13800000003",
        says: "answers at once with a tone of 1000 Hz",
        script: &[Answer(Tone(1000))],
    },
    LabNumber {
        number: "13800000004",
        says: "answers at once with a tone of 400 Hz",
        script: &[Answer(Tone(400))],
    },
    LabNumber {
        number: "13800000005",
        says: "rings 5 s, answers, plays music",
        script: &[RING, Wait(5000), Answer(Speech(Sound::Hold))],
    },
    LabNumber {
        number: "13800000006",
        says: "answers, sends the digits 1234#, then is silent",
        script: &[RING, Wait(500), Answer(Nothing), Wait(1500), Digits("1234#")],
    },
    LabNumber {
        number: "13800000007",
        says: "answers, speaks, hangs up after 5 s",
        script: &[RING, Wait(500), Answer(Speech(Sound::LabSpeech)), Wait(5000), HangUp],
    },
    LabNumber {
        number: "13800000008",
        says: "answers and never sends a packet",
        script: &[RING, Wait(500), Answer(Nothing)],
    },
];

const UNANSWERED: &[LabNumber] = &[
    LabNumber {
        number: "13800000011",
        says: "rings for ever",
        script: &[RING],
    },
    LabNumber {
        number: "13800000012",
        says: "rings 3 s, then 480: nobody answers",
        script: &[RING, Wait(3000), Respond(480)],
    },
    LabNumber {
        number: "13800000013",
        says: "100 and then nothing: lost in the far network",
        script: &[],
    },
    LabNumber {
        number: "13800000014",
        says: "480 at once: switched off",
        script: &[Respond(480)],
    },
];

const REFUSING: &[LabNumber] = &[
    LabNumber {
        number: "13800000021",
        says: "busy: 486",
        script: &[Respond(486)],
    },
    LabNumber {
        number: "13800000022",
        says: "rings 2 s, rejects: 603",
        script: &[RING, Wait(2000), Respond(603)],
    },
    LabNumber {
        number: "13800000023",
        says: "no such number: 404",
        script: &[Respond(404)],
    },
    LabNumber {
        number: "13800000024",
        says: "not allowed: 403",
        script: &[Respond(403)],
    },
    LabNumber {
        number: "13800000025",
        says: "no codec in common: 488",
        script: &[Respond(488)],
    },
    LabNumber {
        number: "13800000026",
        says: "the carrier is overloaded: 503",
        script: &[Respond(503)],
    },
];

const ANNOUNCING: &[LabNumber] = &[
    LabNumber {
        number: "13800000031",
        says: "early announcement for 6 s, then busy: 183, 486",
        script: &[Early(Speech(Sound::Busy)), Wait(6000), Respond(486)],
    },
    LabNumber {
        number: "13800000032",
        says: "early announcement for 6 s, then no such number: 183, 404",
        script: &[Early(Speech(Sound::Invalid)), Wait(6000), Respond(404)],
    },
    LabNumber {
        number: "13800000033",
        says: "early ringback tone for 3 s, then answers and speaks: 183, 200",
        script: &[Early(Tone(450)), Wait(3000), Answer(Speech(Sound::LabSpeech))],
    },
];

/// Every number, in groups.
pub const GROUPS: [Group; 4] = [
    ("answer", ANSWERING),
    ("do not answer", UNANSWERED),
    ("refuse", REFUSING),
    ("announce first", ANNOUNCING),
];

/// Numbers that answer, speak, and hang up after the seconds in their last three digits.
pub const TIMED: &str = "13900000";

/// Any other number: there is no such one.
pub const UNKNOWN: &[Step] = &[Respond(404)];

/// The script of a called number, spelled in any way that a trunk's rules may make of it.
pub fn script(called: &str) -> Vec<Step> {
    let digits: String = called.chars().filter(char::is_ascii_digit).collect();
    // Country code, trunk prefix and carrier prefixes come first; what counts are the last 11 digits.
    let Some(number) = digits.len().checked_sub(11).map(|from| &digits[from..]) else {
        return UNKNOWN.to_vec();
    };
    if let Some(seconds) = number.strip_prefix(TIMED).and_then(|s| s.parse::<u64>().ok()) {
        return vec![
            RING,
            Wait(200),
            Answer(Speech(Sound::LabSpeech)),
            Wait(seconds * 1000),
            HangUp,
        ];
    }
    let all = GROUPS.iter().flat_map(|(_, numbers)| numbers.iter());
    all.clone()
        .find(|n| n.number == number)
        .map_or(UNKNOWN, |n| n.script)
        .to_vec()
}

/// The list as it is printed.
pub fn list() -> String {
    let mut out = String::new();
    for (group, numbers) in GROUPS {
        out.push_str(&format!("  numbers that {group}\n"));
        for n in numbers {
            out.push_str(&format!("    {}  {}\n", n.number, n.says));
        }
    }
    out.push_str(&format!(
        "  others\n    {TIMED}NNN  answers, speaks, hangs up after NNN seconds\n    anything else  no such number: 404\n"
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_however_a_trunk_spells_it() {
        for spelled in ["13800000021", "+8613800000021", "013800000021", "9,13800000021"] {
            assert_eq!(script(spelled), [Respond(486)], "{spelled}");
        }
        for unknown in ["", "13800000099", "95588", "anonymous"] {
            assert_eq!(script(unknown), UNKNOWN, "{unknown}");
        }
        assert_eq!(script("+8613900000007")[3..], [Wait(7000), HangUp]);
    }

    #[test]
    fn numbers_are_unique_and_scripts_make_sense() {
        let mut seen = std::collections::BTreeSet::new();
        for n in GROUPS.iter().flat_map(|(_, numbers)| numbers.iter()) {
            assert!(seen.insert(n.number), "{} twice", n.number);
            assert!(n.number.len() == 11 && !n.number.starts_with(TIMED));
            let answered = n.script.iter().position(|s| matches!(s, Answer(_)));
            for (i, step) in n.script.iter().enumerate() {
                match step {
                    Respond(status) if *status >= 300 => assert_eq!(i + 1, n.script.len(), "{}", n.number),
                    Digits(_) | HangUp => assert!(answered.is_some_and(|a| a < i), "{}", n.number),
                    _ => {}
                }
            }
        }
    }

    /// docs/lab.md lists them for readers.
    #[test]
    fn every_number_is_in_the_documentation() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lab.md");
        let page = std::fs::read_to_string(page).unwrap();
        for n in GROUPS.iter().flat_map(|(_, numbers)| numbers.iter()) {
            let row = format!("| {} | {} |", n.number, n.says);
            assert!(page.contains(&row), "docs/lab.md lacks: {row}");
        }
    }
}
