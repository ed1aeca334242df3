//! The command line: one file per subcommand.
//!
//! Queries, shows and starts; decides nothing itself.

mod allow;
mod bug_report;
mod check;
mod check_config;
mod complete;
mod convert_pattern;
mod doctor;
mod entries;
mod exit;
mod expire;
mod history;
mod json;
mod layout;
mod list;
mod log_level;
mod metrics;
mod migrate;
mod monitor;
mod old_perl;
mod past;
mod revoke;
mod run;
mod running;
mod servers;
mod show_config;
mod status;
mod store;
mod test;
mod when;

#[doc(hidden)]
pub use convert_pattern::from_configuration as definition_of_old;
#[doc(hidden)]
pub use test::syslog::parse as parse_log_line;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::ConfigError;
use crate::control::client::AskError;
use crate::control::{self, Fault};
use crate::daemon::{PlanError, RunError};
use crate::journal::JournalError;
use crate::postfix::access_map::PublishError;
use crate::servers::DefinitionError;
use crate::store::StoreError;

/// Lets a mail client relay through Postfix for a while after it has logged in over POP3 or IMAP.
#[derive(Debug, Parser)]
#[command(
    name = "pop-before-smtp",
    version,
    max_term_width = 100,
    after_help = format!("\
The service is run by systemd (systemctl enable --now pop-before-smtp) and writes to the journal:
  journalctl -u pop-before-smtp                           what it does
  journalctl POP_BEFORE_SMTP_CLIENT=192.0.2.10            one client's story
Postfix uses the access map that it publishes; 'pop-before-smtp status' shows which.

{}", exit::HELP)
)]
struct Cli {
    /// Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and
    /// config.d/*.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service in the foreground: what systemd does
    Run(run::RunArgs),
    /// Show the clients that may relay now
    List(list::ListArgs),
    /// Show how the service is doing, and what is wrong
    Status(AskArgs),
    /// Show whether a client may relay, and why
    Check(check::CheckArgs),
    /// Let a client relay for a while without a login
    Allow(allow::AllowArgs),
    /// Stop clients from relaying, at once
    Revoke(revoke::RevokeArgs),
    /// Show what the journal tells of a client or a user
    History(history::HistoryArgs),
    /// Show what happens, as it happens, until interrupted or until the service ends
    ///
    /// Logins, logouts, clients that may now or no longer relay, what was refused, publications of
    /// the access map. With --json, one object per line. A reader that is too slow misses events,
    /// and is told how many.
    Monitor(AskArgs),
    /// Show the service's numbers as OpenMetrics text, for a monitoring system
    Metrics(metrics::MetricsArgs),
    /// Set how much the running service writes to the journal, until it is reloaded or restarted
    LogLevel(log_level::LogLevelArgs),
    /// Look at the whole installation, and say what is wrong and how to fix it
    Doctor(doctor::DoctorArgs),
    /// Print what a bug report needs, without anybody's name or address
    BugReport(bug_report::BugReportArgs),
    /// Check the configuration and the definitions of servers
    CheckConfig(check_config::CheckConfigArgs),
    /// Show the effective configuration, and where each value came from
    ShowConfig(show_config::ShowConfigArgs),
    /// Show the servers that are known, which of them are on, and which have written lately
    Servers(servers::ServersArgs),
    /// Show what would be recognised in a journal, without touching anything
    Test(test::TestArgs),
    /// Turn a pattern of the Perl daemon into a definition for servers.d
    ConvertPattern(convert_pattern::ConvertPatternArgs),
    /// Show what to write and change to replace the Perl daemon
    Migrate(migrate::MigrateArgs),
    /// Let logins at other hosts, mail stores, count here
    Store(store::StoreArgs),
    /// Remove expired clients from the access map while the service is stopped
    Expire(expire::ExpireArgs),
}

/// How to reach the running service.
#[derive(Debug, Args)]
struct AskArgs {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    /// The service's control socket
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// What the Perl daemon had can't be carried over, or is not there.
    #[error("{0}")]
    Old(String),
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error("can't read standard input: {0}")]
    Input(io::Error),
    #[error(
        "line {line} of the standard input is not a syslog line: name the identifier that the \
         server writes under with --identifier, such as dovecot"
    )]
    NoIdentifier {
        /// The line, counted from 1.
        line: usize,
    },
    #[error("can't write: {0}")]
    Output(#[from] io::Error),
    #[error("can't write {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("can't read {}: {source}", path.display())]
    ReadFile { path: PathBuf, source: io::Error },
    #[error("there is no server '{name}'; there are: {known}")]
    NoServer { name: String, known: String },
    #[error("there is no store {0}: 'pop-before-smtp store list' shows those that there are")]
    NoStore(String),
    #[error("there is a store {0} already: 'pop-before-smtp store remove {0}' takes it away")]
    StoreIsThere(String),
    #[error("{0}")]
    Ssh(String),
    #[error(
        "\"{0}\" can't be put into the command that a store runs: it takes letters, \
         digits and . _ - / @ : +; see senders in the configuration"
    )]
    OddIdentifier(String),
    #[error("no credentials: this is what {0} runs")]
    NoCredentials(String),
    #[error("{0}")]
    Carrier(io::Error),
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
    #[error("can't wait for a time or a change: {0}")]
    Wait(io::Error),
}

/// How a command ends: with an exit status of its own, or with an error's.
type CommandResult = Result<ExitCode, CommandError>;

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Definition(_) => exit::CONFIG,
            Self::Plan(error) | Self::Run(RunError::Plan(error)) if error.is_configuration() => {
                exit::CONFIG
            }
            Self::Ask(error) if error.is_permission() => exit::NO_PERMISSION,
            Self::Journal(JournalError::Forbidden { .. }) => exit::NO_PERMISSION,
            Self::Ask(AskError::Refused(Fault::NotPublished { .. } | Fault::NotKept { .. })) => {
                exit::NOT_WHOLLY
            }
            // The service has answered, and says no.
            Self::Ask(AskError::Refused(_)) => exit::NO,
            Self::Ask(_) => exit::UNAVAILABLE,
            _ => exit::NO,
        }
    }
}

/// The definition of the command line, from which the manual and the completions are made.
#[must_use]
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Parses the command line and runs one command.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(answered) = complete::answer() {
        return answered;
    }
    let cli = Cli::parse();
    let config = cli.config.as_deref();
    // Colours are for terminals: not for a pipe or a file, nor with NO_COLOR.
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let result = match cli.command {
        Command::Run(args) => run::run(config, &args),
        Command::List(args) => list::run(args, &mut out),
        Command::Status(args) => status::run(&args, &mut out),
        Command::Check(args) => check::run(config, &args, &mut out),
        Command::Allow(args) => allow::run(&args, &mut out),
        Command::Revoke(args) => revoke::run(&args, &mut out),
        Command::History(args) => history::run(config, &args, &mut out),
        Command::Monitor(args) => monitor::run(&args, &mut out),
        Command::Metrics(args) => metrics::run(&args, &mut out),
        Command::LogLevel(args) => log_level::run(&args, &mut out),
        Command::Doctor(args) => doctor::run(config, &args, &mut out),
        Command::BugReport(args) => bug_report::run(config, &args, &mut out),
        Command::CheckConfig(args) => check_config::run(config, &args, &mut out),
        Command::ShowConfig(args) => show_config::run(config, &args, &mut out),
        Command::Servers(args) => servers::run(config, &args, &mut out),
        Command::Test(args) => test::run(config, &args, &mut out),
        Command::ConvertPattern(args) => convert_pattern::run(&args, &mut out),
        Command::Migrate(args) => migrate::run(config, &args, &mut out),
        Command::Expire(args) => expire::run(config, &args),
        Command::Store(args) => store::run(config, &args, &mut out),
    };
    match result.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        // The reader has seen enough: 'pop-before-smtp list | head'.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Reports to the journal when run as the service, otherwise to standard error.
fn complain(error: &CommandError) {
    crate::diagnostics::install();
    crate::diagnostics::failed(error);
}
