//! Our parser against another one on the torture messages of RFC 4475 and on seeded mutations of them. A difference that
//! [`explain`] has no reason for fails the test: it is a fault of one of the two, and which one has to be found out.

use bytes::Bytes;
use std::collections::BTreeMap;
use strowger_differential::{View, ours, theirs};
use strowger_fuzz_targets::TARGETS;
use strowger_fuzz_targets::mutate::{Rng, mutate};
use strowger_sip_core::message::Defect;
use strowger_sip_core::{HeaderName, Message};

const MUTATIONS: u64 = 30_000;

/// The lines of the header section, as nobody but this test splits them.
fn head(input: &[u8]) -> Vec<&[u8]> {
    let start = input.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0);
    let lines = input[start..]
        .split(|b| *b == b'\n')
        .map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    lines.take_while(|l| !l.is_empty()).collect()
}

/// How often a header field occurs, by its long or short name.
fn count(input: &[u8], name: HeaderName) -> usize {
    let is = |line: &&&[u8]| {
        let colon = line.iter().position(|b| *b == b':').unwrap_or(0);
        HeaderName::from_bytes(line[..colon].trim_ascii()) == name
    };
    head(input).iter().skip(1).filter(is).count()
}

/// Why we refuse what the other parser takes.
fn refused(input: &[u8]) -> Option<&'static str> {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(input)) else {
        let first = head(input).first().copied().unwrap_or_default();
        let odd = first.iter().any(|b| !(b' '..=b'~').contains(b))
            || !first.windows(4).any(|w| w.eq_ignore_ascii_case(b"SIP/"));
        return odd.then_some("a start line with characters that it cannot have, or without a version");
    };
    match message.defect()? {
        Defect::RequestLine => {
            Some("white space or brackets in the request line: repair is allowed, we refuse (RFC 4475 3.1.2.7-10)")
        }
        Defect::Version => {
            (!head(input)[0].ends_with(b"SIP/2.0")).then_some("another version is answered with 505 (RFC 3261 21.5.6)")
        }
        Defect::MethodMismatch => Some("CSeq has to name the method of the request (RFC 3261 8.1.1.5)"),
        Defect::Separators(_) => Some("separators with nothing between them (RFC 4475 3.1.2.1)"),
        Defect::HeaderLine => {
            let bad = |line: &&[u8]| {
                let colon = line.iter().position(|b| *b == b':');
                let name = colon.map_or(&b""[..], |at| line[..at].trim_ascii_end());
                let token = |b: &u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b);
                name.is_empty() || !name.iter().all(token)
            };
            head(input)
                .iter()
                .skip(1)
                .any(bad)
                .then_some("a line without a header name")
        }
        Defect::Mandatory(HeaderName::Via) => {
            Some("the topmost Via cannot be read, so nobody could be answered (RFC 3261 18.2.2)")
        }
        Defect::Mandatory(HeaderName::CSeq) if count(input, HeaderName::CSeq) == 1 => {
            Some("CSeq is a number below 2^31 and a token (RFC 3261 8.1.1.5)")
        }
        Defect::Mandatory(name) if count(input, name) != 1 => {
            Some("a field that must be there once (RFC 3261 8.1.1, 7.3.1)")
        }
        Defect::Mandatory(HeaderName::From | HeaderName::To) => {
            Some("a quotation or bracket that does not end (RFC 4475 3.1.2.6)")
        }
        Defect::Mandatory(_) => Some("an empty mandatory field"),
        Defect::ContentLength => Some("a length that is no number, differs from another one, or exceeds the message"),
        Defect::Truncated | Defect::TooManyHeaders => Some("a limit of ours"),
    }
}

/// Why the other parser refuses what we take.
fn taken(input: &[u8]) -> Option<&'static str> {
    let Ok(other) = rvoip_sip_core::parse_message(input) else {
        let strange = |b: &u8| !matches!(b, b' '..=b'~' | b'\r' | b'\n');
        let alone = input
            .windows(2)
            .any(|w| w[0] != b'\r' && w[1] == b'\n' || w[0] == b'\r' && w[1] != b'\n');
        let folded = input.windows(2).any(|w| w[0] == b'\n' && matches!(w[1], b' ' | b'\t'));
        let lines = head(input);
        let spaced = lines.iter().skip(1).any(|l| {
            l.iter()
                .position(|b| *b == b':')
                .is_some_and(|c| l[..c].ends_with(b" "))
        });
        return if lines.iter().any(|l| l.iter().any(strange)) {
            Some("it refuses characters outside of ASCII, and control characters, where we keep them")
        } else if alone {
            Some("it wants CR and LF as a pair; a line feed alone ends our lines (RFC 4475 needs no more)")
        } else if folded || spaced {
            Some("it does not follow white space around names and values everywhere (RFC 3261 7.3.1)")
        } else if count(input, HeaderName::ContentLength) != 1 {
            Some("it wants one Content-Length; in a datagram the rest is the body (RFC 3261 18.3)")
        } else if strowger_sip_core::Uri::parse(&Message::parse(Bytes::copy_from_slice(input)).ok()?.request_uri())
            .is_err()
            || lines.first().is_some_and(|l| l.contains(&b'%') || l.contains(&b':'))
        {
            Some("it judges the Request-URI or the method while it reads; we answer 400 or 416 when it is used")
        } else {
            None
        };
    };
    // It reads the message but leaves a field without a type: it could not make sense of it.
    let untyped = other.from().is_none()
        || other.to().is_none()
        || other.call_id().is_none()
        || other.first_via().is_none()
        || theirs(input).is_none();
    untyped.then_some("it judges From, To, Via and Call-ID in full while it reads; we read tags and branch and judge URIs when they are used")
}

/// True if `input` has a carriage return or a line feed without the other.
fn lone_line_end(input: &[u8]) -> bool {
    input
        .windows(2)
        .any(|w| w[0] != b'\r' && w[1] == b'\n' || w[0] == b'\r' && w[1] != b'\n')
}

/// Why the two read different things: every field that differs needs a reason of its own, and the first is told.
fn seen(a: &View, b: &View, input: &[u8]) -> Option<&'static str> {
    let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    // It reads nothing, or up to the first character that is not of a token, where we keep what is written.
    let less = |own: &str, other: &str| {
        own == other
            || other.is_empty()
            || squeeze(own) == squeeze(other)
            || !own.chars().all(token) && own.starts_with(other)
    };
    let mut reason = None;
    let mut differs = |same: bool, explained: bool, why: &'static str| {
        if !same {
            reason.get_or_insert(why);
        }
        same || explained
    };
    let all = differs(a.start == b.start, false, "")
        && differs(a.cseq == b.cseq, false, "")
        && differs(
            a.tags == b.tags,
            less(&a.tags.0, &b.tags.0) && less(&a.tags.1, &b.tags.1),
            "it gives the parameters of an address without brackets to the URI, where RFC 3261 20.10 gives them to the header",
        )
        && differs(
            (a.vias, &a.branch) == (b.vias, &b.branch),
            b.vias < a.vias || a.vias == b.vias && less(&a.branch, &b.branch) || lone_line_end(input),
            "it leaves out a Via, or the rest of a branch, that it cannot read; we keep what was written",
        )
        && differs(
            a.call_id == b.call_id,
            squeeze(&a.call_id) == squeeze(&b.call_id) || a.call_id.starts_with(&b.call_id),
            "it squeezes white space in a folded Call-ID, or stops at a character that it does not know",
        )
        && differs(
            a.body == b.body,
            lone_line_end(input),
            "a line feed without carriage return ends our header lines and not its own, so the lengths differ",
        );
    reason.filter(|_| all)
}

fn explain(a: &Option<View>, b: &Option<View>, input: &[u8]) -> Option<&'static str> {
    match (a, b) {
        (None, Some(_)) => refused(input),
        (Some(_), None) => taken(input),
        (Some(a), Some(b)) => seen(a, b, input),
        (None, None) => None,
    }
}

#[test]
fn differences_are_explained() {
    let seeds = (TARGETS[0].seeds)();
    let mut rng = Rng::new(20_060_501);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut agreed, mut unexplained) = (0, Vec::new());
    let mut inputs: Vec<Vec<u8>> = seeds.clone();
    for _ in 0..MUTATIONS {
        let (one, other) = (rng.below(seeds.len()), rng.below(seeds.len()));
        inputs.push(mutate(&mut rng, &seeds[one], &seeds[other]));
    }
    for input in &inputs {
        let (a, b) = (ours(input), theirs(input));
        if a == b {
            agreed += 1;
        } else if let Some(reason) = explain(&a, &b, input) {
            *reasons.entry(reason).or_default() += 1;
        } else {
            unexplained.push(format!("{}\n  ours {a:?}\n  theirs {b:?}", input.escape_ascii()));
        }
    }
    println!("{agreed} of {} agree", inputs.len());
    for (reason, n) in &reasons {
        println!("{n:>7} {reason}");
    }
    let few: Vec<&String> = unexplained.iter().take(5).collect();
    assert!(
        unexplained.is_empty(),
        "{} unexplained differences, such as\n{few:#?}",
        unexplained.len()
    );
    assert!(agreed > inputs.len() / 2, "the oracle is of little use");
}
