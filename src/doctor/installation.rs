//! What is looked at before anything is judged, as several checks need it.
//!
//! Starts nothing, and asks the service only while it runs, as a question would start it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::access::Process;
use super::definitions::Servers;
use super::dovecot::Dovecot;
use super::map::{self, Contents};
use super::systemd::{JournaldConfiguration, NO_UNIT, POLICY_SOCKET, SERVICE, Unit, Units};
use super::units::MailUnits;
use crate::config::{self, ConfigError, Loaded, Publish, Settings};
use crate::control::client::{AskError, Service};
use crate::control::protocol::Status;
use crate::daemon::{self, Plan, PlanError};
use crate::journal::own::beginning;
use crate::journal::{Entry, JournalError, Reader, Source};
use crate::postfix::access_map::{AccessMap, kind_at};
use crate::postfix::command::{CommandError, Programs};
use crate::postfix::configuration::Configuration;
use crate::servers::Catalogue;

/// How long each program, and each answer of the service, may take. There are a dozen of them.
const LIMIT: Duration = Duration::from_secs(10);
/// How far back it is looked for what has happened lately.
const LATELY: SignedDuration = SignedDuration::from_hours(24);
/// Where the policy socket is, unless its unit says otherwise.
const POLICY: &str = "/var/spool/postfix/pop-before-smtp/policy";

/// What was looked at.
pub struct Installation {
    pub now: Timestamp,
    pub programs: Programs,
    pub socket: PathBuf,
    pub loaded: Result<Loaded, ConfigError>,
    pub plan: Result<Plan, PlanError>,
    pub units: Result<Units, CommandError>,
    /// When the file of the program that the service's unit runs was put there.
    pub program_changed: Option<Timestamp>,
    pub postfix: Result<Configuration, CommandError>,
    /// How Dovecot is configured, if it is here and that can be read.
    pub dovecot: Option<Dovecot>,
    /// What the service says of itself, if it runs.
    pub asked: Option<Result<Status, AskError>>,
    /// Where the journal that is read begins.
    pub beginning: Option<Result<Option<Timestamp>, JournalError>>,
    /// How the journald that writes it is configured, if it is this host's and can be read.
    pub journald: Option<Result<JournaldConfiguration, CommandError>>,
    /// The mail units that write it, if it is this host's and can be read.
    pub mail: Option<MailUnits>,
    /// The servers, and who has written, if the journal can be read.
    pub servers: Option<Servers>,
    /// The map that is published: the plan's, or what can be told of it without one. None without
    /// Postfix.
    pub map: Option<AccessMap>,
    /// What the map says, if it is there and clients are published in it.
    pub contents: Option<Result<Contents, CommandError>>,
}

impl Installation {
    pub fn look(config: Option<&Path>, socket: &Path) -> Self {
        let programs = Programs {
            limit: LIMIT,
            ..Programs::installed()
        };
        let units = Units::look(&programs);
        let runs = units.as_ref().is_ok_and(|u| u.get(SERVICE).is_active());
        let mut host = Installation {
            now: Timestamp::now(),
            socket: socket.to_owned(),
            loaded: config::load(config),
            plan: Plan::make(config),
            program_changed: None,
            postfix: Configuration::read(&programs),
            dovecot: Dovecot::look(&programs),
            asked: runs.then(|| Service::connect_for(socket, LIMIT)?.status()),
            units,
            programs,
            beginning: None,
            journald: None,
            mail: None,
            servers: None,
            map: None,
            contents: None,
        };
        host.program_changed = program_changed(host.unit(SERVICE));
        host.map = host.find_map();
        host.contents = host.published_map().filter(|m| m.exists()).map(map::read);
        host.look_at_journal();
        host
    }

    fn look_at_journal(&mut self) {
        let Ok(loaded) = &self.loaded else {
            return;
        };
        let settings = &loaded.settings;
        let source = daemon::default_source(settings);
        let catalogue = Catalogue::read(&settings.servers_directory);
        let beginning = beginning(&source);
        // What other hosts do with their journals can't be seen here.
        if beginning.is_ok() && !matches!(source, Source::Directory(_)) {
            let namespace = settings.journal.namespace.as_deref();
            self.journald = Some(JournaldConfiguration::look(&self.programs, namespace));
            let units = self.units.as_ref().ok();
            self.mail = units.map(|units| MailUnits::of(settings, &catalogue, &units.services));
        }
        let sources = daemon::sources(settings);
        self.servers = Servers::look(settings, &catalogue, &sources, self.lately());
        self.beginning = Some(beginning);
    }

    pub fn settings(&self) -> Option<&Settings> {
        self.loaded.as_ref().ok().map(|loaded| &loaded.settings)
    }

    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref().ok()
    }

    pub fn postfix(&self) -> Option<&Configuration> {
        self.postfix.as_ref().ok()
    }

    /// Whether there is no Postfix on this host, as one elsewhere may ask.
    pub fn lacks_postfix(&self) -> bool {
        matches!(self.postfix, Err(CommandError::NotFound { .. }))
    }

    pub fn status(&self) -> Option<&Status> {
        self.asked.as_ref()?.as_ref().ok()
    }

    /// The journal that is read.
    pub fn source(&self) -> Option<Source> {
        self.settings().map(daemon::default_source)
    }

    /// Since when it is looked for what has happened lately.
    pub fn lately(&self) -> Timestamp {
        self.now.checked_sub(LATELY).unwrap_or(Timestamp::MIN)
    }

    /// A unit of ours, or of Postfix's; without properties where there is none.
    pub fn unit(&self, name: &str) -> &Unit {
        self.units.as_ref().map_or(&NO_UNIT, |u| u.get(name))
    }

    /// The service's unit, if systemd knows it.
    pub fn service(&self) -> Option<&Unit> {
        Some(self.unit(SERVICE)).filter(|unit| unit.is_there())
    }

    pub fn runs(&self) -> bool {
        self.unit(SERVICE).is_active()
    }

    /// Where clients are published, if there is a Postfix to see them.
    pub fn publish(&self) -> Option<Publish> {
        self.postfix()?;
        self.map.as_ref()?;
        self.settings().map(|settings| settings.publish)
    }

    /// The access map, if clients are published in it.
    pub fn published_map(&self) -> Option<&AccessMap> {
        self.map
            .as_ref()
            .filter(|_| self.publish().is_some_and(|publish| publish.map))
    }

    /// The path that systemd listens on for Postfix.
    pub fn policy(&self) -> &Path {
        match self.unit(POLICY_SOCKET).get("Listen").split(' ').next() {
            Some(path) if path.starts_with('/') => Path::new(path),
            _ => Path::new(POLICY),
        }
    }

    /// The user as whom Postfix's daemons without privileges run.
    pub fn mail_owner(&self) -> Option<Process> {
        Process::of_user(self.postfix()?.value("mail_owner"), &[])
    }

    fn find_map(&self) -> Option<AccessMap> {
        let map = if let Ok(plan) = &self.plan {
            plan.map.clone()?
        } else {
            let map = &self.settings()?.map;
            let kind = match map.kind {
                Some(kind) => kind,
                None => kind_at(&map.path, &self.programs).ok()?,
            };
            AccessMap::new(&map.path, kind, &map.value)
        };
        Some(AccessMap {
            programs: self.programs.clone(),
            ..map
        })
    }
}

fn program_changed(service: &Unit) -> Option<Timestamp> {
    let text = service.get("ExecStart");
    let path = text.split("path=").nth(1)?.split(' ').next()?;
    let file = fs::metadata(path).ok()?;
    let nanoseconds = i32::try_from(file.ctime_nsec()).ok()?;
    Timestamp::new(file.ctime(), nanoseconds).ok()
}

/// Shows a reader's entries from the last one back, until one is older than `since`, `most` were
/// seen, or `look` has had enough of them.
pub fn read_back(
    reader: &mut Reader,
    since: Timestamp,
    most: usize,
    mut look: impl FnMut(&Entry) -> bool,
) -> Result<(), JournalError> {
    reader.seek_end()?;
    let mut entry = Entry::default();
    for _ in 0..most {
        if !reader.previous()? || reader.time()? < since {
            break;
        }
        reader.read(&mut entry)?;
        if !look(&entry) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
impl Installation {
    /// A host with these units, and with nothing else.
    pub fn with_units(units: Units, program_changed: Option<Timestamp>) -> Self {
        let nowhere = Path::new("/nonexistent/config.toml");
        Installation {
            units: Ok(units),
            program_changed,
            ..Installation::look(Some(nowhere), nowhere)
        }
    }
}
