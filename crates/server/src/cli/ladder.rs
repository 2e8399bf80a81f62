//! A call's SIP messages drawn as a ladder: a column for every address, an arrow for every message.

use super::output;
use serde_json::Value;
use std::fmt::Write as _;

/// A message, as far as it is drawn.
struct Step<'a> {
    at_ms: i64,
    out: bool,
    transport: &'a str,
    local: &'a str,
    remote: &'a str,
    text: &'a str,
}

fn steps(answer: &Value) -> Vec<Step<'_>> {
    let all = answer["items"].as_array().into_iter().flatten();
    all.filter(|v| v["text"].is_string())
        .map(|v| Step {
            at_ms: v["at_ms"].as_i64().unwrap_or_default(),
            out: v["direction"] == "out",
            transport: v["transport"].as_str().unwrap_or("?"),
            local: v["local"].as_str().unwrap_or("?"),
            remote: v["remote"].as_str().unwrap_or("?"),
            text: v["text"].as_str().unwrap_or_default(),
        })
        .collect()
}

/// Columns from left to right: who spoke first with us, ourselves, the others in the order of their appearance.
fn columns(steps: &[Step<'_>]) -> (Vec<String>, usize) {
    let mut remotes: Vec<&str> = Vec::new();
    let mut locals: Vec<&str> = Vec::new();
    for s in steps {
        if !remotes.contains(&s.remote) {
            remotes.push(s.remote);
        }
        if !locals.contains(&s.local) {
            locals.push(s.local);
        }
    }
    let ours = match locals.as_slice() {
        [only] => (*only).to_owned(),
        several => format!("here ({} addresses)", several.len()),
    };
    let mut all: Vec<String> = remotes.into_iter().map(str::to_owned).collect();
    // A call that came in reads from left to right; one that we placed begins with us.
    let place = usize::from(steps.first().is_some_and(|s| !s.out));
    all.insert(place, ours);
    (all, place)
}

fn start_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The value of CSeq, which has no compact form.
fn cseq(text: &str) -> Option<&str> {
    let head = text.lines().skip(1).take_while(|l| !l.is_empty());
    head.filter_map(|l| l.split_once(':'))
        .find(|(name, _)| name.trim_end().eq_ignore_ascii_case("cseq"))
        .map(|(_, value)| value.trim())
}

/// The word on the arrow: a method, or a status.
fn word(line: &str) -> &str {
    let mut words = line.split(' ');
    match words.next() {
        Some("SIP/2.0") => words.next().unwrap_or("?"),
        Some(method) => method,
        None => "?",
    }
}

/// What may be printed: a control character in a message must not reach the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The lines of the columns with an arrow from one to the other.
fn arrow(count: usize, width: usize, from: usize, to: usize, label: &str) -> String {
    let (left, right) = (from.min(to), from.max(to));
    let mut cells: Vec<char> = vec![' '; (count - 1) * width + 1];
    for i in 0..count {
        cells[i * width] = '|';
    }
    let (first, last) = (left * width + 1, right * width - 1);
    cells[first..=last].fill('-');
    if from < to {
        cells[last] = '>';
    } else {
        cells[first] = '<';
    }
    let label: Vec<char> = format!(" {label} ").chars().take(width - 4).collect();
    // In the first gap that the arrow passes, so that a label never hides a column.
    let middle = first + (width - 1).saturating_sub(label.len()) / 2;
    cells[middle..middle + label.len()].copy_from_slice(&label);
    cells.into_iter().collect()
}

/// Draws the ladder; `full` adds every message below its arrow.
pub fn draw(answer: &Value, full: bool) -> String {
    let steps = steps(answer);
    let Some(first) = steps.first().map(|s| s.at_ms) else {
        return "no message of this call is kept (see [ladder] in docs/configuration.md)\n".to_owned();
    };
    let (columns, ours) = columns(&steps);
    let width = columns.iter().map(|c| c.len()).max().unwrap_or(0).max(18) + 4;
    let margin = " ".repeat(14);
    let mut out = String::new();
    for (i, column) in columns.iter().enumerate() {
        let begin = if i == 0 { margin.clone() } else { String::new() };
        let _ = write!(out, "{begin}{:<width$}", clean(column));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for s in &steps {
        let line = start_line(s.text);
        let shown = clean(line);
        let remote = columns
            .iter()
            .enumerate()
            .find(|(i, c)| *i != ours && *c == s.remote)
            .map_or(ours, |(i, _)| i);
        let (from, to) = if s.out { (ours, remote) } else { (remote, ours) };
        let drawn = arrow(columns.len(), width, from, to, &clean(word(line)));
        let _ = writeln!(
            out,
            "{:>10} ms {drawn}  {} {}{}",
            s.at_ms - first,
            s.transport,
            shown.strip_suffix(" SIP/2.0").unwrap_or(&shown),
            cseq(s.text).map_or_else(String::new, |c| format!("  [CSeq {}]", clean(c))),
        );
        if full {
            for line in s.text.lines() {
                let _ = writeln!(out, "{margin}    {}", clean(line));
            }
            out.push('\n');
        }
    }
    out
}

/// Prints it.
pub fn show(answer: &Value, full: bool, json: bool) {
    if json {
        output::json(answer);
    } else {
        print!("{}", draw(answer, full));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call() -> Value {
        let step = |at: i64, direction: &str, remote: &str, text: &str| {
            json!({
                "at_ms": 1_700_000_000_000_i64 + at, "direction": direction, "transport": "udp",
                "local": "192.0.2.1:5060", "remote": remote, "text": text,
            })
        };
        let (a, b) = ("192.0.2.2:5060", "192.0.2.3:5060");
        json!({ "items": [
            step(0, "in", a, "INVITE sip:b@x SIP/2.0\r\nCSeq : 7 INVITE\r\n\r\nCSeq: 9 BODY\r\n"),
            step(1, "out", a, "SIP/2.0 100 Trying\r\nCSeq: 7 INVITE\r\n\r\n"),
            step(5, "out", b, "INVITE sip:b@192.0.2.3 SIP/2.0\r\ncseq: 1 INVITE\r\n\r\n"),
            step(1205, "in", b, "SIP/2.0 200 OK\x1b[31m\r\nCSeq: 1 INVITE\r\n\r\n"),
        ]})
    }

    #[test]
    fn a_forwarded_call_is_drawn_from_left_to_right() {
        let drawn = draw(&call(), false);
        let expected = "
              192.0.2.2:5060        192.0.2.1:5060        192.0.2.3:5060
         0 ms |------ INVITE ------>|                     |  udp INVITE sip:b@x  [CSeq 7 INVITE]
         1 ms |<------- 100 --------|                     |  udp SIP/2.0 100 Trying  [CSeq 7 INVITE]
         5 ms |                     |------ INVITE ------>|  udp INVITE sip:b@192.0.2.3  [CSeq 1 INVITE]
      1205 ms |                     |<------- 200 --------|  udp SIP/2.0 200 OK?[31m  [CSeq 1 INVITE]
";
        assert_eq!(drawn, expected.trim_start_matches('\n'));
    }

    #[test]
    fn the_full_ladder_has_every_line_and_nothing_for_the_terminal() {
        let drawn = draw(&call(), true);
        assert!(drawn.contains("    CSeq : 7 INVITE\n"), "{drawn}");
        assert!(!drawn.contains('\x1b'));
    }

    #[test]
    fn a_call_without_messages_says_where_to_look() {
        assert!(draw(&json!({ "items": [] }), false).contains("[ladder]"));
    }

    #[test]
    fn an_arrow_may_pass_a_column() {
        assert_eq!(arrow(3, 12, 2, 0, "BYE"), "|<-- BYE ---------------|");
        assert_eq!(arrow(2, 12, 0, 1, "A-VERY-LONG-METHOD").chars().count(), 13);
    }
}
