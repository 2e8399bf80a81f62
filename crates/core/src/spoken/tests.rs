//! The examples of voice-paas §5.1, a table of several hundred texts a language, pacing, and readers that turn what was
//! said back into figures.

use super::*;
use proptest::prelude::*;

const TABLES: [(Language, &str); 2] = [
    (Language::Chinese, include_str!("tests/zh.txt")),
    (Language::English, include_str!("tests/en.txt")),
];

fn word(language: Language, unit: &str) -> &'static str {
    let found = units(language).iter().find(|u| u.unit == unit);
    found.unwrap_or_else(|| panic!("no unit {unit}")).text
}

fn stems(pieces: &[Piece]) -> Vec<&'static str> {
    let unit = |p: &Piece| match p {
        Piece::Unit(unit) => Some(*unit),
        Piece::Pause(_) => None,
    };
    pieces.iter().filter_map(unit).collect()
}

/// The words of the units, as the table has them; or `!` and the error's name.
fn words(kind: Kind, text: &str, language: Language, manner: &Manner) -> String {
    match speak(kind, text, language, manner) {
        Ok(pieces) => {
            let words: Vec<_> = stems(&pieces).into_iter().map(|u| word(language, u)).collect();
            words.join(if language == Language::Chinese { "" } else { " " })
        }
        Err(SpokenError::Empty) => "! Empty".into(),
        Err(SpokenError::Form(_)) => "! Form".into(),
        Err(SpokenError::Date) => "! Date".into(),
        Err(SpokenError::TimeOfDay) => "! TimeOfDay".into(),
        Err(SpokenError::TooLong) => "! TooLong".into(),
        Err(SpokenError::Character { .. }) => "! Character".into(),
    }
}

fn zh(kind: Kind, text: &str) -> String {
    words(kind, text, Language::Chinese, &Manner::default())
}

fn en(kind: Kind, text: &str) -> String {
    words(kind, text, Language::English, &Manner::default())
}

#[test]
fn the_table_is_read_as_it_says() {
    for (language, table) in TABLES {
        let mut rows = 0;
        for line in table.lines().filter(|l| !l.starts_with('#')) {
            let row: Vec<_> = line.splitn(3, " | ").collect();
            let kind = Kind::from_name(row[0]).expect("a kind");
            assert_eq!(words(kind, row[1], language, &Manner::default()), row[2], "{line}");
            rows += 1;
        }
        assert!(rows >= 200, "{rows} rows");
    }
}

// accept: voice-paas 57
#[test]
fn chinese_dates() {
    assert_eq!(zh(Kind::Time, "2013-07-30"), "二零一三年七月三十日");
    assert_eq!(zh(Kind::Time, "2024-10-02"), "二零二四年十月二日");
}

// accept: voice-paas 58
#[test]
fn chinese_numbers() {
    for (text, said) in [
        ("0", "零"),
        ("10", "十"),
        ("12", "十二"),
        ("105", "一百零五"),
        ("112", "一百一十二"),
        ("1010", "一千零一十"),
        ("2000", "两千"),
        ("20002", "两万零二"),
        ("200", "二百"),
        ("100000000", "一亿"),
        ("-3.05", "负三点零五"),
    ] {
        assert_eq!(zh(Kind::Number, text), said);
    }
}

// accept: voice-paas 59
#[test]
fn chinese_money() {
    for (text, said) in [
        ("2.14", "两元一角四分"),
        ("10.05", "十元零五分"),
        ("10.5", "十元五角"),
        ("0.05", "五分"),
        ("0.20", "两角"),
        ("0", "零元"),
        ("10.00", "十元"),
        ("1203.4", "一千二百零三元四角"),
    ] {
        assert_eq!(zh(Kind::Money, text), said);
    }
}

// accept: voice-paas 60
#[test]
fn a_dictated_one_is_yao_and_can_be_yi() {
    assert_eq!(zh(Kind::Digits, "112"), "幺幺二");
    assert_eq!(zh(Kind::Digits, "A7"), "A七");
    let yi = Manner {
        yao: false,
        ..Manner::default()
    };
    assert_eq!(words(Kind::Digits, "112", Language::Chinese, &yi), "一一二");
}

// accept: voice-paas 61
#[test]
fn english_dates() {
    assert_eq!(en(Kind::Time, "2013-07-30"), "July thirtieth twenty thirteen");
    assert_eq!(en(Kind::Time, "2005-01-01"), "January first two thousand five");
    assert_eq!(en(Kind::Time, "1900-12-31"), "December thirty first nineteen hundred");
}

// accept: voice-paas 62
#[test]
fn english_numbers() {
    assert_eq!(en(Kind::Number, "112"), "one hundred twelve");
    assert_eq!(en(Kind::Number, "1010"), "one thousand ten");
    assert_eq!(en(Kind::Number, "3.05"), "three point zero five");
}

// accept: voice-paas 63
#[test]
fn english_money() {
    assert_eq!(en(Kind::Money, "2.14"), "two yuan and fourteen fen");
    assert_eq!(en(Kind::Money, "0.05"), "five fen");
    assert_eq!(en(Kind::Money, "10"), "ten yuan");
    assert_eq!(en(Kind::Money, "1.01"), "one yuan and one fen");
}

#[test]
fn other_currencies_have_their_plurals() {
    let said = |currency, text| {
        let manner = Manner {
            currency,
            ..Manner::default()
        };
        words(Kind::Money, text, Language::English, &manner)
    };
    assert_eq!(said(Currency::Dollar, "1.01"), "one dollar and one cent");
    assert_eq!(said(Currency::Dollar, "21.02"), "twenty one dollars and two cents");
    assert_eq!(said(Currency::Euro, "0"), "zero euros");
    assert_eq!(said(Currency::Pound, "1.5"), "one pound and fifty pence");
    assert_eq!(said(Currency::Pound, "-2.01"), "minus two pounds and one penny");
}

// accept: voice-paas 64
#[test]
fn english_digits_with_star_and_pound() {
    assert_eq!(en(Kind::Digits, "112"), "one one two");
    assert_eq!(en(Kind::Digits, "*0#"), "star zero pound");
    assert_eq!(zh(Kind::Digits, "*0#+"), "星零井加");
}

// accept: voice-paas 66
#[test]
fn times_of_day() {
    assert_eq!(zh(Kind::Time, "14:05"), "十四点零五分");
    assert_eq!(zh(Kind::Time, "02:00"), "两点整");
    assert_eq!(zh(Kind::Time, "09:30:08"), "九点三十分零八秒");
    assert_eq!(en(Kind::Time, "14:05"), "two oh five p.m.");
    assert_eq!(en(Kind::Time, "02:00"), "two a.m.");
    // The two 点 are different units: a studio may speak them differently.
    let at_two = speak(Kind::Time, "02:05", Language::Chinese, &Manner::default()).unwrap();
    assert_eq!(stems(&at_two), ["2-liang", "hour", "0", "5", "minute"]);
    let fraction = speak(Kind::Number, "2.5", Language::Chinese, &Manner::default()).unwrap();
    assert_eq!(stems(&fraction), ["2", "point", "5"]);
}

#[test]
fn a_captcha_is_its_sentence_and_the_code_whatever_the_case() {
    for language in Language::ALL {
        let said = |code| captcha(code, language, &Manner::default());
        let pieces = said("aB3d").unwrap();
        assert_eq!(stems(&pieces), ["code-intro", "a", "b", "3", "d"]);
        assert_eq!(pieces[1], Piece::Pause(ITEM_PAUSE));
        assert_eq!(said("AB3D"), said("aB3d"));
        assert_eq!(said(""), Err(SpokenError::Empty));
    }
}

#[test]
fn errors_say_what_is_expected_and_repeat_nothing() {
    let error = |kind, text| {
        speak(kind, text, Language::English, &Manner::default())
            .unwrap_err()
            .to_string()
    };
    for kind in Kind::ALL {
        assert_eq!(error(kind, ""), "the text is empty");
    }
    assert!(error(Kind::Time, "2013-02-30").contains("no such day"));
    assert!(error(Kind::Time, "tomorrow").contains("YYYY-MM-DD"));
    assert!(error(Kind::Money, "1.234").contains("at most 2 decimals"));
    assert!(error(Kind::Number, "1e5").contains("1 to 12 digits"));
    let secret = error(Kind::Digits, "483920_");
    assert!(secret.contains("position 7") && !secret.contains("4839"), "{secret}");
    assert!(error(Kind::Digits, &"7".repeat(65)).contains("64"));
}

/// Lengths of the silences, and 0 for each unit.
fn pauses(text: &str) -> Vec<u16> {
    let pieces = speak(Kind::Digits, text, Language::English, &Manner::default()).unwrap();
    let length = |p: &Piece| match p {
        Piece::Unit(_) => 0,
        Piece::Pause(ms) => *ms,
    };
    pieces.iter().map(length).collect()
}

#[test]
fn digits_are_paced() {
    let default = Manner::default();
    assert!((120..=200).contains(&default.digit_pause) && default.group_pause == 300);
    assert_eq!(pauses("123"), [0, 150, 0, 150, 0]);
    // Five are one group, more are groups of three and four.
    assert!(pauses("12345").iter().all(|&p| p <= 150));
    assert_eq!(pauses("123456"), [0, 150, 0, 150, 0, 450, 0, 150, 0, 150, 0]);
    for length in 6..=64 {
        let pauses = pauses(&"8".repeat(length));
        let groups = pauses
            .split(|&p| p == 450)
            .map(|g| g.iter().filter(|&&p| p == 0).count());
        let groups: Vec<_> = groups.collect();
        assert!(groups.iter().all(|g| (3..=4).contains(g)), "{length}: {groups:?}");
        assert_eq!(groups.iter().sum::<usize>(), length);
    }
}

#[test]
fn a_hyphen_and_a_space_are_pauses_and_group_the_text() {
    assert_eq!(pauses("1-2"), [0, 450, 0]);
    assert_eq!(pauses("1 2"), [0, 450, 0]);
    assert_eq!(pauses("-"), [450]);
    // 010-62345678: each part is grouped by itself.
    let parts = pauses("010-62345678");
    assert_eq!(parts.iter().filter(|&&p| p == 450).count(), 2);
    assert_eq!(parts.iter().position(|&p| p == 450), Some(5));
}

#[test]
fn no_pause_follows_another_one() {
    for kind in Kind::ALL {
        for text in ["2013-07-30 14:05", "1-- 2", "12.34", "+86 138 0013 8000"] {
            for language in Language::ALL {
                let Ok(pieces) = speak(kind, text, language, &Manner::default()) else {
                    continue;
                };
                let two = pieces
                    .windows(2)
                    .any(|w| matches!(w, [Piece::Pause(_), Piece::Pause(_)]));
                assert!(!two && !pieces.is_empty(), "{pieces:?}");
            }
        }
    }
}

#[test]
fn units_are_named_once_and_names_are_file_names() {
    for language in Language::ALL {
        let mut names: Vec<_> = units(language).iter().map(|u| u.unit).collect();
        assert!(
            names
                .iter()
                .all(|n| n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        );
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(Language::from_code(language.code()), Some(language));
    }
}

/// Reads Chinese number words: the value so far of the whole, of the group of four, and the digit just said.
fn chinese_value(stems: &[&str]) -> u64 {
    let (mut total, mut group, mut digit) = (0u64, 0, None);
    for stem in stems {
        match *stem {
            place @ ("10" | "100" | "1000") => {
                // A bare 十 is one ten.
                group += digit.take().unwrap_or(1) * place.parse::<u64>().unwrap();
            }
            scale @ ("10000" | "100000000") => {
                total += (group + digit.take().unwrap_or(0)) * scale.parse::<u64>().unwrap();
                group = 0;
            }
            "2-liang" => digit = Some(2),
            d => digit = Some(d.parse().unwrap()),
        }
    }
    total + group + digit.unwrap_or(0)
}

fn english_value(stems: &[&str]) -> u64 {
    let (mut total, mut group) = (0u64, 0);
    for stem in stems {
        let mut scale = |by| {
            total += group * by;
            group = 0;
        };
        match *stem {
            "hundred" => group *= 100,
            "thousand" => scale(1000),
            "million" => scale(1_000_000),
            "billion" => scale(1_000_000_000),
            n => group += n.parse::<u64>().unwrap(),
        }
    }
    total + group
}

/// What was said, written with figures: -12.05.
fn written(language: Language, stems: &[&str]) -> String {
    let (sign, unsigned) = match stems.split_first() {
        Some((&"minus", rest)) => ("-", rest),
        _ => ("", stems),
    };
    let mut parts = unsigned.split(|&s| s == "point");
    let whole = parts.next().unwrap_or_default();
    let value = match language {
        Language::Chinese => chinese_value(whole),
        Language::English => english_value(whole),
    };
    match parts.next() {
        Some(fraction) => format!("{sign}{value}.{}", fraction.concat()),
        None => format!("{sign}{value}"),
    }
}

/// Amounts in fen.
fn fen(language: Language, stems: &[&str]) -> i64 {
    let (sign, unsigned) = match stems.split_first() {
        Some((&"minus", rest)) => (-1, rest),
        _ => (1, stems),
    };
    let mut total = 0;
    let mut count = Vec::new();
    for stem in unsigned {
        let scale = match *stem {
            "yuan" => 100,
            "jiao" => 10,
            "fen" => 1,
            "and" => continue,
            other => {
                count.push(other);
                continue;
            }
        };
        let value = match language {
            Language::Chinese => chinese_value(&count),
            Language::English => english_value(&count),
        };
        total += scale * i64::try_from(value).unwrap();
        count.clear();
    }
    sign * total
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,70}", kind in 0..4usize) {
        for language in Language::ALL {
            let manner = Manner { digit_pause: u16::MAX, group_pause: u16::MAX, ..Manner::default() };
            if let Ok(pieces) = speak(Kind::ALL[kind], &text, language, &manner) {
                prop_assert!(!pieces.is_empty());
                stems(&pieces).into_iter().for_each(|u| { word(language, u); });
            }
        }
    }

    #[test]
    fn both_languages_accept_the_same_texts(text in "[-0-9:. *#+A-z]{0,12}", kind in 0..4usize) {
        let said = |language| speak(Kind::ALL[kind], &text, language, &Manner::default()).err();
        prop_assert_eq!(said(Language::Chinese), said(Language::English));
    }

    #[test]
    fn numbers_read_back(digits in 1..=12u32, seed in any::<u64>(), zeros in any::<u64>(), fraction in "[0-9]{0,6}", minus in any::<bool>()) {
        // Half of the places are zeros, so that runs of them are common.
        let mut value = 0;
        for place in 0..digits {
            let digit = if zeros >> place & 1 == 0 { 0 } else { seed / 10u64.pow(place) % 10 };
            value = value * 10 + digit;
        }
        let zero = value == 0 && fraction.bytes().all(|b| b == b'0');
        let sign = if minus && !zero { "-" } else { "" };
        let text = if fraction.is_empty() { format!("{sign}{value}") } else { format!("{sign}{value}.{fraction}") };
        for language in Language::ALL {
            let pieces = speak(Kind::Number, &text, language, &Manner::default()).unwrap();
            prop_assert_eq!(written(language, &stems(&pieces)), text.clone());
        }
    }

    #[test]
    fn amounts_read_back(amount in -99_999_999_999_999i64..=99_999_999_999_999, shift in 0..14u32) {
        let amount = amount / 10i64.pow(shift);
        let sign = if amount < 0 { "-" } else { "" };
        let text = format!("{sign}{}.{:02}", amount.unsigned_abs() / 100, amount.unsigned_abs() % 100);
        for language in Language::ALL {
            let pieces = speak(Kind::Money, &text, language, &Manner::default()).unwrap();
            prop_assert_eq!(fen(language, &stems(&pieces)), amount);
        }
    }

    #[test]
    fn digits_read_back(text in "[0-9]{1,64}") {
        for language in Language::ALL {
            let pieces = speak(Kind::Digits, &text, language, &Manner::default()).unwrap();
            let back: String = stems(&pieces).into_iter().map(|s| &s[..1]).collect();
            prop_assert_eq!(back, text.clone());
        }
    }
}

#[test]
fn a_place_in_a_queue_is_told_with_its_wait() {
    let say = |text: &str, language| stems(&speak(Kind::Place, text, language, &Manner::default()).unwrap());
    assert_eq!(say("2", Language::Chinese), ["place-intro", "2", "place-end"]);
    assert_eq!(
        say("2 2", Language::Chinese),
        ["place-intro", "2", "place-end", "wait-intro", "2-liang", "wait-end"]
    );
    assert_eq!(
        say("21 1", Language::English),
        ["place-intro", "20", "1", "place-end", "wait-intro", "1", "wait-end-one"]
    );
    for text in ["", "-1", "1.5", "12345", "1 ", " 1", "1 2 3", "one"] {
        assert!(
            speak(Kind::Place, text, Language::English, &Manner::default()).is_err(),
            "{text:?}"
        );
    }
    assert_eq!(Kind::from_name("place"), None, "it is the platform's own");
}
