//! Answers for people: tables and cards.

use serde_json::Value;

/// How an answer is shown.
#[derive(Debug)]
pub enum View {
    /// The members of `items` as a table: heading and JSON pointer.
    Table(&'static [(&'static str, &'static str)]),
    /// One thing, member by member.
    Card,
    /// The members of `changes` as a table, and whether they were made.
    Report(&'static [(&'static str, &'static str)]),
    /// A sentence instead of the answer.
    Said(String),
}

/// Prints JSON, indented.
pub fn json(value: &Value) {
    println!("{value:#}");
}

/// Prints an answer.
pub fn show(value: &Value, view: &View) {
    match view {
        View::Table(columns) => print!("{}", table(value, columns)),
        View::Card => print!("{}", card(value)),
        View::Said(text) => println!("{text}"),
        View::Report(columns) => {
            let changes = serde_json::json!({ "items": value["changes"] });
            match value["changes"].as_array().is_some_and(Vec::is_empty) {
                true => println!("nothing differs"),
                false => print!("{}", table(&changes, columns)),
            }
            if value["applied"] == false {
                println!("nothing was changed; --apply changes it");
            }
        }
    }
}

/// One value in a cell or on a line.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(s) if s.is_empty() => "-".to_owned(),
        // A control character in a stored text must not reach the terminal.
        Value::String(s) => s.chars().map(|c| if c.is_control() { '?' } else { c }).collect(),
        Value::Array(all) if all.is_empty() => "-".to_owned(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(members) => members
            .iter()
            .map(|(k, v)| format!("{k} {}", plain(v)))
            .collect::<Vec<_>>()
            .join(" "),
        Value::Number(n) => n.to_string(),
    }
}

/// Columns that a text takes in a terminal: CJK characters take two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match c as u32 {
            0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0xffe0..=0xffe6
            | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd => 2,
            _ => 1,
        })
        .sum()
}

fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// A table with aligned columns, or a line that says that it is empty.
pub fn table(value: &Value, columns: &[(&str, &str)]) -> String {
    let empty = Vec::new();
    let items = value["items"].as_array().unwrap_or(&empty);
    if items.is_empty() {
        return "nothing here yet\n".to_owned();
    }
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|(head, _)| (*head).to_owned()).collect()];
    for item in items {
        rows.push(
            columns
                .iter()
                .map(|(_, pointer)| plain(item.pointer(pointer).unwrap_or(&Value::Null)))
                .collect(),
        );
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|i| rows.iter().map(|r| width(&r[i])).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, w)| pad(cell, *w)).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// Members on lines of their own, nested ones indented.
pub fn card(value: &Value) -> String {
    let mut out = String::new();
    write_card(&mut out, value, "");
    out
}

fn write_card(out: &mut String, value: &Value, indent: &str) {
    let Some(members) = value.as_object() else {
        out.push_str(&format!("{indent}{}\n", plain(value)));
        return;
    };
    let longest = members.keys().map(|k| k.len()).max().unwrap_or(0);
    for (key, value) in members {
        let label = key.replace('_', " ");
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push_str(&format!("{indent}{label}\n"));
                write_card(out, value, &format!("{indent}  "));
            }
            Value::Array(all) if all.iter().any(Value::is_object) => {
                out.push_str(&format!("{indent}{label}\n"));
                for item in all {
                    out.push_str(&format!("{indent}  {}\n", plain(item)));
                }
            }
            _ => out.push_str(&format!("{indent}{}  {}\n", pad(&label, longest), plain(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_align_also_with_wide_characters() {
        let value = json!({ "items": [
            { "name": "实验室", "address": "127.0.0.1:5090", "x": { "y": true } },
            { "name": "b\u{1b}[2J", "address": "", "x": {} },
        ]});
        let text = table(&value, &[("NAME", "/name"), ("ADDRESS", "/address"), ("UP", "/x/y")]);
        assert_eq!(
            text,
            "NAME    ADDRESS         UP\n实验室  127.0.0.1:5090  yes\nb?[2J   -               -\n"
        );
        assert_eq!(table(&json!({ "items": [] }), &[]), "nothing here yet\n");
    }

    #[test]
    fn cards_nest() {
        let text = card(&json!({ "id": "1", "ring_timeout": 5, "legs": [{ "a": 1 }], "s": { "k": null } }));
        assert_eq!(text, "id            1\nlegs\n  a 1\nring timeout  5\ns\n  k  -\n");
    }
}
