//! `strowger call`: place a call and watch it until its record is closed.

use super::client::{Body, Client, Failure, escape, with_query};
use super::ladder;
use super::output::{self, View};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;

/// How often a call that is watched is asked for.
const POLL: Duration = Duration::from_millis(200);

/// `call`.
#[derive(Debug, Subcommand)]
pub enum Call {
    /// Dial FROM, then TO, connect them, and show what happens until the record is closed
    #[command(
        after_help = "Example:\n  strowger call place 13800000001 13800000002 --record answer\n\nCtrl-C stops watching; the \
        call goes on. The exit code is 0 if both parties were connected."
    )]
    Place(Place),
    /// List the calls that have not ended
    #[command(after_help = "Example:\n  strowger call list")]
    List {
        /// Of this tenant only, by name or id
        #[arg(long)]
        tenant: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show a call, running or over
    #[command(after_help = "Example:\n  strowger call show 0a1b…32 digits")]
    Show {
        /// The conversation's id
        id: String,
    },
    /// Draw the SIP messages of a call, as long as they are kept
    #[command(
        after_help = "Example:\n  strowger call ladder 0a1b…32 digits\n\nThe messages hold numbers: show them to \
        nobody who may not see those."
    )]
    Ladder {
        /// The conversation's id
        id: String,
        /// Print the messages too
        #[arg(long)]
        full: bool,
    },
    /// Have what is said in a call recognised, as long as it lasts
    #[command(after_help = "Example:\n  strowger call transcribe 0a1b…32 digits --language en")]
    Transcribe {
        /// The conversation's id
        id: String,
        /// Language, such as zh or en-US, for engines that know several
        #[arg(long)]
        language: Option<String>,
        /// End it
        #[arg(long, conflicts_with = "language")]
        stop: bool,
    },
    /// Show what was said in a call
    #[command(
        after_help = "Example:\n  strowger call transcript 0a1b…32 digits\n\nTranscripts are kept in memory, and only of \
        calls that were transcribed."
    )]
    Transcript {
        /// The conversation's id
        id: String,
    },
    /// Begin, pause, go on with or end the recording of a call
    #[command(
        after_help = "Example:\n  strowger call recording 0a1b…32 digits mask\n\npause leaves the time out of the file, mask \
        fills it with silence; resume ends both. An ended recording is finished while the call goes on."
    )]
    Recording {
        /// The conversation's id
        id: String,
        /// What to do
        #[arg(value_parser = ["start", "stop", "pause", "mask", "resume"])]
        action: String,
    },
    /// Fetch a finished recording of a call into a file
    #[command(
        after_help = "Example:\n  strowger call fetch 0a1b…32 digits --output talk.wav\n\nA file that is there already is not \
        overwritten."
    )]
    Fetch {
        /// The conversation's id
        id: String,
        /// Which one, if the call has several
        #[arg(default_value_t = 0)]
        recording: u16,
        /// File to write [default: the recording's own name]
        #[arg(long, short, value_name = "FILE")]
        output: Option<std::path::PathBuf>,
    },
    /// End a call
    #[command(after_help = "Example:\n  strowger call cancel 0a1b…32 digits")]
    Cancel {
        /// The conversation's id
        id: String,
    },
}

/// Options of `call place`.
#[derive(Debug, Args)]
pub struct Place {
    /// Number that is dialled first
    from: String,
    /// Number that is dialled when the first has answered
    to: String,
    /// Application, by name or id; needed only if there are several
    #[arg(long)]
    application: Option<String>,
    /// Number that the first party sees
    #[arg(long, value_name = "NUMBER")]
    from_cli: Option<String>,
    /// Number that the second party sees
    #[arg(long, value_name = "NUMBER")]
    to_cli: Option<String>,
    /// Prompt for the first party before the second is dialled
    #[arg(long, value_name = "NAME")]
    greeting: Option<String>,
    /// Length limit of the talk
    #[arg(long, value_name = "SECONDS")]
    max_duration: Option<u32>,
    /// none, ringing or answer: when recording starts
    #[arg(long)]
    record: Option<String>,
    /// Text that comes back in pushes and the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    user_data: String,
    /// Name of this command: sent again with the same name, it shows the call that it placed and dials nobody
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Do not watch: print the id and stop
    #[arg(long)]
    no_wait: bool,
}

/// Runs a call command.
pub async fn run(client: &Client, call: Call, json: bool) -> Result<(), Failure> {
    match call {
        Call::Place(place) => self::place(client, place, json).await,
        Call::List { tenant, limit } => {
            let path = with_query(
                "/calls",
                &[("tenant", tenant.as_deref()), ("limit", Some(&limit.to_string()))],
            );
            let answer = client.send("GET", &path, Body::Empty).await?;
            if json {
                output::json(&answer);
            } else {
                output::show(
                    &answer,
                    &View::Table(&[
                        ("ID", "/id"),
                        ("STATE", "/state"),
                        ("FROM", "/from"),
                        ("TO", "/to"),
                        ("SINCE", "/created_at"),
                        ("LEG 0", "/legs/0/state"),
                        ("LEG 1", "/legs/1/state"),
                    ]),
                );
            }
            Ok(())
        }
        Call::Show { id } => {
            let answer = fetch(client, &id).await?;
            if json {
                output::json(&answer);
            } else {
                print!("{}", summary(&answer));
            }
            Ok(())
        }
        Call::Ladder { id, full } => {
            let path = format!("/calls/{}/ladder", escape(&id));
            let answer = client.send("GET", &path, Body::Empty).await?;
            ladder::show(&answer, full, json);
            Ok(())
        }
        Call::Transcribe { id, language, stop } => {
            let path = format!("/calls/{}/transcription", escape(&id));
            let (method, body, said) = if stop {
                ("DELETE", Body::Empty, "ending")
            } else {
                ("POST", Body::Json(json!({ "language": language })), "listening")
            };
            client.send(method, &path, body).await?;
            if !json {
                println!("{said}");
            }
            Ok(())
        }
        Call::Transcript { id } => {
            let path = format!("/calls/{}/transcript", escape(&id));
            let answer = client.send("GET", &path, Body::Empty).await?;
            if json {
                output::json(&answer);
            } else {
                let columns = &[("AT", "/at"), ("LEG", "/leg"), ("KIND", "/kind"), ("TEXT", "/text")];
                output::show(&answer, &View::Table(columns));
            }
            Ok(())
        }
        Call::Recording { id, action } => {
            let path = format!("/calls/{}/recording", escape(&id));
            client
                .send("POST", &path, Body::Json(json!({ "action": action })))
                .await?;
            if !json {
                println!("done: {action}");
            }
            Ok(())
        }
        Call::Fetch { id, recording, output } => fetch_recording(client, &id, recording, output, json).await,
        Call::Cancel { id } => {
            client
                .send("DELETE", &format!("/calls/{}", escape(&id)), Body::Empty)
                .await?;
            if !json {
                println!("ending");
            }
            Ok(())
        }
    }
}

async fn fetch_recording(
    client: &Client,
    id: &str,
    n: u16,
    output: Option<std::path::PathBuf>,
    json: bool,
) -> Result<(), Failure> {
    let file = match output {
        Some(file) => file,
        None => {
            let record = fetch(client, id).await?;
            let name = record["recordings"][usize::from(n)]["name"].as_str();
            let name = name.and_then(|n| std::path::Path::new(n).file_name());
            let none = || Failure::Call(format!("recording {n} of the call is not finished, or does not exist"));
            name.ok_or_else(none)?.into()
        }
    };
    let failed = |e: std::io::Error| Failure::Usage(format!("{}: {e}", file.display()));
    let options = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)
        .await;
    let mut out = options.map_err(failed)?;
    let path = format!("/calls/{}/recordings/{n}", escape(id));
    match client.fetch(&path, &mut out).await {
        Ok(bytes) if json => output::json(&json!({ "file": file, "bytes": bytes })),
        Ok(bytes) => println!("{} ({bytes} bytes)", file.display()),
        Err(failure) => {
            // Half a recording under its name would be taken for all of it.
            let _ = tokio::fs::remove_file(&file).await;
            return Err(failure);
        }
    }
    Ok(())
}

async fn fetch(client: &Client, id: &str) -> Result<Value, Failure> {
    client.send("GET", &format!("/calls/{}", escape(id)), Body::Empty).await
}

async fn place(client: &Client, place: Place, json: bool) -> Result<(), Failure> {
    let body = json!({
        "from": place.from, "to": place.to, "application": place.application, "from_cli": place.from_cli,
        "to_cli": place.to_cli, "greeting": place.greeting, "max_duration": place.max_duration,
        "record": place.record, "user_data": place.user_data,
    });
    let key = place.idempotency_key.as_deref();
    let answer = client.send_named("POST", "/calls", Body::Json(body), key).await?;
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    if place.no_wait {
        if json {
            output::json(&answer);
        } else {
            println!("{id}");
        }
        return Ok(());
    }
    if !json {
        println!("call {id}");
    }
    let mut shown = Progress::default();
    let record = loop {
        let record = fetch(client, &id).await?;
        if !json {
            for line in shown.news(&record) {
                println!("{line}");
            }
        }
        // A recording is finished a moment after the end; the record then has all it will have.
        let recording = record["recordings"]
            .as_array()
            .is_some_and(|all| all.iter().any(|r| r["state"] == "running"));
        if record["state"] == "ended" && !recording {
            break record;
        }
        tokio::time::sleep(POLL).await;
    };
    if json {
        output::json(&record);
    } else {
        print!("\n{}", summary(&record));
    }
    let connected = record["legs"]
        .as_array()
        .is_some_and(|legs| legs.iter().filter(|l| !l["bridge"].is_null()).count() >= 2);
    if connected {
        Ok(())
    } else {
        Err(Failure::Call(format!(
            "the parties were not connected: {}",
            output::plain(&record["cause"])
        )))
    }
}

/// What of a record was shown already.
#[derive(Default)]
struct Progress {
    shown: Vec<String>,
}

impl Progress {
    /// Lines about what is new in the record, in order of time.
    fn news(&mut self, record: &Value) -> Vec<String> {
        let mut lines = Vec::new();
        for leg in record["legs"].as_array().into_iter().flatten() {
            let who = format!(
                "leg {} {} {}",
                leg["seq"],
                output::plain(&leg["role"]),
                output::plain(&leg["to"])
            );
            for (member, word) in [
                ("start", "dialling"),
                ("ring", "ringing"),
                ("answer", "answered"),
                ("bridge", "talking"),
                ("stop", "ended"),
            ] {
                if let Some(at) = leg[member].as_str() {
                    let more = if member == "stop" { end(leg) } else { String::new() };
                    lines.push((at.to_owned(), format!("{}  {who}: {word}{more}", clock(at))));
                }
            }
        }
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        lines.retain(|(_, line)| !self.shown.contains(line));
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        self.shown.extend(lines.iter().cloned());
        lines
    }
}

/// The time of day of an RFC 3339 stamp.
fn clock(at: &str) -> &str {
    at.get(11..23).unwrap_or(at)
}

fn end(leg: &Value) -> String {
    let cause = output::plain(&leg["cause"]);
    let by = output::plain(&leg["ended_by"]);
    match leg["sip_status"].as_u64() {
        Some(status) if status >= 300 => format!(", {cause} by {by} (SIP {status})"),
        _ => format!(", {cause} by {by}"),
    }
}

/// The record for people.
fn summary(record: &Value) -> String {
    let p = |v: &Value| output::plain(v);
    let mut out = format!(
        "{} {}: {} → {}\n",
        p(&record["kind"]),
        p(&record["id"]),
        p(&record["from"]),
        p(&record["to"])
    );
    out.push_str(&format!("  created   {}\n", p(&record["created_at"])));
    if record["state"] == "ended" {
        out.push_str(&format!("  ended     {}\n", p(&record["ended_at"])));
        out.push_str(&format!(
            "  cause     {} by {}\n",
            p(&record["cause"]),
            p(&record["ended_by"])
        ));
    } else {
        out.push_str(&format!("  state     {}\n", p(&record["state"])));
    }
    out.push_str(&format!("  billed    {} s\n", p(&record["bill_seconds"])));
    for leg in record["legs"].as_array().into_iter().flatten() {
        let ending = if leg["cause"].is_null() {
            p(&leg["state"])
        } else {
            format!("{} s{}", p(&leg["duration"]), end(leg))
        };
        let via = leg["attempts"]
            .as_array()
            .and_then(|a| a.last())
            .map_or_else(|| "-".to_owned(), |a| p(&a["via"]));
        out.push_str(&format!(
            "  leg {} {:<8} {} via {via}: {ending}\n",
            leg["seq"],
            p(&leg["role"]),
            p(&leg["to"])
        ));
        if let Some(q) = leg["quality"].as_object() {
            out.push_str(&format!(
                "        media: {} in, {} out, {} lost, jitter {} µs\n",
                q["packets_in"], q["packets_out"], q["lost"], q["jitter_us"]
            ));
            let score = |name: &str| {
                let (mean, worst) = (q[name]["mean"].as_f64()?, q[name]["worst"].as_f64()?);
                Some(format!("{mean:.2} (worst {worst:.2})"))
            };
            let known = [("heard here", score("mos_in")), ("heard there", score("mos_out"))];
            let known: Vec<String> = known
                .into_iter()
                .filter_map(|(w, s)| Some(format!("{w} {}", s?)))
                .collect();
            if let Some(v) = q.get("video") {
                out.push_str(&format!(
                    "        video: {} in, {} out, {} lost; key frames: {} asked of it, {} wanted by it\n",
                    v["packets_in"], v["packets_out"], v["lost"], v["asked"], v["wanted"]
                ));
            }
            if !known.is_empty() {
                out.push_str(&format!("        MOS: {}\n", known.join(", ")));
            }
        }
        if let Some(who) = leg["answered_by"]["who"].as_str() {
            out.push_str(&format!(
                "        answered by: {who} ({} % sure)\n",
                leg["answered_by"]["confidence"]
            ));
        }
        for found in leg["one_way"].as_array().into_iter().flatten() {
            let (cause, advice) = (p(&found["cause"]), p(&found["advice"]));
            out.push_str(&format!("        one-way audio ({cause}): {advice}\n"));
        }
    }
    for r in record["recordings"].as_array().into_iter().flatten() {
        out.push_str(&format!(
            "  recording {} {} ({} ms, {} bytes)\n",
            p(&r["state"]),
            p(&r["name"]),
            r["millis"],
            r["bytes"]
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stop: Value) -> Value {
        json!({
            "id": "1", "kind": "click-to-call", "state": "ended", "from": "a", "to": "b", "recordings": [],
            "created_at": "2026-01-31T09:00:00.000Z", "ended_at": "2026-01-31T09:00:09.000Z", "cause": "busy",
            "ended_by": "callee (leg 1)", "bill_seconds": 0,
            "legs": [{
                "seq": 0, "role": "caller", "to": "a", "state": "ended", "start": "2026-01-31T09:00:00.000Z",
                "ring": null, "answer": "2026-01-31T09:00:02.000Z", "bridge": null, "stop": stop, "duration": 0,
                "cause": "busy", "ended_by": "network", "sip_status": 486, "attempts": [{ "via": "lab", "failed": 486 }],
            }],
        })
    }

    #[test]
    fn each_step_is_shown_once_and_in_order() {
        let mut progress = Progress::default();
        assert_eq!(
            progress.news(&record(Value::Null)),
            [
                "09:00:00.000  leg 0 caller a: dialling",
                "09:00:02.000  leg 0 caller a: answered"
            ]
        );
        assert!(progress.news(&record(Value::Null)).is_empty());
        assert_eq!(
            progress.news(&record("2026-01-31T09:00:09.000Z".into())),
            ["09:00:09.000  leg 0 caller a: ended, busy by network (SIP 486)"]
        );
    }

    #[test]
    fn the_summary_tells_how_it_sounded() {
        let mut record = record(Value::Null);
        record["legs"][0]["quality"] = json!({
            "packets_in": 9, "packets_out": 8, "lost": 1, "jitter_us": 2, "mos_in": { "mean": 4.4, "worst": 3.9 },
            "mos_out": null,
            "video": { "packets_in": 90, "packets_out": 80, "lost": 2, "asked": 3, "wanted": 4 },
        });
        record["legs"][0]["answered_by"] = json!({ "who": "machine", "confidence": 85 });
        record["legs"][0]["one_way"] = json!([{ "cause": "muted", "advice": "unmute it" }]);
        let text = summary(&record);
        assert!(text.contains("MOS: heard here 4.40 (worst 3.90)\n"), "{text}");
        assert!(
            text.contains("video: 90 in, 80 out, 2 lost; key frames: 3 asked of it, 4 wanted by it"),
            "{text}"
        );
        assert!(text.contains("answered by: machine (85 % sure)"), "{text}");
        assert!(text.contains("one-way audio (muted): unmute it"), "{text}");
    }

    #[test]
    fn the_summary_has_cause_legs_and_trunks() {
        let text = summary(&record("2026-01-31T09:00:09.000Z".into()));
        assert!(text.contains("cause     busy by callee (leg 1)"), "{text}");
        assert!(text.contains("via lab: 0 s, busy by network (SIP 486)"), "{text}");
    }
}
