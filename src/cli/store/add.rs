//! `store add`: makes a key, has the store's host key confirmed, and writes down where the store is.
//!
//! Talks to the store once, for its host key; nothing else is believed before that is confirmed.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use super::{directory, drop_in, name, show};
use crate::carrier;
use crate::cli::{CommandError, CommandResult};
use crate::config;
use crate::diagnostics::printable;

/// Which store, and where it is.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What it is called here: lower-case letters, digits and hyphens
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// Its host name or address; by default, its name
    #[arg(long, value_name = "HOST", value_parser = host)]
    host: Option<String>,
    /// The port of its ssh server
    #[arg(long, value_name = "PORT", default_value_t = 22)]
    port: u16,
    /// The user there that reads the journal
    #[arg(long, value_name = "USER", default_value = "pop-before-smtp-journal", value_parser = user)]
    user: String,
    /// The fingerprint of its host key, instead of asking whether the one that it shows is right
    #[arg(long, value_name = "SHA256:…")]
    fingerprint: Option<String>,
}

/// A key that the store has shown.
struct HostKey {
    /// Its type and itself, in one line.
    line: String,
    fingerprint: String,
}

/// Makes what is needed, and says what is to be done.
pub fn run(file: Option<&Path>, args: &AddArgs, out: &mut impl Write) -> CommandResult {
    config::load(file)?;
    let (name, directory) = (&args.name, directory(&args.name));
    if directory.exists() {
        return Err(CommandError::StoreIsThere(name.clone()));
    }
    let host = args.host.as_ref().unwrap_or(name);
    let key = confirmed(args, host, out)?;
    let with_path = |path: &Path| {
        let path = path.to_owned();
        |source| CommandError::File { path, source }
    };
    let mut private = DirBuilder::new();
    private.recursive(true).mode(0o700);
    private.create(&directory).map_err(with_path(&directory))?;
    let config = format!(
        "# Where the store {name} is, for ssh(1).\nHost {name}\n\tHostName {host}\n\tPort {}\n\tUser {}\n\
         \tHostKeyAlias {name}\n",
        args.port, args.user
    );
    for (file, text) in [
        ("ssh_config", config),
        ("known_hosts", format!("{name} {}\n", key.line)),
    ] {
        let path = directory.join(file);
        write(&path, &text, 0o600).map_err(with_path(&path))?;
    }
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C"])
        .arg(format!(
            "pop-before-smtp@{}",
            rustix::system::uname().nodename().to_string_lossy()
        ))
        .arg("-f")
        .arg(directory.join("key"))
        .stdin(Stdio::null())
        .status();
    if !made.as_ref().is_ok_and(|status| status.success()) {
        let why = made.map_or_else(|error| error.to_string(), |status| status.to_string());
        return Err(CommandError::Ssh(format!("ssh-keygen: {why}")));
    }
    let journal = Path::new(carrier::DIRECTORY).join(name);
    let source = format!(
        "# The store {name}: 'pop-before-smtp store remove {name}' takes it away.\n[sources.{name}]\n\
         directory = \"{}\"\n# The numbers of users there whose names definitions have, but for root:\n\
         #users = {{ cyrus = 112 }}\n",
        journal.display()
    );
    let path = drop_in(name);
    write(&path, &source, 0o644).map_err(with_path(&path))?;
    show::tell(file, name, out)?;
    Ok(ExitCode::SUCCESS)
}

/// The store's host key, which somebody knows to be it.
fn confirmed(args: &AddArgs, host: &str, out: &mut impl Write) -> Result<HostKey, CommandError> {
    let mut keys = host_keys(host, args.port)?;
    if let Some(wanted) = &args.fingerprint {
        let shown: Vec<String> = keys.iter().map(|key| key.fingerprint.clone()).collect();
        keys.retain(|key| key.fingerprint == *wanted);
        return keys.pop().ok_or_else(|| {
            CommandError::Ssh(format!("{host} shows other host keys: {}", shown.join(" ")))
        });
    }
    let key = keys.swap_remove(0);
    let kind = key.line.split(' ').next().unwrap_or_default();
    let kind = kind
        .trim_start_matches("ssh-")
        .split('-')
        .next()
        .unwrap_or_default();
    writeln!(
        out,
        "{} shows this host key:\n  {}\nOn the store, this prints it:\n  ssh-keygen -lf \
         /etc/ssh/ssh_host_{kind}_key.pub\nIs it the same? (yes or no)",
        printable(host),
        printable(&key.fingerprint),
    )?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(CommandError::Input)?;
    if answer.trim() == "yes" {
        Ok(key)
    } else {
        Err(CommandError::Ssh(
            "the host key was not confirmed: nothing was written".to_owned(),
        ))
    }
}

/// The keys that a host shows: the type that is best comes first. There is one at least.
fn host_keys(host: &str, port: u16) -> Result<Vec<HostKey>, CommandError> {
    const TYPES: [&str; 3] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"];
    let mut scan = Command::new("ssh-keyscan");
    scan.args([
        "-T",
        "10",
        "-p",
        &port.to_string(),
        "-t",
        "ed25519,ecdsa,rsa",
        "--",
        host,
    ]);
    let shown = output(&mut scan, "")?;
    let mut keys = Vec::new();
    for line in shown.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ').skip(1);
        let (Some(kind), Some(key), None) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let line = format!("{kind} {key}");
        let print = output(Command::new("ssh-keygen").args(["-l", "-f", "-"]), &line)?;
        let fingerprint = print.split(' ').nth(1).unwrap_or_default().to_owned();
        if let Some(place) = TYPES.iter().position(|known| *known == kind) {
            keys.push((place, HostKey { line, fingerprint }));
        }
    }
    keys.sort_by_key(|(place, _)| *place);
    if keys.is_empty() {
        let why = format!("{host} shows no host key on port {port}: is its ssh server running?");
        return Err(CommandError::Ssh(why));
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// What a command prints of this input.
fn output(command: &mut Command, input: &str) -> Result<String, CommandError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: io::Error| {
        CommandError::Ssh(format!("{program}: {error} (apt install openssh-client)"))
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut to) = child.stdin.take() {
        // One that does not read it says why in what it prints.
        let _ = to.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// A host's name or address: it stands in a file of ssh's.
fn host(text: &str) -> Result<String, String> {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_fit) {
        Ok(text.to_owned())
    } else {
        Err("expected a host name or an address".to_owned())
    }
}

/// A user's name, as useradd(8) takes it.
fn user(text: &str) -> Result<String, String> {
    let is_fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    let is_first = |b: u8| b.is_ascii_lowercase() || b == b'_';
    if text.len() <= 32 && text.bytes().next().is_some_and(is_first) && text.bytes().all(is_fit) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of a user".to_owned())
    }
}
