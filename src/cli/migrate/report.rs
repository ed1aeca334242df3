//! The report: step by step what to do, and what can't be carried over.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use super::Found;
use super::old_map::OldMap;
use crate::cli::convert_pattern;
use crate::client::Client;
use crate::config::duration::Humane;
use crate::diagnostics::{count, printable};
use crate::networks::Networks;
use crate::postfix::access_map::validate_value;
use crate::servers::Catalogue;

/// What `$grace` was if nothing was said, in seconds; it is our own default.
const GRACE: u64 = 30 * 60;
/// The longest grace that the configuration takes, in seconds.
const LONGEST_GRACE: u64 = 30 * 24 * 60 * 60;
/// How many clients of the old map are named.
const NAMED: usize = 20;

/// What goes where.
#[derive(Default)]
struct Carried {
    /// Lines of config.toml.
    keys: Vec<String>,
    /// Lines of config.toml that belong to `[map]`.
    map_keys: Vec<String>,
    /// Said of the keys that are not written.
    same: Vec<String>,
    /// Definitions for servers.d: name and text.
    definitions: Vec<(String, String)>,
    /// Said of the servers.
    servers: Vec<String>,
    /// What can't be carried over.
    lost: Vec<String>,
}

/// Writes the report.
pub(super) fn write(found: &Found, out: &mut impl Write) -> io::Result<()> {
    let carried = carry(found);
    match &found.configuration {
        Some(path) => writeln!(out, "Read as text: {}", path.display())?,
        None => writeln!(
            out,
            "No old configuration is given or found: its defaults count."
        )?,
    }
    match &found.map {
        Some(Ok(map)) => writeln!(
            out,
            "Read: {}:{}, {}",
            map.kind,
            map.path.display(),
            count(map.clients.len(), "client")
        )?,
        Some(Err(why)) => writeln!(out, "The old map can't be read: {}", printable(why))?,
        None => writeln!(out, "No old map is there.")?,
    }
    stop(found, out)?;
    configure(&carried, out)?;
    servers(&carried, out)?;
    main_cf(found, out)?;
    clients(found, out)?;
    if !carried.lost.is_empty() {
        writeln!(out, "\nNot carried over, look at it yourself:")?;
        for lost in &carried.lost {
            writeln!(out, "  - {}", printable(lost))?;
        }
    }
    writeln!(out, "\nNothing has been changed.")
}

fn stop(found: &Found, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n1. Stop the old daemon: two must not tend one relay."
    )?;
    let daemon = &found.daemon;
    for process in &daemon.processes {
        writeln!(out, "   It runs now, as process {process}.")?;
    }
    match (daemon.script, daemon.program) {
        (Some(script), _) => {
            // systemd would take the script's name for our own unit.
            writeln!(out, "     SYSTEMCTL_SKIP_REDIRECT=1 {script} stop")?;
            let remove = if Path::new("/usr/sbin/update-rc.d").exists() {
                "update-rc.d pop-before-smtp remove"
            } else {
                "chkconfig --del pop-before-smtp"
            };
            writeln!(
                out,
                "     mv {script} /root/pop-before-smtp.init && {remove}"
            )?;
        }
        (None, Some(_)) => writeln!(
            out,
            "   No init script is there: whatever starts it, end it."
        )?,
        (None, None) if daemon.processes.is_empty() => {
            writeln!(out, "   It is not on this host any more: nothing to do.")?;
        }
        (None, None) => {}
    }
    if let Some(program) = daemon.program {
        writeln!(out, "     rm {program}")?;
    }
    Ok(())
}

fn configure(carried: &Carried, out: &mut impl Write) -> io::Result<()> {
    if carried.keys.is_empty() && carried.map_keys.is_empty() {
        writeln!(out, "\n2. Configure: nothing has to be written.")?;
    } else {
        writeln!(
            out,
            "\n2. Write /etc/pop-before-smtp/config.d/50-migrated.toml:"
        )?;
        for key in &carried.keys {
            writeln!(out, "     {key}")?;
        }
        if !carried.map_keys.is_empty() {
            writeln!(out, "     [map]")?;
        }
        for key in &carried.map_keys {
            writeln!(out, "     {key}")?;
        }
    }
    for same in &carried.same {
        writeln!(out, "   {}", printable(same))?;
    }
    Ok(())
}

fn servers(carried: &Carried, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n3. Servers.")?;
    for said in &carried.servers {
        writeln!(out, "   {}", printable(said))?;
    }
    for (name, text) in &carried.definitions {
        writeln!(out, "   Write /etc/pop-before-smtp/servers.d/{name}.toml:")?;
        for line in text.lines() {
            writeln!(out, "     {}", printable(line))?;
        }
    }
    writeln!(
        out,
        "   See whether their logins are recognised in the journal:"
    )?;
    writeln!(out, "     pop-before-smtp test --since today")
}

fn main_cf(found: &Found, out: &mut impl Write) -> io::Result<()> {
    let new = format!("{}:{}", found.plan.map.kind, found.plan.map.path.display());
    writeln!(
        out,
        "\n4. main.cf: the new map in the place of the old one."
    )?;
    let old = old_path(found);
    for line in found.main_cf.lines() {
        if names(line, &old) {
            writeln!(out, "   It names the old map now; take it out there:")?;
            writeln!(out, "     {}", printable(line))?;
        }
    }
    if found
        .main_cf
        .lines()
        .any(|line| names(line, &found.plan.map.path.display().to_string()))
    {
        writeln!(out, "   It names the new map, {new}, already.")?;
    } else {
        writeln!(
            out,
            "   Where you have restrictions of your own, keep them; check_client_access has to"
        )?;
        writeln!(
            out,
            "   stand before reject_unauth_destination. Then 'postfix reload'."
        )?;
        writeln!(out, "     {}", found.plan.map.main_cf_line())?;
    }
    if Path::new(&old) == found.plan.map.path {
        writeln!(
            out,
            "   WARNING: map.path is the old daemon's map: give the service a map of its own."
        )?;
    }
    if let Some(Ok(map)) = &found.map {
        writeln!(
            out,
            "   When Postfix reads the old map no more: nobody ends anybody's grace there."
        )?;
        writeln!(out, "     rm {}", map.kind.index(&map.path).display())?;
    }
    Ok(())
}

fn clients(found: &Found, out: &mut impl Write) -> io::Result<()> {
    let Some(Ok(map)) = &found.map else {
        return Ok(());
    };
    writeln!(out, "\n5. The clients of the old map.")?;
    writeln!(
        out,
        "   It does not tell how long they may relay. The service reads the journal back by"
    )?;
    writeln!(
        out,
        "   one grace when it first starts, and lists who has logged in since."
    )?;
    let rules = &found.plan.rules;
    let in_networks = |networks: &Networks| -> Vec<Client> {
        let clients = map.clients.iter().copied();
        clients
            .filter(|client| networks.contains(client.address()))
            .collect()
    };
    let (permitted, never) = (in_networks(&rules.permitted), in_networks(&rules.never));
    say_clients(
        out,
        "permitted by Postfix anyway, and never listed",
        &permitted,
    )?;
    say_clients(out, "in 'never', and never listed", &never)?;
    let rest: Vec<Client> = map
        .clients
        .iter()
        .copied()
        .filter(|client| !permitted.contains(client) && !never.contains(client))
        .collect();
    say_clients(
        out,
        "listed again with the next login, if not at once",
        &rest,
    )?;
    if rest.is_empty() {
        return Ok(());
    }
    writeln!(out, "   Who can't wait for that:")?;
    writeln!(out, "     pop-before-smtp allow ADDRESS --for 30min")
}

fn say_clients(out: &mut impl Write, what: &str, clients: &[Client]) -> io::Result<()> {
    if clients.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = clients
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    let more = match clients.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    writeln!(out, "   {what}: {}{more}", named.join(", "))
}

/// The old map's path, as main.cf names it.
fn old_path(found: &Found) -> String {
    match &found.map {
        Some(Ok(map)) => map.path.display().to_string(),
        _ => (found.settings.texts.get("dbfile").cloned())
            .unwrap_or_else(|| "/etc/postfix/pop-before-smtp".to_owned()),
    }
}

/// Whether a line of main.cf names a table of this path.
fn names(line: &str, path: &str) -> bool {
    line.split([' ', '\t', ',', '{', '}'])
        .any(|word| word.split_once(':').is_some_and(|(_, named)| named == path))
}

/// Decides what goes where.
fn carry(found: &Found) -> Carried {
    let mut carried = Carried::default();
    let settings = &found.settings;
    match settings.grace {
        None | Some(GRACE) => carried
            .same
            .push("$grace: 30min is the default.".to_owned()),
        Some(seconds) if (1..=LONGEST_GRACE).contains(&seconds) => {
            let grace = Humane(Duration::from_secs(seconds));
            carried.keys.push(format!("grace = \"{grace}\""));
        }
        Some(seconds) => {
            let lost = format!("$grace: {seconds} seconds; grace takes from 1s to 30d");
            carried.lost.push(lost);
        }
    }
    carry_value(found, &mut carried);
    if let Some(networks) = &settings.mynets {
        carry_networks(networks, &mut carried);
    }
    carry_patterns(found, &mut carried);
    for (variable, function) in &settings.functions {
        carry_function(variable, function, &mut carried);
    }
    if let Some(file) = settings.texts.get("file_tail") {
        carried.servers.push(format!(
            "Logins come from the journal, not from {file}: a server with a log file of its own \
             (Dovecot's log_path) has to log to syslog or to its standard error."
        ));
    }
    if let Some(Ok(map)) = &found.map {
        carry_odd_keys(map, &mut carried);
    }
    for (line, why) in &settings.unread {
        carried.lost.push(format!("line {line}: {why}"));
    }
    if found.daemon.script.is_some() {
        carried.lost.push(
            "options on the daemon's command line (in its init script or /etc/default) counted more \
             than the configuration"
                .to_owned(),
        );
    }
    carried
}

/// `$dbvalue`, or what the map itself holds.
fn carry_value(found: &Found, carried: &mut Carried) {
    let in_map = match &found.map {
        Some(Ok(OldMap { values, .. })) if values.len() == 1 => values.first(),
        _ => None,
    };
    let Some(value) = found.settings.texts.get("dbvalue").or(in_map) else {
        return;
    };
    match validate_value(value) {
        Ok(()) if value.eq_ignore_ascii_case("ok") => {
            carried.same.push("$dbvalue: OK is the default.".to_owned());
        }
        Ok(()) => carried
            .map_keys
            .push(format!("value = {}", toml_string(value))),
        Err(why) => carried.lost.push(format!("$dbvalue: {why}")),
    }
}

/// `@mynets`.
fn carry_networks(networks: &[String], carried: &mut Carried) {
    let mut taken = BTreeSet::new();
    for network in networks {
        let parsed = network.parse::<IpNet>().ok();
        let parsed = parsed.or_else(|| Some(network.parse::<Client>().ok()?.address().into()));
        match parsed {
            Some(parsed) => {
                taken.insert(parsed.trunc());
            }
            None => carried.lost.push(format!(
                "@mynets: '{network}' is no network as 192.0.2.0/24 or 2001:db8::/32"
            )),
        }
    }
    let taken: Vec<String> = taken
        .iter()
        .map(|network| format!("\"{network}\""))
        .collect();
    carried
        .keys
        .push(format!("permitted-networks = [{}]", taken.join(", ")));
    carried.same.push(
        "permitted-networks: leave it out, if Postfix's mynetworks says the same: that is the default."
            .to_owned(),
    );
}

/// `$pat` and its companions.
fn carry_patterns(found: &Found, carried: &mut Carried) {
    if found.settings.has_custom_match {
        carried.lost.push(
            "custom_match, @login, @logout: patterns in code; give each to 'pop-before-smtp \
             convert-pattern' if its server is not built in"
                .to_owned(),
        );
    }
    match convert_pattern::from_configuration(&found.settings.in_force) {
        Ok(None) => carried.servers.push(
            "No $pat is in force: the daemon's default was UW IMAP, built in as uw-imap."
                .to_owned(),
        ),
        Ok(Some((text, definition))) => {
            let catalogue = Catalogue::read(&found.plan.settings.servers_directory);
            let known: Vec<&str> = (catalogue.definitions.iter())
                .map(|loaded| &loaded.definition)
                .filter(|known| {
                    let mut identifiers = definition.identifiers.iter();
                    identifiers.any(|identifier| known.identifiers.contains(identifier))
                })
                .map(|known| known.name.as_str())
                .collect();
            if known.is_empty() {
                let name = definition.name.clone();
                carried
                    .keys
                    .push(format!("servers = [{}]", toml_string(&name)));
                carried.definitions.push((name, text));
            } else {
                carried.servers.push(format!(
                    "$pat is for {}: built in, and on. 'servers = [\"{}\"]' would have it alone.",
                    known.join(" or "),
                    known[0]
                ));
            }
        }
        Err(error) => carried.lost.push(format!("the patterns: {error}")),
    }
}

/// A function that took the place of the daemon's own.
fn carry_function(variable: &str, function: &str, carried: &mut Carried) {
    match (variable, function) {
        // What the daemon came with, for Postfix: postmap and the journal do it now.
        (
            _,
            "mynet_postfix" | "tie_BerkeleyDB" | "sync_BerkeleyDB" | "tie_DB_File" | "sync_DB_File",
        )
        | ("flock_func" | "tail_init_func" | "tail_getline_func" | "log_func", _) => {}
        ("mynet_func", _) => carried.lost.push(format!(
            "$mynet_func: the networks that {function} finds; see permitted-networks"
        )),
        _ => carried.lost.push(format!(
            "${variable}: {function}; only Postfix is told of clients, by its own kinds of maps"
        )),
    }
}

/// Keys of the map that are no single clients.
fn carry_odd_keys(map: &OldMap, carried: &mut Carried) {
    for key in map.others.iter().take(NAMED) {
        carried
            .lost
            .push(format!("the old map's key '{key}': no single address"));
    }
    if map.others.len() > NAMED {
        let more = map.others.len() - NAMED;
        carried.lost.push(format!(
            "{more} more keys of the old map: no single addresses"
        ));
    }
}

/// A basic string of TOML.
fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
