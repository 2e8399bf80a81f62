//! Texts with values in them: `${name}` is the value of that name, `$$` a dollar sign.
//!
//! A value is escaped for the place it goes to, so that what a caller keys in or says cannot change the meaning of a URL,
//! a header or a JSON body.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest template, in bytes.
pub const MAX_TEMPLATE: usize = 8 * 1024;
/// The longest text that one becomes, in bytes; the rest is cut off.
pub const MAX_RENDERED: usize = 32 * 1024;
/// The longest name of a value.
pub const MAX_NAME: usize = 64;

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To be spoken, shown or stored: control characters are left out.
    Text,
    /// Into a URL: everything but unreserved characters is percent-encoded (RFC 3986 §2.3).
    Url,
    /// Into a JSON string (RFC 8259 §7), without the quotes around it.
    Json,
    /// Into a header's value (RFC 9110 §5.5): visible ASCII and spaces, anything else is percent-encoded.
    Header,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(String),
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A dollar sign that begins nothing.
    #[error("the $ at character {0} begins no ${{name}}; write $$ for a dollar sign")]
    Dollar(usize),
    /// `${` without `}`.
    #[error("the ${{ at character {0} is not closed by }}")]
    Open(usize),
    /// A name that is none.
    #[error("the name at character {0} is not made of 1 to 64 letters, digits, _, - and .")]
    Name(usize),
    /// Longer than [`MAX_TEMPLATE`].
    #[error("it is longer than 8192 bytes")]
    Length,
}

/// A text with values in it. A bad one is kept as it was written, so that a flow's check can tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Result<Vec<Part>, BadTemplate>,
}

/// True for the name of a value.
pub fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(fits)
}

fn parse(text: &str) -> Result<Vec<Part>, BadTemplate> {
    if text.len() > MAX_TEMPLATE {
        return Err(BadTemplate::Length);
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let position = text[..text.len() - from.len()].chars().count() + 1;
        if let Some(after) = from.strip_prefix("$$") {
            plain.push('$');
            rest = after;
        } else if let Some(after) = from.strip_prefix("${") {
            let (name, after) = after.split_once('}').ok_or(BadTemplate::Open(position))?;
            if !is_name(name) {
                return Err(BadTemplate::Name(position));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Value(name.to_owned()));
            rest = after;
        } else {
            return Err(BadTemplate::Dollar(position));
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

impl Template {
    /// Reads a text. Never fails: see [`Template::problem`].
    pub fn new(text: impl Into<String>) -> Template {
        let text = text.into();
        let parts = parse(&text);
        Template { text, parts }
    }

    /// Why it cannot be used, if it cannot.
    pub fn problem(&self) -> Option<BadTemplate> {
        self.parts.as_ref().err().copied()
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.text
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The names of the values in it, in order, repeated where they are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flatten().filter_map(|p| match p {
            Part::Value(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text before the first value.
    pub fn head(&self) -> &str {
        match self.parts.as_deref() {
            Ok([Part::Text(text), ..]) => text,
            _ => "",
        }
    }

    /// The text with the values in it, escaped for its place. A value that is not there is empty, and a bad template
    /// is. Cut off at [`MAX_RENDERED`].
    pub fn render<'v>(&self, place: Place, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
        let mut out = String::new();
        for part in self.parts.iter().flatten() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(name) => escape(&mut out, place, value(name).as_deref().unwrap_or("")),
            }
            if out.len() > MAX_RENDERED {
                let end = (0..=MAX_RENDERED).rev().find(|n| out.is_char_boundary(*n));
                out.truncate(end.unwrap_or(0));
                break;
            }
        }
        out
    }
}

fn escape(out: &mut String, place: Place, value: &str) {
    for c in value.chars() {
        match place {
            Place::Text if c.is_control() => {}
            Place::Text => out.push(c),
            Place::Url if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') => out.push(c),
            Place::Header if matches!(c, ' '..='~') && c != '%' => out.push(c),
            Place::Url | Place::Header => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
            Place::Json => match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn render(text: &str, place: Place, value: &str) -> String {
        Template::new(text).render(place, |name| (name == "v").then_some(Cow::Borrowed(value)))
    }

    #[test]
    fn values_are_escaped_for_their_place() {
        let nasty = "a\"b\\c\n d&é%/";
        for (place, expected) in [
            (Place::Text, "<a\"b\\c d&é%/>"),
            (Place::Url, "<a%22b%5Cc%0A%20d%26%C3%A9%25%2F>"),
            (Place::Json, "<a\\\"b\\\\c\\u000a d&é%/>"),
            (Place::Header, "<a\"b\\c%0A d&%C3%A9%25/>"),
        ] {
            assert_eq!(render("<${v}>", place, nasty), expected, "{place:?}");
        }
        assert_eq!(render("$$${v}$$${other}", Place::Text, "1"), "$1$");
    }

    #[test]
    fn bad_templates_say_where() {
        let problem = |text: &str| Template::new(text).problem();
        assert_eq!(problem("a $b"), Some(BadTemplate::Dollar(3)));
        assert_eq!(problem("é${b"), Some(BadTemplate::Open(2)));
        assert_eq!(problem("${}"), Some(BadTemplate::Name(1)));
        assert_eq!(problem("${a b}"), Some(BadTemplate::Name(1)));
        assert_eq!(problem(&"x".repeat(MAX_TEMPLATE + 1)), Some(BadTemplate::Length));
        assert_eq!(problem("plain"), None);
        let t = Template::new("https://h/${a}/${b.c}");
        assert_eq!(
            (t.head(), t.names().collect::<Vec<_>>()),
            ("https://h/", vec!["a", "b.c"])
        );
        assert_eq!(Template::new("a $b").render(Place::Text, |_| None), "");
    }

    #[test]
    fn a_long_text_is_cut_off() {
        let long = "é".repeat(MAX_RENDERED);
        assert_eq!(render("${v}${v}", Place::Text, &long).len(), MAX_RENDERED);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_no_value_escapes_its_place(text in "[a$ {}é]{0,20}", value in any::<String>()) {
            let template = Template::new(text);
            for place in [Place::Text, Place::Url, Place::Json, Place::Header] {
                let _ = template.render(place, |_| Some(Cow::Borrowed(value.as_str())));
            }
            let one = Template::new("${v}");
            let of = |place| one.render(place, |_| Some(Cow::Borrowed(value.as_str())));
            prop_assert!(of(Place::Url).bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert!(of(Place::Header).bytes().all(|b| (b' '..=b'~').contains(&b)));
            let json = of(Place::Json);
            let mut escaped = false;
            for c in json.chars() {
                prop_assert!(!c.is_control() && (c != '"' || escaped));
                escaped = c == '\\' && !escaped;
            }
            prop_assert!(!escaped);
        }
    }
}
