//! The commands about IVR flows in files.

use super::client::{Body, Client, Failure, escape};
use super::output::{self, plain};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use strowger_flows::Strict;

/// `flow`.
#[derive(Debug, Subcommand)]
pub enum Flow {
    /// Check the flow in a file: each finding with its node, why, and what to do
    #[command(after_help = "Example:\n  strowger flow check menu.json --application 0197…\n\n\
        Ends with 1 if the flow could not be published. The form of flows: docs/ivr.md.")]
    Check {
        /// The flow, JSON
        file: PathBuf,
        /// Look up prompts, devices, queues and agents of this application, by id
        #[arg(long, value_name = "ID")]
        application: Option<String>,
        /// What the flow refers to, JSON: the members flows, calendars and lists
        #[arg(long, value_name = "FILE")]
        context: Option<PathBuf>,
    },
    /// Take a flow without a call through what a caller would do, and print what happens
    #[command(
        after_help = "Example:\n  strowger flow dry-run menu.json --called 95588 --caller 13800138000 --do silence --do keys=1 --do failed\n\n\
        What is done, in order: keys=12#, silence, says=TEXT, answer=STATUS or answer=STATUS:JSON, no-answer, done and failed \
        (the call comes back from a queue or a transfer), pass=MILLISECONDS there, gone."
    )]
    DryRun(DryRun),
    /// List the flows on the server
    #[command(after_help = "Example:\n  strowger flow list")]
    List,
    /// Make the flow in a file the version that calls go into; it is checked first
    #[command(after_help = "Example:\n  strowger flow publish main menu.json --note 'longer hours'")]
    Publish {
        /// Name of the flow; a new one is made if there is none
        name: String,
        /// The flow, JSON
        file: PathBuf,
        /// Application of a new flow, by name or id; needed if there are several
        #[arg(long, value_name = "APPLICATION")]
        application: Option<String>,
        /// What was changed
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Publish an earlier version once more
    #[command(after_help = "Example:\n  strowger flow rollback main 3")]
    Rollback {
        /// Name or id of the flow
        name: String,
        /// The version
        version: u32,
    },
}

/// Options of `flow dry-run`.
#[derive(Debug, Args)]
pub struct DryRun {
    /// The flow, JSON
    file: PathBuf,
    /// The number that is called
    #[arg(long)]
    called: String,
    /// Who calls; without it the number is withheld
    #[arg(long)]
    caller: Option<String>,
    /// When, such as 2026-01-31T09:30:00Z; now without it
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What the flow refers to, JSON: the members flows, calendars and lists
    #[arg(long, value_name = "FILE")]
    context: Option<PathBuf>,
    /// What the caller, the tenant's server or the platform does next; several times
    #[arg(long = "do", value_name = "WHAT")]
    inputs: Vec<String>,
}

/// Reads a flow. A member that is there twice would silently win: it is refused.
fn read(file: &Path) -> Result<Value, Failure> {
    let bad = |why: String| Failure::Usage(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| bad(e.to_string()))?;
    let Strict(flow) = serde_json::from_str(&text).map_err(|e| bad(format!("it is no JSON: {e}")))?;
    Ok(flow)
}

/// Reads one `--do`.
fn input(text: &str) -> Result<Value, Failure> {
    let bad = |why: &str| Failure::Usage(format!("--do {text}: {why}"));
    let (word, rest) = text.split_once('=').unwrap_or((text, ""));
    Ok(match (word, text.contains('=')) {
        ("keys", true) => json!({ "keys": rest }),
        ("says", true) => json!({ "says": rest }),
        ("pass", true) => {
            let ms: u64 = rest.parse().map_err(|_| bad("give milliseconds, such as pass=60000"))?;
            json!({ "passes_ms": ms })
        }
        ("answer", true) => {
            let (status, body) = rest.split_once(':').unwrap_or((rest, "null"));
            let status: u16 = status
                .parse()
                .map_err(|_| bad("give a status, such as answer=200:{\"level\":1}"))?;
            let body: Value = serde_json::from_str(body).map_err(|e| bad(&format!("the body is no JSON: {e}")))?;
            json!({ "answers": { "status": status, "body": body } })
        }
        ("silence" | "gone", false) => json!(word),
        ("no-answer", false) => json!("no_answer"),
        ("done" | "failed", false) => json!({ "back": word }),
        _ => {
            return Err(bad(
                "give keys=…, silence, says=…, answer=…, no-answer, done, failed, pass=… or gone",
            ));
        }
    })
}

/// The findings, a line each, and how many are errors.
fn print_findings(answer: &Value) -> usize {
    let all = answer["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    for finding in all {
        let text = |member: &str| plain(&finding[member]);
        println!(
            "{}: {} ({}): {}; {}",
            text("level"),
            text("node"),
            text("code"),
            text("why"),
            text("fix")
        );
    }
    all.iter().filter(|f| f["level"] == "error").count()
}

/// Runs `flow`.
pub async fn run(client: &Client, flow: Flow, json: bool) -> Result<(), Failure> {
    let print = |flow: &Value| match json {
        true => output::json(flow),
        false => println!("{}", shown(flow)),
    };
    match flow {
        Flow::List => {
            let all = client.send("GET", "/flows", Body::Empty).await?;
            if json {
                output::json(&all);
                return Ok(());
            }
            all["items"].as_array().into_iter().flatten().for_each(print);
            Ok(())
        }
        Flow::Publish {
            name,
            file,
            application,
            note,
        } => {
            print(&publish(client, &name, read(&file)?, application, &note).await?);
            Ok(())
        }
        Flow::Rollback { name, version } => {
            let path = format!("/flows/{}/rollback", escape(&name));
            print(
                &client
                    .send("POST", &path, Body::Json(json!({ "version": version })))
                    .await?,
            );
            Ok(())
        }
        Flow::Check {
            file,
            application,
            context,
        } => {
            let mut context = context.map_or_else(|| Ok(json!({})), |file| read(&file))?;
            if let (Some(application), Some(members)) = (application, context.as_object_mut()) {
                members.insert("application".to_owned(), json!(application));
            }
            let body = json!({ "flow": read(&file)?, "context": context });
            let answer = client.send("POST", "/flows/validate", Body::Json(body)).await?;
            if json {
                output::json(&answer);
            }
            let errors = if json { 0 } else { print_findings(&answer) };
            if answer["valid"] == true {
                if !json {
                    println!("{}: it can be published", file.display());
                }
                return Ok(());
            }
            let s = if errors == 1 { "" } else { "s" };
            Err(Failure::Call(match json {
                true => "the flow has errors".to_owned(),
                false => format!("the flow has {errors} error{s}"),
            }))
        }
        Flow::DryRun(dry) => {
            let inputs: Vec<Value> = dry.inputs.iter().map(|i| input(i)).collect::<Result<_, _>>()?;
            let mut call = json!({ "called": dry.called });
            for (member, value) in [("caller", &dry.caller), ("at", &dry.at)] {
                if let Some(value) = value {
                    call[member] = json!(value);
                }
            }
            let context = dry.context.map_or_else(|| Ok(json!({})), |file| read(&file))?;
            let body = json!({ "flow": read(&dry.file)?, "context": context, "call": call, "inputs": inputs });
            let answer = client.send("POST", "/flows/dry-run", Body::Json(body)).await?;
            if json {
                output::json(&answer);
                return Ok(());
            }
            print_findings(&answer);
            for line in answer["trace"].as_array().into_iter().flatten() {
                let seconds = line["at_ms"].as_f64().unwrap_or_default() / 1000.0;
                println!("{seconds:9.1} s  {}: {}", plain(&line["node"]), plain(&line["what"]));
            }
            let end = &answer["end"];
            match end["state"].as_str() {
                Some("over") => println!("over"),
                Some("unfit") => println!(
                    "input {} does not fit: it waits for {}",
                    end["input"],
                    plain(&end["waits"])
                ),
                Some("waiting") => println!("it waits for {}", plain(&end["waits"])),
                _ => println!("the trace is too long"),
            }
            Ok(())
        }
    }
}

/// A flow on the server, in a line.
fn shown(flow: &Value) -> String {
    let version = match flow["version"].as_u64() {
        Some(n) => format!("version {n}"),
        None => "not published".to_owned(),
    };
    let draft = if flow["draft"].is_null() { "" } else { ", with a draft" };
    format!("{}: {version}{draft}", plain(&flow["name"]))
}

async fn publish(
    client: &Client,
    name: &str,
    flow: Value,
    application: Option<String>,
    note: &str,
) -> Result<Value, Failure> {
    let path = format!("/flows/{}", escape(name));
    let all = client.send("GET", "/flows", Body::Empty).await?;
    let named = |f: &Value| f["name"] == name || f["id"] == name;
    if !all["items"].as_array().into_iter().flatten().any(named) {
        let mut body = json!({ "name": name, "flow": flow, "publish": true });
        if let Some(application) = application {
            body["application"] = json!(application);
        }
        return client.send("POST", "/flows", Body::Json(body)).await;
    }
    client.send("PATCH", &path, Body::Json(json!({ "flow": flow }))).await?;
    let body = Body::Json(json!({ "note": note }));
    client.send("POST", &format!("{path}/publish"), body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_read() {
        for (text, expected) in [
            ("keys=12#", json!({ "keys": "12#" })),
            ("says=a=b", json!({ "says": "a=b" })),
            ("silence", json!("silence")),
            ("gone", json!("gone")),
            ("no-answer", json!("no_answer")),
            ("done", json!({ "back": "done" })),
            ("failed", json!({ "back": "failed" })),
            ("pass=60000", json!({ "passes_ms": 60_000 })),
            ("answer=404", json!({ "answers": { "status": 404, "body": null } })),
            (
                "answer=200:{\"a\":1}",
                json!({ "answers": { "status": 200, "body": { "a": 1 } } }),
            ),
        ] {
            assert_eq!(input(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "keys", "silence=1", "pass=x", "answer=x", "answer=200:{", "hum"] {
            assert!(input(bad).is_err(), "{bad}");
        }
    }
}
