//! The command line. The resource commands are clients of the admin API over the data folder's socket; none of them opens
//! the database.

mod batch;
mod call;
mod centre;
mod client;
mod configuration;
mod flow;
mod identity;
mod ladder;
mod lines;
mod output;
mod resources;
mod signalling;

use crate::config::{self, Config, Problem};
use crate::data;
use clap::{Args, Parser, Subcommand};
use client::{Client, Failure};
use std::path::PathBuf;
use std::process::ExitCode;

/// How the process ends; docs/cli.md explains each.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// Refused, or failed.
    pub const FAILED: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
    /// The server does not run, or cannot be reached.
    pub const UNREACHABLE: u8 = 3;
    /// The data folder is in use, or cannot be used.
    pub const DATA: u8 = 4;
}

/// Strowger: a self-hosted contact centre and voice API platform.
#[derive(Debug, Parser)]
#[command(name = "strowger", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What all commands understand.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Configuration file [default: /etc/strowger/strowger.toml if it exists]
    #[arg(long, global = true, value_name = "FILE", env = "STROWGER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data folder, instead of the configured one
    #[arg(long, global = true, value_name = "FOLDER", env = "STROWGER_DATA")]
    pub data: Option<PathBuf>,
    /// Print JSON, as the admin API answers it
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    #[command(after_help = "Example:\n  strowger serve --config /etc/strowger/strowger.toml\n\n\
        SIGTERM and Ctrl-C drain: new calls are refused, running ones may end by themselves for server.drain, then they \
        are ended and the process stops. A second signal ends them at once.")]
    Serve(Serve),
    /// Run the simulated carrier for trials: numbers that answer, ring, are busy, fail
    #[command(after_help = "Example:\n  strowger lab\n  strowger trunk add lab 127.0.0.1:5090\n  \
        strowger call place 13800000001 13800000002\n\nThe numbers are printed at the start and explained in docs/lab.md.")]
    Lab(Lab),
    /// Read the configuration as `serve` would, and print every problem
    #[command(after_help = "Example:\n  strowger check-config --config strowger.toml")]
    CheckConfig,
    /// Tenants: customers of the installation
    #[command(subcommand)]
    Tenant(resources::Tenant),
    /// Users: people who may use a tenant's part of the platform
    #[command(subcommand)]
    User(identity::User),
    /// API keys: programs that may
    #[command(subcommand)]
    Key(identity::Key),
    /// Who did what
    #[command(
        after_help = "Example:\n  strowger audit --tenant acme --from 2026-01-31T00:00:00Z\n\n\
        Without a tenant, the log of what the installation's owner did."
    )]
    Audit(identity::Audit),
    /// Agents: who takes calls
    #[command(subcommand)]
    Agent(centre::Agent),
    /// Skill groups and their members
    #[command(subcommand)]
    Group(centre::Group),
    /// Queues of calls that wait for agents
    #[command(subcommand)]
    Queue(centre::Queue),
    /// Settings and break reasons of an application's contact centre
    #[command(subcommand)]
    Centre(centre::Centre),
    /// A tenant's configuration as one file: export, import with a diff, roll back
    #[command(subcommand)]
    Configuration(configuration::Configuration),
    /// Accounts: who may use the integrators' API
    #[command(subcommand)]
    Account(resources::Account),
    /// Applications: what calls are accounted to
    #[command(subcommand)]
    Application(resources::Application),
    /// Trunks to carriers
    #[command(subcommand)]
    Trunk(lines::Trunk),
    /// Numbers of the installation
    #[command(subcommand)]
    Number(lines::Number),
    /// Telephones
    #[command(subcommand)]
    Device(lines::Device),
    /// Static routes from a number
    #[command(subcommand)]
    Route(lines::Route),
    /// Sounds that flows refer to by name
    #[command(subcommand)]
    Prompt(resources::Prompt),
    /// IVR flows in files: check, dry run
    #[command(subcommand)]
    Flow(flow::Flow),
    /// Calls: place, watch, end
    #[command(subcommand)]
    Call(call::Call),
    /// Batches of voice notices: how far they are, ending them
    #[command(subcommand)]
    Batch(batch::Batch),
    /// Pushes that were made, wait or failed
    #[command(subcommand)]
    Delivery(resources::Delivery),
    /// Telephones that are registered
    #[command(subcommand)]
    Registration(signalling::Registration),
    /// Sources that are ignored: they guessed passwords, or were banned by hand
    #[command(subcommand)]
    Ban(signalling::Ban),
    /// Show the STUN and TURN servers that browsers are told, with credentials that expire
    #[command(after_help = "Example:\n  strowger --json ice-servers --user alice\n\n\
        Pages and their servers ask GET /api/v1/ice-servers: docs/webrtc.md.")]
    IceServers(signalling::IceServers),
    /// Read the certificate files again; open connections go on
    #[command(after_help = "Example:\n  strowger reload-certificates\n\n\
        If the new files cannot be used, the old ones stay in use and the reason is printed.")]
    ReloadCertificates,
    /// Write a consistent copy of the database while the server runs
    #[command(after_help = "Example:\n  strowger backup /var/backups/strowger-2026-01-31.db\n\n\
        The copy is encrypted as the database is: keep the master key too, elsewhere. Restoring: docs/operations.md.")]
    Backup(resources::Backup),
}

/// Options of `serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Add a demonstration tenant, account, application, number and a trunk to the lab carrier, and print how to place a
    /// call
    #[arg(long)]
    pub demo: bool,
}

/// Options of `lab`.
#[derive(Clone, Debug, Args)]
pub struct Lab {
    /// Address and UDP port of the carrier's signalling; loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5090")]
    pub listen: std::net::SocketAddr,
    /// UDP ports for its media
    #[arg(long, value_name = "FIRST-LAST", default_value = "30000-30999")]
    pub ports: String,
    /// Language of what it speaks
    #[arg(long, value_enum, default_value_t = Speaks::En)]
    pub language: Speaks,
    /// Print the numbers and stop
    #[arg(long)]
    pub list: bool,
}

/// Languages of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Speaks {
    /// Mandarin.
    Zh,
    /// English.
    En,
}

impl From<Speaks> for config::Language {
    fn from(s: Speaks) -> config::Language {
        match s {
            Speaks::Zh => config::Language::Zh,
            Speaks::En => config::Language::En,
        }
    }
}

impl Common {
    /// Reads the configuration, with the data folder of the command line in it.
    pub fn load(&self) -> Result<Config, ExitCode> {
        match config::load(self.config.as_deref()) {
            Ok((mut config, _)) => {
                if let Some(data) = &self.data {
                    config.server.data = data.clone();
                }
                Ok(config)
            }
            Err(problems) => {
                print_problems(&problems);
                Err(exit::USAGE.into())
            }
        }
    }
}

fn print_problems(problems: &[Problem]) {
    for p in problems {
        eprintln!("{p}");
    }
    let s = if problems.len() == 1 { "" } else { "s" };
    eprintln!("{} problem{s}", problems.len());
}

/// `check-config`.
pub fn check_config(common: &Common) -> ExitCode {
    let (config, file) = match config::load(common.config.as_deref()) {
        Ok(read) => read,
        Err(problems) => {
            print_problems(&problems);
            return exit::USAGE.into();
        }
    };
    let problems = config::check_surroundings(&config);
    if !problems.is_empty() {
        print_problems(&problems);
        return exit::USAGE.into();
    }
    match file {
        Some(path) => println!("{}: no problems", path.display()),
        None => println!("no configuration file; the built-in defaults are in use"),
    }
    exit::OK.into()
}

/// Runs a resource command against the running server.
pub async fn run(common: &Common, command: Command) -> ExitCode {
    let data = match &common.data {
        Some(path) => path.clone(),
        None => match common.load() {
            Ok(config) => config.server.data,
            Err(code) => return code,
        },
    };
    let client = Client::new(data::admin_socket(&data));
    let done = match command {
        Command::Tenant(c) => client.run(c.request(), common.json).await,
        Command::User(c) => match c.request() {
            Ok(request) => client.run(request, common.json).await,
            Err(failure) => Err(failure),
        },
        Command::Agent(c) => match c.request() {
            Ok(request) => client.run(request, common.json).await,
            Err(failure) => Err(failure),
        },
        Command::Group(c) => client.run(c.request(), common.json).await,
        Command::Queue(c) => match c.request() {
            Ok(request) => client.run(request, common.json).await,
            Err(failure) => Err(failure),
        },
        Command::Centre(c) => match c.request() {
            Ok(request) => client.run(request, common.json).await,
            Err(failure) => Err(failure),
        },
        Command::Configuration(c) => match c.request() {
            Ok((request, plain)) => client.run(request, common.json || plain).await,
            Err(failure) => Err(failure),
        },
        Command::Key(c) => client.run(c.request(), common.json).await,
        Command::Audit(c) => client.run(c.request(), common.json).await,
        Command::Account(c) => client.run(c.request(), common.json).await,
        Command::Application(c) => client.run(c.request(), common.json).await,
        Command::Trunk(c) => client.run(c.request(), common.json).await,
        Command::Number(c) => client.run(c.request(), common.json).await,
        Command::Device(c) => client.run(c.request(), common.json).await,
        Command::Route(c) => client.run(c.request(), common.json).await,
        Command::Prompt(c) => match c.request() {
            Ok(request) => client.run(request, common.json).await,
            Err(failure) => Err(failure),
        },
        Command::Call(c) => call::run(&client, c, common.json).await,
        Command::Flow(c) => flow::run(&client, c, common.json).await,
        Command::Batch(c) => client.run(c.request(), common.json).await,
        Command::Delivery(c) => client.run(c.request(), common.json).await,
        Command::Registration(c) => client.run(c.request(), common.json).await,
        Command::Ban(c) => client.run(c.request(), common.json).await,
        Command::IceServers(c) => client.run(c.request(), common.json).await,
        Command::ReloadCertificates => client.run(signalling::reload_certificates(), common.json).await,
        Command::Backup(c) => client.run(c.request(), common.json).await,
        Command::Serve(_) | Command::Lab(_) | Command::CheckConfig => return exit::USAGE.into(),
    };
    match done {
        Ok(()) => exit::OK.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            match failure {
                Failure::NotRunning { .. } | Failure::Lost(_) => exit::UNREACHABLE.into(),
                Failure::Usage(_) => exit::USAGE.into(),
                Failure::Refused { .. } | Failure::Call(_) => exit::FAILED.into(),
            }
        }
    }
}
