//! Reads a TOML document key by key, and collects every problem with its file, line and column instead of stopping at
//! the first.
//!
//! A section remembers the keys that it was asked for. What is left when it is closed is an unknown key, and the message
//! names the known one that is nearest in spelling.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the name of the setting's other source.
    pub file: String,
    /// Line and column from 1; `None` for a problem that has no place in the file.
    pub place: Option<(usize, usize)>,
    /// What is wrong and what was expected, in one sentence without a full stop.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// A document being read.
pub struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    /// A reader of `text`, which came from `file`.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Reader {
            file,
            text,
            problems: RefCell::default(),
        }
    }

    /// Notes a problem at a span of the text.
    pub fn problem(&self, span: Option<Range<usize>>, message: String) {
        let place = span.map(|s| {
            let before = &self.text[..floor_boundary(self.text, s.start)];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            (line, column)
        });
        self.problems.borrow_mut().push(Problem {
            file: self.file.to_owned(),
            place,
            message,
        });
    }

    /// All problems, in the order of the file; those without a place come last.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|p| p.place.unwrap_or((usize::MAX, 0)));
        problems
    }
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A table of the document. An absent table is a section in which every key has its default.
pub struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    table: Option<&'a DeTable<'a>>,
    span: Option<Range<usize>>,
    asked: RefCell<Vec<&'static str>>,
}

/// The place of a value in the document.
pub struct Place<'a> {
    reader: &'a Reader<'a>,
    span: Option<Range<usize>>,
    name: String,
}

impl Place<'_> {
    /// Notes a problem there.
    pub fn problem(self, message: String) {
        self.reader.problem(self.span, format!("{}: {message}", self.name));
    }
}

impl<'a> Section<'a> {
    /// The document itself.
    pub fn root(reader: &'a Reader<'a>, table: &'a DeTable<'a>) -> Self {
        Section {
            reader,
            path: String::new(),
            table: Some(table),
            span: None,
            asked: RefCell::default(),
        }
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.table?.get(key)
    }

    /// The key's full name, for messages.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Where the key's value is written, for checks over several keys; the section's head if it is absent.
    pub fn span(&self, key: &str) -> Option<Range<usize>> {
        self.table
            .and_then(|t| t.get(key))
            .map(Spanned::span)
            .or(self.span.clone())
    }

    /// True if the file sets the key.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|t| t.contains_key(key))
    }

    /// Where a key's value is written, to note a problem after the section was closed.
    pub fn place(&self, key: &str) -> Place<'a> {
        Place {
            reader: self.reader,
            span: self.span(key),
            name: self.name(key),
        }
    }

    /// Notes a problem at a key.
    pub fn problem(&self, key: &str, message: String) {
        self.reader
            .problem(self.span(key), format!("{}: {message}", self.name(key)));
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'a>>, expected: &str) {
        let found = match value.get_ref() {
            DeValue::String(s) => format!("{s:?}"),
            DeValue::Integer(i) => i.as_str().to_owned(),
            DeValue::Float(f) => f.as_str().to_owned(),
            DeValue::Boolean(b) => b.to_string(),
            other => format!("a {}", other.type_str()),
        };
        self.reader.problem(
            Some(value.span()),
            format!("{}: {found} is not valid; expected {expected}", self.name(key)),
        );
    }

    /// The table `key` in this one.
    pub fn section(&self, key: &'static str) -> Section<'a> {
        let value = self.get(key);
        let table = value.and_then(|v| {
            let table = v.get_ref().as_table();
            if table.is_none() {
                self.wrong(key, v, &format!("a table [{}]", self.name(key)));
            }
            table
        });
        Section {
            reader: self.reader,
            path: self.name(key),
            table,
            span: value.map(Spanned::span),
            asked: RefCell::default(),
        }
    }

    /// The tables `[[key]]` in this one.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let expected = format!("tables [[{}]]", self.name(key));
        let Some(list) = value.get_ref().as_array() else {
            self.wrong(key, value, &expected);
            return Vec::new();
        };
        list.iter()
            .filter_map(|item| {
                let table = item.get_ref().as_table();
                if table.is_none() {
                    self.wrong(key, item, &expected);
                }
                Some(Section {
                    reader: self.reader,
                    path: self.name(key),
                    table: Some(table?),
                    span: Some(item.span()),
                    asked: RefCell::default(),
                })
            })
            .collect()
    }

    /// A text that `parse` accepts; `expected` completes "expected …".
    pub fn parsed<T>(&self, key: &'static str, default: T, expected: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let Some(value) = self.get(key) else { return default };
        if let Some(parsed) = value.get_ref().as_str().and_then(parse) {
            return parsed;
        }
        self.wrong(key, value, expected);
        default
    }

    /// An optional text that `parse` accepts.
    pub fn optional<T>(&self, key: &'static str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.parsed(key, None, expected, |s| parse(s).map(Some))
    }

    /// A list of texts that `parse` accepts; `expected` says of what. Wrong ones are left out.
    pub fn list<T>(&self, key: &'static str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let expected = format!("a list of {expected}");
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(key, value, &expected);
            return Vec::new();
        };
        let read = |item: &Spanned<DeValue<'a>>| {
            let parsed = item.get_ref().as_str().and_then(&parse);
            if parsed.is_none() {
                self.wrong(key, item, &expected);
            }
            parsed
        };
        items.iter().filter_map(read).collect()
    }

    /// A whole number in a range; `unit` is part of the message.
    pub fn integer(&self, key: &'static str, default: u64, range: RangeInclusive<u64>, unit: &str) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|i| u64::from_str_radix(&i.as_str().replace('_', ""), i.radix()).ok());
        if let Some(n) = number.filter(|n| range.contains(n)) {
            return n;
        }
        let unit = if unit.is_empty() {
            String::new()
        } else {
            format!(" ({unit})")
        };
        self.wrong(
            key,
            value,
            &format!("a whole number from {} to {}{unit}", range.start(), range.end()),
        );
        default
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(key, value, "true or false");
            default
        })
    }

    /// A length of time as `250ms`, `10s`, `5m`, `2h` or `7d`.
    pub fn duration(&self, key: &'static str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let expected = format!(
            "a time from {} to {}, such as \"10s\" (units: ms, s, m, h, d)",
            show_duration(*range.start()),
            show_duration(*range.end())
        );
        self.parsed(key, default, &expected, |s| {
            parse_duration(s).filter(|d| range.contains(d))
        })
    }

    /// One of the listed words.
    pub fn choice<T: Copy>(&self, key: &'static str, default: T, words: &[(&str, T)]) -> T {
        let names: Vec<String> = words.iter().map(|(w, _)| format!("{w:?}")).collect();
        let mut expected = names.join(" or ");
        if let Some(value) = self.table.and_then(|t| t.get(key)).and_then(|v| v.get_ref().as_str())
            && let Some(near) = nearest(value, words.iter().map(|(w, _)| *w))
        {
            expected.push_str(&format!("; did you mean {near:?}?"));
        }
        self.parsed(key, default, &expected, |s| {
            words.iter().find(|(w, _)| *w == s).map(|(_, v)| *v)
        })
    }

    /// Ends the section: keys that nothing asked for are problems.
    pub fn close(self) {
        let Some(table) = self.table else { return };
        let asked = self.asked.borrow();
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let place = if self.path.is_empty() {
                "at the top of the file".to_owned()
            } else {
                format!("in [{}]", self.path)
            };
            let hint = match nearest(name, asked.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("expected one of: {}", asked.join(", ")),
            };
            self.reader
                .problem(Some(key.span()), format!("unknown key {name:?} {place}; {hint}"));
        }
    }
}

/// The word that a typing error most likely meant: at most a third of its letters differ.
pub fn nearest<'w>(text: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let text = text.to_lowercase();
    words
        .into_iter()
        .map(|w| (distance(&text, w), w))
        .filter(|(d, w)| *d <= (w.len() / 3).max(1))
        .min_by_key(|(d, _)| *d)
        .map(|(_, w)| w)
}

/// Edits between two texts, a swap of neighbours counted as one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let differ = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + differ);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// Reads `250ms`, `10s`, `5m`, `2h`, `7d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let n: u64 = text[..digits].parse().ok()?;
    let ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    n.checked_mul(ms).map(Duration::from_millis)
}

/// Writes a time as [`parse_duration`] reads it, in the largest unit that is exact.
pub fn show_duration(d: Duration) -> String {
    let ms = d.as_millis() as u64;
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if ms != 0 && ms.is_multiple_of(size) {
            return format!("{}{unit}", ms / size);
        }
    }
    format!("{ms}ms")
}
