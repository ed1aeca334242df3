//! The plan: everything that a configuration decides, made ready to be put in force.
//!
//! Made as a whole or not at all, at the start and at each reload, and by `check-config`: what
//! passes there is what the service takes. Changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::carrier;
use crate::config::{self, ConfigError, JournalSettings, Loaded, PermittedNetworks, Settings};
use crate::diagnostics::{self, SourceNames};
use crate::intake::{Senders, Taker};
use crate::journal::Source;
use crate::networks::Networks;
use crate::origin::Id;
use crate::postfix::access_map::{AccessMap, kind_at};
use crate::postfix::command::{CommandError, Programs};
use crate::postfix::postconf::{self, PostconfError};
use crate::servers::{
    self, BrokenExample, Definition, DefinitionError, Recogniser, Unknown, Users, check_examples,
};
use crate::store::{Heard, InForce};
use crate::whitelist::Rules;

/// The variable that names a file with the value of mynetworks as computed outside the sandbox.
const MYNETWORKS: &str = "POP_BEFORE_SMTP_MYNETWORKS";

const NO_MAP: &str = "publish: there is no Postfix on this host, and so no access map: where Postfix is in \
    a container or on another host, set publish = [\"policy\"]; otherwise install it, and restart this \
    service";
const NO_MYNETWORKS: &str = "permitted-networks: there is no Postfix on this host to be asked for its \
    mynetworks, so clients in them are listed as well: write a list of networks, which may be []";

/// A configuration that can be put in force.
#[derive(Debug)]
pub struct Plan {
    /// The settings.
    pub settings: Settings,
    /// The rules of the whitelist.
    pub rules: Rules,
    /// The definitions of the servers that are on.
    pub recogniser: Arc<Recogniser>,
    /// The journals that are read. The first is the one that needs no name.
    pub sources: Vec<NamedSource>,
    /// The access map that is published; none without a Postfix on this host.
    pub map: Option<AccessMap>,
    /// What is odd, but taken.
    pub warnings: Vec<String>,
}

/// A source: a journal that is read, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSource {
    /// Its name, but for that of `[journal]`.
    pub name: Option<String>,
    /// Which journal it is.
    pub journal: Source,
    /// The numbers of users on the host that wrote it, if that is another one.
    pub users: Option<Users>,
}

impl NamedSource {
    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What stands for it in an origin, and in the store.
    #[must_use]
    pub fn id(&self) -> Id {
        self.name().map_or(Id::DEFAULT_SOURCE, Id::of_name)
    }

    /// Takes in its entries.
    #[must_use]
    pub fn taker(&self, recogniser: &Arc<Recogniser>, senders: Senders, unknown: Unknown) -> Taker {
        Taker::new(recogniser.clone(), senders, unknown).of_source(self.id(), self.users.as_ref())
    }

    /// Its name, if its journal is carried here by us.
    #[must_use]
    pub fn store(&self) -> Option<&str> {
        let name = self.name()?;
        let is_carried = |path: &PathBuf| *path == Path::new(carrier::DIRECTORY).join(name);
        matches!(&self.journal, Source::Directory(path) if is_carried(path)).then_some(name)
    }

    /// Whether it tells of this host.
    #[must_use]
    pub fn is_of_this_host(&self) -> bool {
        matches!(self.journal, Source::Host | Source::Namespace(_))
    }
}

impl fmt::Display for NamedSource {
    /// What it is called in a list of all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("journal"))
    }
}

/// A configuration can't be put in force.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A server's definition is wrong.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A definition does not keep its own promises.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Example(Vec<BrokenExample>),
    /// This Postfix has no such maps.
    #[error(
        "map.type: this Postfix does not support {wanted}, only {supported}; install \
         postfix-{wanted}, or choose another type"
    )]
    MapType {
        /// The type that was asked for.
        wanted: String,
        /// The types that there are.
        supported: String,
    },
    /// Postfix can't be asked.
    #[error(transparent)]
    Postfix(#[from] CommandError),
    /// Postfix has no map type that we can use.
    #[error(transparent)]
    NoMapType(#[from] PostconfError),
}

impl PlanError {
    /// Whether an administrator has to change the configuration. The rest may pass by itself.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        !matches!(self, Self::Postfix(_) | Self::NoMapType(_))
    }
}

impl Plan {
    /// Reads the configuration (`file`, or the usual files) and makes everything ready.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn make(file: Option<&Path>) -> Result<Self, PlanError> {
        Self::with(file, &Programs::installed())
    }

    /// The same, for the Postfix with these programs.
    fn with(file: Option<&Path>, programs: &Programs) -> Result<Self, PlanError> {
        let Loaded {
            settings, warnings, ..
        } = config::load(file)?;
        let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let recogniser = Arc::new(recogniser(&settings)?);
        let has_postfix = programs.have_postfix();
        let map = if has_postfix {
            Some(access_map(&settings, programs.clone())?)
        } else {
            None
        };
        if map.is_none() && settings.publish.map {
            warnings.push(NO_MAP.to_owned());
        }
        let permitted = match &settings.permitted_networks {
            PermittedNetworks::List(networks) => Networks::from(networks.clone()),
            PermittedNetworks::Postfix if !has_postfix => {
                warnings.push(NO_MYNETWORKS.to_owned());
                Networks::default()
            }
            PermittedNetworks::Postfix => {
                let computed = std::env::var_os(MYNETWORKS).map(PathBuf::from);
                let (networks, odd) = postconf::mynetworks(programs, computed.as_deref())?;
                warnings.extend(odd);
                networks
            }
        };
        if settings.policy.ipv6_prefix < 128 && settings.publish.map {
            warnings.push(format!(
                "policy.ipv6-prefix: the access map lists single addresses all the same; only the \
                 policy socket takes /{} networks together",
                settings.policy.ipv6_prefix
            ));
        }
        let everybody = |network: &&ipnet::IpNet| network.prefix_len() == 0;
        if let Some(network) = settings.policy.relays.iter().find(everybody) {
            warnings.push(format!(
                "policy.relays: with {network}, everybody who reaches the socket learns which addresses \
                 may relay"
            ));
        }
        Ok(Plan {
            rules: Rules {
                grace: signed(settings.grace),
                max_session: signed(settings.max_session),
                limits: settings.limits,
                permitted,
                never: Networks::from(settings.never.clone()),
            },
            sources: sources(&settings),
            recogniser,
            map,
            settings,
            warnings,
        })
    }

    /// What the store is to remember of it; nothing without a map.
    #[must_use]
    pub fn in_force(&self) -> Option<InForce> {
        let Plan { map, settings, .. } = self;
        let map = map.as_ref()?;
        Some(InForce {
            path: map.path.clone(),
            kind: map.kind,
            value: map.value.clone(),
            grace: settings.grace,
            max_session: settings.max_session,
        })
    }

    /// What is heard of whom, beside what definitions say.
    #[must_use]
    pub fn heard(&self) -> Heard {
        let senders = self.settings.senders.iter();
        let sources = self.sources.iter();
        Heard {
            senders: senders
                .map(|(server, senders)| (server.clone(), senders.heard()))
                .collect(),
            journals: sources
                .map(|source| (source.id(), source.journal.to_string()))
                .collect(),
        }
    }

    /// Tells what is odd, but taken.
    pub fn tell_warnings(&self) {
        for warning in &self.warnings {
            diagnostics::warning(warning);
        }
    }

    /// Writes as much to the journal from now on as it says.
    pub fn put_log_level_in_force(&self) {
        diagnostics::set_level(diagnostics::level_for(self.settings.log_level));
    }
}

/// The definitions that are on, compiled. The examples of own ones must hold; those of built-in
/// ones held when the program was made.
///
/// # Errors
/// The first definition that is wrong.
pub fn recogniser(settings: &Settings) -> Result<Recogniser, PlanError> {
    let definitions = servers::load(&settings.servers, &settings.servers_directory)?;
    check_all_examples(
        definitions
            .iter()
            .filter(|definition| !definition.is_built_in()),
    )?;
    Ok(Recogniser::new(definitions, &settings.senders, |user| {
        uzers::get_user_by_name(user).map(|user| user.uid())
    }))
}

/// Runs the examples of definitions. Returns how many there are.
///
/// # Errors
/// Those of all definitions that do not hold.
pub fn check_all_examples<'a>(
    definitions: impl IntoIterator<Item = &'a Definition>,
) -> Result<usize, PlanError> {
    let (mut held, mut broken) = (0, Vec::new());
    for definition in definitions {
        match check_examples(definition) {
            Ok(number) => held += number,
            Err(examples) => broken.extend(examples),
        }
    }
    if broken.is_empty() {
        Ok(held)
    } else {
        Err(PlanError::Example(broken))
    }
}

/// The journals that are read. The first is the one that needs no name.
#[must_use]
pub fn sources(settings: &Settings) -> Vec<NamedSource> {
    let default = NamedSource {
        name: None,
        journal: default_source(settings),
        users: None,
    };
    let named = (settings.sources.iter()).map(|(name, source)| NamedSource {
        name: Some(name.clone()),
        journal: journal(source.directory.as_ref(), source.namespace.as_ref()),
        users: source.directory.is_some().then(|| source.users.clone()),
    });
    [default].into_iter().chain(named).collect()
}

/// What these sources are called in messages.
#[must_use]
pub fn source_names(sources: &[NamedSource]) -> SourceNames {
    SourceNames::new(
        sources
            .iter()
            .map(|source| (source.id(), source.to_string())),
    )
}

/// The journal of `[journal]`.
#[must_use]
pub fn default_source(settings: &Settings) -> Source {
    let JournalSettings {
        directory,
        namespace,
        ..
    } = &settings.journal;
    journal(directory.as_ref(), namespace.as_ref())
}

fn journal(directory: Option<&PathBuf>, namespace: Option<&String>) -> Source {
    match (directory, namespace) {
        (Some(directory), _) => Source::Directory(directory.clone()),
        (None, Some(namespace)) => Source::Namespace(namespace.clone()),
        (None, None) => Source::Host,
    }
}

fn access_map(settings: &Settings, programs: Programs) -> Result<AccessMap, PlanError> {
    let kind = match settings.map.kind {
        None => kind_at(&settings.map.path, &programs)?,
        Some(kind) => {
            let supported = postconf::supported_types(&programs)?;
            if !supported.contains(&kind) {
                let names: Vec<_> = supported.iter().map(|kind| kind.name()).collect();
                return Err(PlanError::MapType {
                    wanted: kind.to_string(),
                    supported: names.join(", "),
                });
            }
            kind
        }
    };
    Ok(AccessMap {
        programs,
        ..AccessMap::new(&settings.map.path, kind, &settings.map.value)
    })
}

/// Settings are checked to be far from overflowing.
fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plan that a configuration makes where there is no Postfix.
    fn without_postfix(configuration: &str) -> Plan {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        std::fs::write(&file, configuration).unwrap();
        let nowhere = Programs {
            directories: vec![directory.path().to_owned()],
            ..Programs::installed()
        };
        let plan = Plan::with(Some(&file), &nowhere).unwrap();
        assert!(plan.map.is_none() && plan.in_force().is_none());
        plan
    }

    #[test]
    fn without_postfix_each_key_that_wants_it_is_told_once() {
        let keys = |configuration: &str| {
            let warnings = without_postfix(configuration).warnings.into_iter();
            let keys = warnings.map(|w| w.split(':').next().unwrap_or_default().to_owned());
            keys.collect::<Vec<_>>()
        };
        assert_eq!(keys(""), ["publish", "permitted-networks"]);
        let policy = "publish = [\"policy\"]\n";
        assert_eq!(keys(policy), ["permitted-networks"]);
        let alone = format!("{policy}permitted-networks = []\n[map]\ntype = \"cdb\"\n");
        assert!(keys(&alone).is_empty());
    }
}
