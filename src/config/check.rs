//! What the files say, once they are all read: paths that depend on each other are filled in, and
//! keys are checked against each other.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::Problem;
use super::nearest::nearest;
use super::path::unfit_for_main_cf;
use super::sender::matches_user_units;
use super::table::{Found, Located};
use super::value::quoted;
use super::{JournalSettings, Origin, Senders, Settings, SourceSettings};
use crate::excerpt::harmless;

/// `state-directory`, when systemd names none.
const STATE_DIRECTORY: &str = "/var/lib/pop-before-smtp";

/// The store's directory in the state directory.
const STORE: &str = "store";
/// The access map in the state directory, unless `map.path` says otherwise.
const MAP: &str = "clients";

/// Fills in and checks what depends on several keys; `found` are those that files say.
/// `state_directory` is `$STATE_DIRECTORY`. Returns where the default of `state-directory` came
/// from, and what is odd, but taken.
pub(super) fn check(
    settings: &mut Settings,
    found: &Found,
    state_directory: Option<&OsStr>,
) -> Result<(Origin, Vec<Problem>), Problem> {
    let JournalSettings {
        directory,
        namespace,
        ..
    } = &settings.journal;
    exclusive("journal", directory.is_some() && namespace.is_some(), found)?;
    // One that names no journal is not there: a later file has taken it away.
    (settings.sources).retain(|_, source| source.directory.is_some() || source.namespace.is_some());
    for (name, source) in &settings.sources {
        let has_both = source.directory.is_some() && source.namespace.is_some();
        exclusive(&format!("sources.{name}"), has_both, found)?;
        if source.directory.is_none()
            && !source.users.is_empty()
            && let Some(place) = found.get(&format!("sources.{name}.users"))
        {
            let message = "is for the files of another host, not for a namespace of this one";
            return Err(place.problem(message.to_owned(), None));
        }
    }
    read_once(settings, found)?;
    let warnings = warnings(settings, found);
    let (default_state, origin) = default_state_directory(state_directory)?;
    if !found.contains_key("state-directory") {
        settings.state_directory = default_state;
    }
    match found.get("map.path") {
        Some(place) => apart(&settings.map.path, place, &settings.state_directory)?,
        None => settings.map.path = settings.state_directory.join(MAP),
    }
    // Empty lists say nothing, as if they were not there.
    (settings.senders).retain(|_, senders| *senders != Senders::default());
    Ok((origin, warnings))
}

/// A journal directory has no namespaces: sd_journal_open_directory(3).
fn exclusive(table: &str, has_both: bool, found: &Found) -> Result<(), Problem> {
    let place = |key| found.get(&format!("{table}.{key}"));
    let (true, Some(directory), Some(namespace)) =
        (has_both, place("directory"), place("namespace"))
    else {
        return Ok(());
    };
    let message = format!(
        "can't be set together with `{table}.directory`, which is set in {}",
        directory.origin()
    );
    let hint = "remove one of them, or set it to \"\" in a later file";
    Err(namespace.problem(message, Some(hint.to_owned())))
}

/// Of a journal that is read twice, each session would be open twice, and its end be told once.
fn read_once(settings: &Settings, found: &Found) -> Result<(), Problem> {
    let JournalSettings {
        directory,
        namespace,
        ..
    } = &settings.journal;
    let mut known = BTreeMap::new();
    known.insert((directory, namespace), "journal".to_owned());
    for (
        name,
        SourceSettings {
            directory,
            namespace,
            ..
        },
    ) in &settings.sources
    {
        let table = format!("sources.{name}");
        let key = if directory.is_some() {
            "directory"
        } else {
            "namespace"
        };
        let place = found.get(&format!("{table}.{key}"));
        if let Some(other) = known.insert((directory, namespace), table)
            && let Some(place) = place
        {
            let message = format!("[{other}] reads the same journal");
            let hint = "let one of them read it".to_owned();
            return Err(place.problem(message, Some(hint)));
        }
    }
    Ok(())
}

/// The map must not be where the service keeps other things.
fn apart(map: &Path, place: &Located, state_directory: &Path) -> Result<(), Problem> {
    let message = if map.starts_with(state_directory.join(STORE)) {
        "is where the service keeps its store"
    } else if state_directory.starts_with(map) {
        "is a directory: the state directory, or one above it"
    } else {
        return Ok(());
    };
    let example = state_directory.join(MAP);
    let hint = format!("for example: {}", quoted(&example.to_string_lossy()));
    Err(place.problem(message.to_owned(), Some(hint)))
}

/// `$STATE_DIRECTORY` of systemd.exec(5): the first of the directories that it names.
fn default_state_directory(variable: Option<&OsStr>) -> Result<(PathBuf, Origin), Problem> {
    let Some(variable) = variable.filter(|value| !value.is_empty()) else {
        return Ok((PathBuf::from(STATE_DIRECTORY), Origin::Default));
    };
    let text = variable.to_string_lossy();
    let first = text.split(':').next().unwrap_or_default();
    let fit = variable.to_str().is_some() && Path::new(first).is_absolute();
    if fit && unfit_for_main_cf(first).is_none() {
        Ok((PathBuf::from(first), Origin::Environment("STATE_DIRECTORY")))
    } else {
        Err(Problem::new(format!(
            "the environment variable STATE_DIRECTORY must name a directory that main.cf can name, but is \"{}\"",
            harmless(&text)
        )))
    }
}

/// What is odd, but taken.
fn warnings(settings: &Settings, found: &Found) -> Vec<Problem> {
    let mut warnings = Vec::new();
    if settings.max_session < settings.grace {
        let message = "with a `max-session` shorter than `grace`, \
                       whether a session is open makes no difference";
        let place = found.get("max-session").or(found.get("grace"));
        warnings.extend(place.map(|place| place.problem(message.to_owned(), None)));
    }
    for (server, senders) in &settings.senders {
        let place = |name: &str| found.get(&format!("senders.{server}.{name}"));
        if !settings.servers.contains(server) {
            let message = format!("has no effect: `servers` does not name \"{server}\"");
            let first = ["identifiers", "users", "units"]
                .into_iter()
                .find_map(place);
            let names = settings.servers.iter().map(String::as_str);
            let hint = nearest("", server, names).map(|name| format!("did you mean `{name}`?"));
            warnings.extend(first.map(|place| place.problem(message, hint)));
        }
        for unit in senders.units.iter().filter(|unit| matches_user_units(unit)) {
            let message = format!(
                "\"{unit}\" matches units in which programs of ordinary users run: they can forge logins"
            );
            warnings.extend(place("units").map(|place| place.problem(message, None)));
        }
    }
    warnings
}
