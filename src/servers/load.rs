//! Finds definitions: the built-in ones, and those of servers.d, which add to or replace them.
//!
//! The only file of this room that reads files.

use std::fmt;
use std::path::{Path, PathBuf};

use super::definition::{BUILT_IN_MARK, Definition, Fault};
use crate::excerpt::{Place, harmless};

/// The built-in definitions, name and text, by name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("apple-mail", include_str!("apple-mail.toml")),
    ("courier", include_str!("courier.toml")),
    ("cucipop", include_str!("cucipop.toml")),
    ("cyrus", include_str!("cyrus.toml")),
    ("dbmail", include_str!("dbmail.toml")),
    ("dovecot", include_str!("dovecot.toml")),
    ("macosx-server", include_str!("macosx-server.toml")),
    ("mailutils", include_str!("mailutils.toml")),
    ("nginx", include_str!("nginx.toml")),
    ("perdition", include_str!("perdition.toml")),
    ("popa3d", include_str!("popa3d.toml")),
    ("qpopper", include_str!("qpopper.toml")),
    ("solid-pop3d", include_str!("solid-pop3d.toml")),
    ("stalwart", include_str!("stalwart.toml")),
    ("teapop", include_str!("teapop.toml")),
    ("tpop3d", include_str!("tpop3d.toml")),
    ("uw-imap", include_str!("uw-imap.toml")),
    ("vm-pop3d", include_str!("vm-pop3d.toml")),
    ("vpopmail", include_str!("vpopmail.toml")),
    ("zimbra", include_str!("zimbra.toml")),
];

/// The largest definition that is read, in bytes.
const LARGEST_DEFINITION: u64 = 1 << 20;

/// A definition can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its text is wrong.
    #[error("{0}")]
    Wrong(Complaints),
    /// No definition has this name.
    #[error("servers: there is no definition of '{name}'; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
}

/// Everything that is wrong with one definition.
#[derive(Debug)]
pub struct Complaints(Vec<Complaint>);

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, complaint) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{complaint}")?;
        }
        Ok(())
    }
}

impl Complaints {
    fn new(file: &str, text: &str, faults: Vec<Fault>) -> Self {
        let complaints = faults.into_iter().map(|Fault { span, message }| Complaint {
            file: file.to_owned(),
            place: span.map(|span| Place::of(text, &span)),
            message: harmless(&message),
        });
        Complaints(complaints.collect())
    }
}

/// A fault, shown with file, line, column and a mark under it.
#[derive(Debug)]
struct Complaint {
    file: String,
    place: Option<Place>,
    message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Complaint {
            file,
            place,
            message,
        } = self;
        match place {
            None => write!(f, "{file}: {message}"),
            Some(place) => {
                let (line, column) = (place.line, place.column);
                write!(f, "{file}:{line}:{column}: {message}\n{place}")
            }
        }
    }
}

/// A definition, and the text that it was read from.
#[derive(Debug)]
pub struct LoadedDefinition {
    /// The definition.
    pub definition: Definition,
    /// Its text, as it is in its file.
    pub text: String,
    /// Its file; `None` for a built-in one.
    pub file: Option<PathBuf>,
}

/// All definitions, sorted by name; those of `directory` (`*.toml`; it need not exist) replace
/// built-in ones of the same name.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Those that can be used.
    pub definitions: Vec<LoadedDefinition>,
    /// Those that can't, and why.
    pub errors: Vec<DefinitionError>,
}

impl Catalogue {
    /// Reads and checks every definition.
    #[must_use]
    pub fn read(directory: &Path) -> Self {
        let mut catalogue = Catalogue::default();
        match files(directory) {
            Ok(files) => files.into_iter().for_each(|file| catalogue.add_file(file)),
            Err(error) => catalogue.errors.push(error),
        }
        for (name, text) in BUILT_IN {
            if catalogue.get(name).is_none() {
                match parse(&format!("{name}.toml{BUILT_IN_MARK}"), text) {
                    Ok(definition) => catalogue.definitions.push(LoadedDefinition {
                        definition,
                        text: (*text).to_owned(),
                        file: None,
                    }),
                    Err(error) => catalogue.errors.push(error),
                }
            }
        }
        let name = |loaded: &LoadedDefinition| loaded.definition.name.clone();
        catalogue.definitions.sort_by_key(name);
        catalogue
    }

    /// The definition of a server.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&LoadedDefinition> {
        (self.definitions.iter()).find(|loaded| loaded.definition.name == name)
    }

    /// The names of all servers, for a sentence.
    #[must_use]
    pub fn names(&self) -> String {
        let names = self.definitions.iter().map(|l| l.definition.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    fn add_file(&mut self, path: PathBuf) {
        let read =
            read(&path).and_then(|text| Ok((parse(&path.display().to_string(), &text)?, text)));
        let (definition, text) = match read {
            Ok(read) => read,
            Err(error) => return self.errors.push(error),
        };
        if let Some(other) = self.get(&definition.name) {
            let message = format!(
                "the server '{}' is defined in {} already: keep one of the two",
                definition.name, other.definition.origin
            );
            let span = None;
            let complaints =
                Complaints::new(&definition.origin, &text, vec![Fault { span, message }]);
            return self.errors.push(DefinitionError::Wrong(complaints));
        }
        self.definitions.push(LoadedDefinition {
            definition,
            text,
            file: Some(path),
        });
    }
}

/// Loads the definitions of the servers `names`, from the built-in ones and from `directory`.
///
/// Every file of the directory is checked, including those of servers that are not named.
///
/// # Errors
/// The first definition that can't be read or is wrong, or the first name without a definition.
pub fn load(names: &[String], directory: &Path) -> Result<Vec<Definition>, DefinitionError> {
    let mut catalogue = Catalogue::read(directory);
    if !catalogue.errors.is_empty() {
        return Err(catalogue.errors.swap_remove(0));
    }
    let definition = |name: &String| match catalogue.get(name) {
        Some(loaded) => Ok(loaded.definition.clone()),
        None => Err(DefinitionError::Unknown {
            name: name.clone(),
            known: catalogue.names(),
        }),
    };
    names.iter().map(definition).collect()
}

fn unreadable(path: &Path, source: std::io::Error) -> DefinitionError {
    DefinitionError::Unreadable {
        path: path.to_owned(),
        source,
    }
}

/// The definitions' files in a directory, sorted.
fn files(directory: &Path) -> Result<Vec<PathBuf>, DefinitionError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(directory, e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unreadable(directory, e))?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|e| e == "toml") && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, DefinitionError> {
    let size = std::fs::metadata(path)
        .map_err(|e| unreadable(path, e))?
        .len();
    if size > LARGEST_DEFINITION {
        let source = std::io::Error::other("larger than any definition (1 MiB)");
        return Err(unreadable(path, source));
    }
    std::fs::read_to_string(path).map_err(|e| unreadable(path, e))
}

fn parse(file: &str, text: &str) -> Result<Definition, DefinitionError> {
    match Definition::parse(text) {
        Ok(definition) => Ok(Definition {
            origin: file.to_owned(),
            ..definition
        }),
        Err(faults) => Err(DefinitionError::Wrong(Complaints::new(file, text, faults))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"name = "mine"
description = "My own server"
identifiers = ["mine"]
[senders]
users = ["root"]
units = ["mine.service"]
[[login]]
pattern = 'login {user} from {client}$'
"#;

    fn own_file(text: &str) -> Result<Vec<Definition>, DefinitionError> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("mine.toml"), text).unwrap();
        std::fs::write(directory.path().join(".hidden.toml"), "junk").unwrap();
        std::fs::write(directory.path().join("README"), "junk").unwrap();
        load(&["mine".to_owned(), "dovecot".to_owned()], directory.path())
    }

    #[test]
    fn own_definitions_add_to_the_built_in_ones() {
        let names: Vec<_> = own_file(OWN).unwrap().into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["mine", "dovecot"]);
        let missing = load(&["dovecot".to_owned()], Path::new("/nonexistent/servers.d")).unwrap();
        assert_eq!(missing.len(), 1);
    }

    #[test]
    fn an_own_definition_replaces_a_built_in_one() {
        let directory = tempfile::tempdir().unwrap();
        let text = OWN.replace("name = \"mine\"", "name = \"dovecot\"");
        std::fs::write(directory.path().join("x.toml"), text).unwrap();
        let loaded = load(&["dovecot".to_owned()], directory.path()).unwrap();
        assert_eq!(loaded[0].description, "My own server");
    }

    #[test]
    fn errors_name_file_line_and_column() {
        for (from, to, at, says) in [
            ("{client}", "nowhere", ":8:11: ", "write {client}"),
            (
                "{client}",
                "{clint}",
                ":8:30: ",
                "unknown placeholder {clint}",
            ),
            ("{client}", "({client}", ":8:30: ", "unclosed group"),
            ("\"root\"", "\"*\"", ":4:1: ", "no unit may be"),
            ("mine.service", "*", ":4:1: ", "no unit may be"),
            ("\"mine\"\nd", "\"My Own\"\nd", ":1:8: ", "lower-case"),
            ("\"mine\"\nd", "\"manual\"\nd", ":1:8: ", "by hand"),
            ("[\"mine\"]", "[]", ":3:15: ", "SYSLOG_IDENTIFIER"),
            ("pattern =", "patern =", ":8:1: ", "unknown field `patern`"),
        ] {
            let text = OWN.replacen(from, to, 1);
            // Users of any kind are fine with a unit; only the pair of the two is not.
            let text = if from == "\"root\"" {
                text.replace("\"mine.service\"", "")
            } else {
                text
            };
            let error = own_file(&text).unwrap_err().to_string();
            assert!(error.contains("/mine.toml:"), "{error}");
            assert!(
                error.contains(at) && error.contains(says),
                "{from} → {to}: {error}"
            );
            assert!(error.trim_end().ends_with('^'), "{error}");
        }
        let text = OWN.replacen("mine\"\n[", "mi\\u001bne\" # \u{1b}]0;x\u{7}\n[", 1);
        let text = text.replacen("identifiers = [\"", "identifiers = [5, \"", 1);
        let error = own_file(&text).unwrap_err().to_string();
        assert!(!error.contains(['\u{1b}', '\u{7}']), "{error:?}");
        let error = load(&["nosuch".to_owned()], Path::new("/nonexistent")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("there are: "), "{error}");
        assert!(error.contains(", dovecot, "), "{error}");
    }
}
