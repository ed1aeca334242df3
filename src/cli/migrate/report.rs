//! The report: step by step what to do, and what can't be carried over.

use std::path::Path;

use super::carried::Carried;
use super::old_map::OldMap;
use super::{Found, NAMED};
use crate::client::Client;
use crate::diagnostics::{count, printable};

/// The report.
pub(super) fn report(found: &Found) -> String {
    let carried = Carried::from(found);
    let mut text = match &found.configuration {
        Some(path) => format!("Read as text: {}\n", path.display()),
        None => "No old configuration is given or found: its defaults count.\n".to_owned(),
    };
    text += &match &found.map {
        Some(Ok(OldMap {
            kind,
            path,
            clients,
            ..
        })) => {
            let clients = count(clients.len(), "client");
            format!("Read: {kind}:{}, {clients}\n", path.display())
        }
        Some(Err(why)) => format!("The old map can't be read: {}\n", printable(why)),
        None => "No old map is there.\n".to_owned(),
    };
    text += &stop(found);
    text += &configure(&carried);
    text += &servers(&carried);
    text += &main_cf(found);
    if let Some(Ok(map)) = &found.map {
        text += &clients(found, map);
    }
    if !carried.lost.is_empty() {
        text += "\nNot carried over, look at it yourself:\n";
        text += &lines("  - ", &carried.lost);
    }
    text + "\nNothing has been changed.\n"
}

/// The texts, each in a line after `lead`.
fn lines<'a>(lead: &str, texts: impl IntoIterator<Item = &'a (impl AsRef<str> + 'a)>) -> String {
    let texts = texts.into_iter().map(|text| printable(text.as_ref()));
    texts.map(|text| format!("{lead}{text}\n")).collect()
}

fn stop(found: &Found) -> String {
    let daemon = &found.daemon;
    let mut text = "\n1. Stop the old daemon: two must not tend one relay.\n".to_owned();
    for process in &daemon.processes {
        text += &format!("   It runs now, as process {process}.\n");
    }
    if let Some(script) = daemon.script {
        let remove = match Path::new("/usr/sbin/update-rc.d").exists() {
            true => "update-rc.d pop-before-smtp remove",
            false => "chkconfig --del pop-before-smtp",
        };
        // systemd would take the script's name for our own unit.
        text += &format!("     SYSTEMCTL_SKIP_REDIRECT=1 {script} stop\n");
        text += &format!("     mv {script} /root/pop-before-smtp.init && {remove}\n");
    } else if daemon.program.is_some() {
        text += "   No init script is there: whatever starts it, end it.\n";
    } else if daemon.processes.is_empty() {
        text += "   It is not on this host any more: nothing to do.\n";
    }
    if let Some(program) = daemon.program {
        text += &format!("     rm {program}\n");
    }
    text
}

fn configure(carried: &Carried) -> String {
    let mut text = match carried.keys.is_empty() && carried.value.is_none() {
        true => "\n2. Configure: nothing has to be written.\n".to_owned(),
        false => "\n2. Write /etc/pop-before-smtp/config.d/50-migrated.toml:\n".to_owned(),
    };
    text += &lines("     ", &carried.keys);
    if let Some(value) = &carried.value {
        text += &format!("     [map]\n     value = {value}\n");
    }
    text + &lines("   ", &carried.same)
}

fn servers(carried: &Carried) -> String {
    let mut text = "\n3. Servers.\n".to_owned() + &lines("   ", &carried.servers);
    if let Some((name, definition)) = &carried.definition {
        text += &format!("   Write /etc/pop-before-smtp/servers.d/{name}.toml:\n");
        text += &lines("     ", &definition.lines().collect::<Vec<_>>());
    }
    text + "   See whether their logins are recognised in the journal:\n     \
               pop-before-smtp test --since today\n"
}

fn main_cf(found: &Found) -> String {
    let Some(new) = &found.plan.map else {
        return "\n4. main.cf: there is no Postfix on this host.\n".to_owned();
    };
    let map = found.map.as_ref().and_then(|map| map.as_ref().ok());
    let named = found.settings.texts.get("dbfile").map(Path::new);
    let old = map.map(|map| &*map.path).or(named);
    let old = old.unwrap_or(Path::new("/etc/postfix/pop-before-smtp"));
    let mut text = "\n4. main.cf: the new map in the place of the old one.\n".to_owned();
    for line in found.main_cf.lines().filter(|line| names(line, old)) {
        text += "   It names the old map now; take it out there:\n";
        text += &format!("     {}\n", printable(line));
    }
    text += &match found.main_cf.lines().any(|line| names(line, &new.path)) {
        true => {
            let path = new.path.display();
            format!("   It names the new map, {}:{path}, already.\n", new.kind)
        }
        false => format!(
            "   Where you have restrictions of your own, keep them; check_client_access has to
   stand before reject_unauth_destination. Then 'postfix reload'.
     {}\n",
            new.main_cf_line()
        ),
    };
    if old == new.path {
        text +=
            "   WARNING: map.path is the old daemon's map: give the service a map of its own.\n";
    }
    if let Some(map) = map {
        let file = map.kind.index(&map.path);
        text += "   When Postfix reads the old map no more: nobody ends anybody's grace there.\n";
        text += &format!("     rm {}\n", file.display());
    }
    text
}

/// Whether a line of main.cf names a table of this path.
fn names(line: &str, path: &Path) -> bool {
    let mut words = line.split([' ', '\t', ',', '{', '}']);
    words.any(|word| (word.split_once(':')).is_some_and(|(_, named)| Path::new(named) == path))
}

fn clients(found: &Found, map: &OldMap) -> String {
    let rules = &found.plan.rules;
    let permitted = |client: &&Client| rules.permitted.contains(client.address());
    let never = |client: &&Client| rules.never.contains(client.address());
    let clients = map.clients.iter();
    let rest: Vec<&Client> = (clients.clone())
        .filter(|client| !permitted(client) && !never(client))
        .collect();
    let mut text = "
5. The clients of the old map.
   It does not tell how long they may relay. The service reads the journal back by
   one grace when it first starts, and lists who has logged in since.\n"
        .to_owned();
    for (what, clients) in [
        (
            "permitted by Postfix anyway, and never listed",
            clients.clone().filter(permitted).collect(),
        ),
        (
            "in 'never', and never listed",
            clients.filter(never).collect(),
        ),
        (
            "listed again with the next login, if not at once",
            rest.clone(),
        ),
    ] {
        let clients: Vec<&Client> = clients;
        let named: Vec<_> = clients
            .iter()
            .take(NAMED)
            .map(ToString::to_string)
            .collect();
        let more = match clients.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if !clients.is_empty() {
            text += &format!("   {what}: {}{more}\n", named.join(", "));
        }
    }
    if !rest.is_empty() {
        text += "   Who can't wait for that:\n     pop-before-smtp allow ADDRESS --for 30min\n";
    }
    text
}
