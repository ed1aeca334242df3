//! Finds definitions: the built-in ones, and those of servers.d, which add to or replace them.
//!
//! The only place of this room that reads files.

use std::fmt;
use std::path::{Path, PathBuf};

use super::definition::{Definition, Fault};

/// The built-in definitions: name and text.
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
    ("teapop", include_str!("teapop.toml")),
    ("uw-imap", include_str!("uw-imap.toml")),
    ("vm-pop3d", include_str!("vm-pop3d.toml")),
    ("vpopmail", include_str!("vpopmail.toml")),
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
    Wrong(Complaint),
    /// Nothing defines a server of this name.
    #[error("servers: there is no definition of '{name}'; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
}

/// A fault, shown with file, line, column and a caret.
#[derive(Debug)]
pub struct Complaint {
    file: String,
    line: usize,
    column: usize,
    source_line: String,
    message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Complaint {
            file,
            line,
            column,
            source_line,
            message,
        } = self;
        if *line == 0 {
            return write!(f, "{file}: {message}");
        }
        writeln!(f, "{file}:{line}:{column}: {message}")?;
        let margin = line.to_string().len();
        writeln!(f, "{line} | {source_line}")?;
        write!(f, "{:margin$} | {:>column$}", "", "^")
    }
}

impl Complaint {
    fn new(file: &str, text: &str, fault: Fault) -> Self {
        let (line, column, source_line) = match fault.span {
            Some(span) => {
                let before = text.get(..span.start).unwrap_or(text);
                let start = before.rfind('\n').map_or(0, |at| at + 1);
                (
                    before.matches('\n').count() + 1,
                    before[start..].chars().count() + 1,
                    text[start..].lines().next().unwrap_or_default().to_owned(),
                )
            }
            None => (0, 0, String::new()),
        };
        Complaint {
            file: file.to_owned(),
            line,
            column,
            source_line,
            message: fault.message,
        }
    }
}

/// Loads the definitions of the servers `names`, from the built-in ones and from `directory`
/// (`*.toml`; it need not exist), where one replaces a built-in one of the same name.
///
/// Every file of the directory is checked, also of servers that are not named.
///
/// # Errors
/// The first definition that can't be read or is wrong, or the first name that nothing defines.
pub fn load(names: &[String], directory: &Path) -> Result<Vec<Definition>, DefinitionError> {
    let mut definitions = own(directory)?;
    for (name, text) in BUILT_IN {
        if !definitions.iter().any(|d| d.name == *name) {
            definitions.push(parse(&format!("{name}.toml (built in)"), text)?);
        }
    }
    names
        .iter()
        .map(|name| {
            let at = definitions
                .iter()
                .position(|d| d.name == *name)
                .ok_or_else(|| {
                    let mut known: Vec<_> = definitions.iter().map(|d| d.name.as_str()).collect();
                    known.sort_unstable();
                    DefinitionError::Unknown {
                        name: name.clone(),
                        known: known.join(", "),
                    }
                })?;
            Ok(definitions.swap_remove(at))
        })
        .collect()
}

fn own(directory: &Path) -> Result<Vec<Definition>, DefinitionError> {
    let unreadable = |path: &Path, source| DefinitionError::Unreadable {
        path: path.to_owned(),
        source,
    };
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
    let mut definitions: Vec<(PathBuf, Definition)> = Vec::new();
    for path in files {
        let size = std::fs::metadata(&path)
            .map_err(|e| unreadable(&path, e))?
            .len();
        if size > LARGEST_DEFINITION {
            let source = std::io::Error::other("larger than any definition (1 MiB)");
            return Err(unreadable(&path, source));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
        let definition = parse(&path.display().to_string(), &text)?;
        if let Some((other, _)) = definitions.iter().find(|(_, d)| d.name == definition.name) {
            let message = format!(
                "the server '{}' is defined in {} already: keep one of the two",
                definition.name,
                other.display()
            );
            let fault = Fault {
                span: None,
                message,
            };
            return Err(DefinitionError::Wrong(Complaint::new(
                &path.display().to_string(),
                &text,
                fault,
            )));
        }
        definitions.push((path, definition));
    }
    Ok(definitions.into_iter().map(|(_, d)| d).collect())
}

fn parse(file: &str, text: &str) -> Result<Definition, DefinitionError> {
    Definition::parse(text)
        .map_err(|fault| DefinitionError::Wrong(Complaint::new(file, text, fault)))
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
                ":8:11: ",
                "unknown placeholder {clint}",
            ),
            ("{client}", "({client}", ":8:11: ", "unclosed group"),
            ("\"root\"", "\"*\"", ":4:1: ", "no unit may be"),
            ("mine.service", "*", ":4:1: ", "no unit may be"),
            ("\"mine\"\nd", "\"My Own\"\nd", ":1:8: ", "lower-case"),
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
        let error = load(&["nosuch".to_owned()], Path::new("/nonexistent")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("there are: "), "{error}");
        assert!(error.contains(", dovecot, "), "{error}");
    }
}
