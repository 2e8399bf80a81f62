//! Reports as comma-separated values (RFC 4180).
//!
//! Times are whole seconds, rounded half up; shares are percentages with one decimal; what cannot be computed, as a mean
//! of nothing, is empty.

use super::rows::{AgentRow, NumberRow, QueueRow, Slot};

/// Appends a line. A text with a comma, a quote or a line end is quoted; one that a spreadsheet would take for a formula
/// gets an apostrophe in front.
pub fn line(out: &mut String, cells: &[String]) {
    for (n, cell) in cells.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        // Our own negative numbers do not exist: every figure is a count, a time or a share.
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let quoted = formula || cell.contains([',', '"', '\n', '\r']);
        if quoted {
            out.push('"');
        }
        if formula {
            out.push('\'');
        }
        for c in cell.chars() {
            if c == '"' {
                out.push('"');
            }
            out.push(c);
        }
        if quoted {
            out.push('"');
        }
    }
    out.push_str("\r\n");
}

fn seconds(ms: u64) -> String {
    ((ms + 500) / 1000).to_string()
}

fn some_seconds(ms: Option<u64>) -> String {
    ms.map(seconds).unwrap_or_default()
}

fn percent(tenths: Option<u32>) -> String {
    tenths.map(|t| format!("{}.{}", t / 10, t % 10)).unwrap_or_default()
}

/// The columns of [`queue`], after those that name interval and queue.
pub const QUEUE: [&str; 23] = [
    "offered",
    "answered",
    "answered_in_time",
    "abandoned",
    "abandoned_short",
    "timed_out",
    "queue_full",
    "unstaffed",
    "callbacks",
    "moved",
    "waiting",
    "service_level_percent",
    "abandonment_percent",
    "asa_seconds",
    "longest_wait_seconds",
    "handled",
    "talk_seconds",
    "hold_seconds",
    "wrap_up_seconds",
    "aht_seconds",
    "transfers",
    "missed",
    "rejected",
];

/// The cells of a queue's row.
pub fn queue(row: &QueueRow) -> Vec<String> {
    vec![
        row.offered.to_string(),
        row.answered.to_string(),
        row.in_time.to_string(),
        row.abandoned.to_string(),
        row.short.to_string(),
        row.timed_out.to_string(),
        row.full.to_string(),
        row.unstaffed.to_string(),
        row.callbacks.to_string(),
        row.moved.to_string(),
        row.waiting().to_string(),
        percent(row.service_level()),
        percent(row.abandonment()),
        some_seconds(row.asa_ms()),
        seconds(row.longest_wait_ms),
        row.handled.to_string(),
        seconds(row.talk_ms),
        seconds(row.hold_ms),
        seconds(row.wrap_ms),
        some_seconds(row.aht_ms()),
        row.transfers.to_string(),
        row.missed.to_string(),
        row.rejected.to_string(),
    ]
}

/// The columns of [`agent`] before the times of states, after those that name interval and agent. The times follow as
/// `ready_seconds` and so on, by [`Slot::ALL`].
pub const AGENT: [&str; 12] = [
    "offers",
    "placed",
    "handled",
    "missed",
    "rejected",
    "transfers",
    "talk_seconds",
    "hold_seconds",
    "wrap_up_seconds",
    "aht_seconds",
    "duty_seconds",
    "occupancy_percent",
];

/// All columns of an agent's row.
pub fn agent_columns() -> Vec<String> {
    let times = Slot::ALL.iter().map(|s| format!("{}_seconds", s.name()));
    AGENT.iter().map(|c| (*c).to_owned()).chain(times).collect()
}

/// The cells of an agent's row.
pub fn agent(row: &AgentRow) -> Vec<String> {
    let mut cells = vec![
        row.offers.to_string(),
        row.placed.to_string(),
        row.handled.to_string(),
        row.missed.to_string(),
        row.rejected.to_string(),
        row.transfers.to_string(),
        seconds(row.talk_ms),
        seconds(row.hold_ms),
        seconds(row.wrap_ms),
        some_seconds(row.aht_ms()),
        seconds(row.duty_ms()),
        percent(row.occupancy()),
    ];
    cells.extend(row.state_ms.iter().map(|ms| seconds(*ms)));
    cells
}

/// The columns of [`number`], after those that name interval and number.
pub const NUMBER: [&str; 7] = [
    "incoming",
    "outgoing",
    "answered",
    "unanswered",
    "to_answer_seconds",
    "talk_seconds",
    "talk_mean_seconds",
];

/// The cells of a number's row.
pub fn number(row: &NumberRow) -> Vec<String> {
    vec![
        row.incoming.to_string(),
        row.outgoing.to_string(),
        row.answered.to_string(),
        row.unanswered.to_string(),
        some_seconds(row.to_answer_ms()),
        seconds(row.talk_ms),
        some_seconds(row.talk_mean_ms()),
    ]
}

/// A whole table: its first columns, the others, and a line a row.
pub fn table(first: &[&str], columns: &[String], rows: impl IntoIterator<Item = (Vec<String>, Vec<String>)>) -> String {
    let mut out = String::new();
    let head: Vec<String> = first
        .iter()
        .map(|c| (*c).to_owned())
        .chain(columns.iter().cloned())
        .collect();
    line(&mut out, &head);
    for (mut key, cells) in rows {
        key.extend(cells);
        line(&mut out, &key);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_are_texts() {
        let mut out = String::new();
        let cells = ["plain", "a,b", "say \"hi\"", "=1+1", "two\nlines", ""].map(str::to_owned);
        line(&mut out, &cells);
        assert_eq!(out, "plain,\"a,b\",\"say \"\"hi\"\"\",\"'=1+1\",\"two\nlines\",\r\n");
    }

    #[test]
    fn every_column_has_a_cell() {
        assert_eq!(queue(&QueueRow::default()).len(), QUEUE.len());
        assert_eq!(agent(&AgentRow::default()).len(), agent_columns().len());
        assert_eq!(number(&NumberRow::default()).len(), NUMBER.len());
        assert_eq!(
            (percent(Some(875)), percent(None), seconds(1500)),
            ("87.5".into(), String::new(), "2".into())
        );
    }
}
