//! `convert-pattern`: from a pattern of the Perl daemon to a definition for servers.d.
//!
//! Reads and prints; what it prints is a definition, or it is an error. It takes nobody's word for
//! who writes the entries: senders are the administrator's to fill in.

mod header;
mod message;
mod syntax;
mod write;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Args;

use self::message::Converted;
use super::{CommandError, CommandResult, old_perl};
use crate::servers::Definition;

/// The old pattern, and what is known beside.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  pop-before-smtp convert-pattern --name uw-imap \\
    '^[LOGTIME] \\S+ imapd\\[\\d+\\]: Login user=\\S+ host=\\[(\\d+\\.\\d+\\.\\d+\\.\\d+)\\]'
  pop-before-smtp convert-pattern --name mine < /etc/pop-before-smtp/pop-before-smtp.conf

Time, host, identifier and pid are removed, as the journal keeps them apart. The address becomes \
{client}, IPv4 or IPv6. Where the old pattern allowed any text before the address, the new one is \
made strict, and a comment says how. Before use, name the senders (users and units); then put the \
definition into /etc/pop-before-smtp/servers.d, run 'pop-before-smtp check-config' and \
'pop-before-smtp test --explain --server NAME', and name the server in 'servers'.

Lookarounds, back references and patterns without a group for the address can't be converted; the \
command then says so, with exit status 1.")]
pub struct ConvertPatternArgs {
    /// The old $pat: as a pattern, or as in the old configuration, with quotes and dots. Without it,
    /// standard input is read: the old configuration or a part of it, of which $pat, $out_pat,
    /// $PID_pat and its companions are used
    pattern: Option<String>,
    /// The old $out_pat
    #[arg(long, value_name = "PATTERN")]
    out_pattern: Option<String>,
    /// The old $PID_pat, for servers that log the address and the login on two lines
    #[arg(long, value_name = "PATTERN", requires_all = ["ip_pattern", "ok_pattern"], conflicts_with = "pattern")]
    pid_pattern: Option<String>,
    /// The old $IP_pat; it may begin with $PID_pat . '…'
    #[arg(long, value_name = "PATTERN", requires = "pid_pattern")]
    ip_pattern: Option<String>,
    /// The old $OK_pat, likewise
    #[arg(long, value_name = "PATTERN", requires = "pid_pattern")]
    ok_pattern: Option<String>,
    /// The old $FAIL_pat, likewise; without it, any other line of the process is a failure
    #[arg(long, value_name = "PATTERN", requires = "pid_pattern")]
    fail_pattern: Option<String>,
    /// The server's name; by default, its first identifier
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The identifiers that the server writes under; by default, those that the pattern names
    #[arg(long, value_name = "NAME")]
    identifier: Vec<String>,
    /// The units that write the server's entries
    #[arg(long, value_name = "UNIT")]
    unit: Vec<String>,
}

/// A converted pattern, and the table of the definition that it belongs to.
struct Entry {
    kind: &'static str,
    converted: Converted,
}

/// The old patterns, by the names of their variables.
type Old = BTreeMap<String, String>;

/// Prints the definition.
pub fn run(args: &ConvertPatternArgs, out: &mut impl Write) -> CommandResult {
    let mut old = Old::new();
    let (out_pat, has_pattern) = match args.pid_pattern {
        Some(_) => ("OUT_pat", true),
        None => ("out_pat", args.pattern.is_some()),
    };
    for (name, text) in [
        ("PID_pat", &args.pid_pattern),
        ("IP_pat", &args.ip_pattern),
        ("OK_pat", &args.ok_pattern),
        ("FAIL_pat", &args.fail_pattern),
        ("pat", &args.pattern),
        (out_pat, &args.out_pattern),
    ] {
        if let Some(text) = text {
            add(&mut old, name, text).map_err(CommandError::Old)?;
        }
    }
    if !has_pattern {
        let mut text = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut text);
        read.map_err(CommandError::Input)?;
        add(&mut old, "pat", &String::from_utf8_lossy(&text)).map_err(CommandError::Old)?;
    }
    let (text, _) = convert(args, &old).map_err(CommandError::Old)?;
    out.write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The definition that the patterns in force in an old configuration amount to, as text and read;
/// none, if there is no such pattern.
///
/// # Errors
/// Why they can't be carried over.
pub fn from_configuration(text: &str) -> Result<Option<(String, Definition)>, String> {
    if !old_perl::gives_patterns(text) {
        return Ok(None);
    }
    let mut old = Old::new();
    add(&mut old, "pat", text)?;
    convert(&ConvertPatternArgs::default(), &old).map(Some)
}

/// Adds what a text says; what it gives to no variable is `name`'s.
fn add(old: &mut Old, name: &str, text: &str) -> Result<(), String> {
    let read = old_perl::patterns(text, old);
    for (variable, value) in read.map_err(|why| format!("can't read the pattern: {why}"))? {
        let variable = if variable.is_empty() { name } else { &variable };
        if old.insert(variable.to_owned(), value).is_some() {
            return Err(format!(
                "${variable} is given twice: convert the servers one by one"
            ));
        }
    }
    Ok(())
}

/// The definition that `$pat` amounts to, with `$out_pat` if there is one; or `$PID_pat`, with what
/// was looked for on its lines.
fn convert(args: &ConvertPatternArgs, old: &Old) -> Result<(String, Definition), String> {
    let pid = old.get("PID_pat");
    let kinds: &[_] = match pid {
        None => &[("pat", "login"), ("out_pat", "logout")],
        Some(_) => &[
            ("IP_pat", "connect"),
            ("OK_pat", "login"),
            ("FAIL_pat", "failure"),
            ("OUT_pat", "logout"),
        ],
    };
    let mut heads = Vec::new();
    let mut entries = Vec::new();
    for &(variable, kind) in kinds {
        let Some(pattern) = old.get(variable) else {
            match (variable, kind) {
                ("pat", _) => return Err("there is neither a $pat nor a $PID_pat".to_owned()),
                (_, "connect" | "login") => {
                    return Err(format!("$PID_pat needs ${variable} beside it"));
                }
                _ => continue,
            }
        };
        // Without a beginning, it was found anywhere on a line of $PID_pat.
        let whole = match pid {
            None => pattern.clone(),
            Some(_) if pattern.starts_with('^') => pattern.clone(),
            Some(pid) if kind == "connect" || kind == "login" => format!("{pid}{pattern}"),
            Some(pid) => format!("{pid}.*(?:{pattern})"),
        };
        let lost = |pattern: &str, why: &str| {
            format!("can't carry over ${variable}: {why}\n    {pattern}")
        };
        let written = syntax::translate(&whole).map_err(|problem| {
            let lost = lost(&whole, &problem.message);
            format!("{lost}\n    {:>width$}", "^", width = problem.at + 1)
        })?;
        let headed = header::take_off(&written).map_err(|why| lost(&whole, &why))?;
        let converted = match (pid, kind) {
            (None, _) => message::with_client(&headed.message),
            // The pid may have a group, where it is not in the identifier's place.
            (_, "connect") => {
                message::with_client(&headed.message.replacen(r"\[(\d+)\]", r"\[\d+\]", 1))
            }
            _ => message::without_client(&headed.message),
        };
        let converted = converted.map_err(|why| lost(pattern, &why))?;
        entries.push(Entry { kind, converted });
        heads.push(headed);
    }
    if pid.is_some() && !old.contains_key("FAIL_pat") {
        // As the old daemon had it: the login comes next, or not at all.
        let converted = Converted {
            pattern: ".".to_owned(),
            unless: None,
            note: Some("Any other line of the process, as there was no $FAIL_pat."),
        };
        entries.push(Entry {
            kind: "failure",
            converted,
        });
    }
    let text = write::definition(args, old, &heads, &entries);
    match Definition::parse(&text) {
        Ok(definition) => Ok((text, definition)),
        Err(faults) => {
            let messages: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
            Err(format!(
                "can't carry this over by itself: {}; write the definition by hand, as in \
                 'pop-before-smtp servers --show dovecot'",
                messages.join("; ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::{Meaning, Recogniser};
    use clap::{Args, FromArgMatches};
    use proptest::prelude::*;

    const ADDRESS: &str = r"(\d+\.\d+\.\d+\.\d+)";

    fn convert(old: &str) -> Result<String, CommandError> {
        let command = ConvertPatternArgs::augment_args(clap::Command::new("convert-pattern"));
        let matches = command
            .try_get_matches_from(["convert-pattern", "--name=mine", "--", old])
            .unwrap();
        let args = ConvertPatternArgs::from_arg_matches(&matches).unwrap();
        let mut out = Vec::new();
        run(&args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// What strangers call themselves.
    fn name() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z@.<>(), =:\"\\[\\]]{0,12}",
            Just(" host=[203.0.113.9]".to_owned()),
            Just(" from 203.0.113.9".to_owned()),
            Just(", ip=[203.0.113.9]".to_owned()),
            Just(">, rip=203.0.113.9, ".to_owned()),
            Just("\" at (x) 203.0.113.9".to_owned()),
            Just(" [203.0.113.9] ".to_owned()),
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_pattern_becomes_a_definition_or_an_error(
            old in r"\^?(\[LOGTIME\]|\(... .. ..:..:..\))?( \\S\+ )?[a-z]{0,3}(\\\[\\d\+\\\]: )?([a-zä(){}\[\]\\.*+?|$'<>: =-]|\(\\d\+\\\.\\d\+\\\.\\d\+\\\.\\d\+\)){0,20}",
        ) {
            if let Ok(text) = convert(&old) {
                prop_assert!(Definition::parse(&text).is_ok());
            }
        }

        #[test]
        fn whatever_the_name_no_address_in_it_is_taken(name in name(), at in 0..6_usize) {
            let (old, line) = [
                (r"a\[\d+\]: Login user=\S+ host=(?:\S+ )?\[ADDRESS\]", "Login user=NAME host=c.example [192.0.2.10]"),
                (r"a\[\d+\]: User .+ logged in with mailbox .+ from ADDRESS", "User NAME logged in with mailbox /var/mail/NAME from 192.0.2.10"),
                (r"a: LOGIN, user=\S+, ip=\[[:f]*ADDRESS\]", "LOGIN, user=NAME, ip=[::ffff:192.0.2.10], protocol=POP3"),
                (r"a: Login: .*? (?:\[|rip=)[:f]*ADDRESS[],]", "Login: user=<NAME>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1"),
                (r"a: Login: .+? rip=[:f]*ADDRESS,", "Login: user=<NAME>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1"),
                (r"a\[\d+\]: Successful login for .+? \[ADDRESS\]", "Successful login for NAME [192.0.2.10]"),
            ][at];
            let old = format!(r"^[LOGTIME] \S+ {}", old.replace("ADDRESS", ADDRESS));
            let definition = Definition::parse(&convert(&old).unwrap()).unwrap();
            let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| None);
            let line = line.replace("NAME", &name);
            if let Some(verdict) = recogniser.recognise("a", line.as_bytes()) {
                let Meaning::Login { client: Some(client), .. } = verdict.meaning else {
                    panic!("{line}");
                };
                prop_assert_eq!(client.to_string(), "192.0.2.10", "{}", line);
            }
        }
    }
}
