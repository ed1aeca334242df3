//! What the service answers, as JSON for programs.
//!
//! The keys are in kebab-case, as the configuration's are; the control interface can't have
//! hyphens in names, and has them in camel case.

use serde::Serialize;
use serde_json::Value;

/// An answer of the service, with the names that the command line promises.
///
/// # Errors
/// When it can't be expressed as JSON.
pub fn of<T: Serialize>(answer: &T) -> std::io::Result<Value> {
    let mut value = serde_json::to_value(answer)?;
    rename(&mut value);
    Ok(value)
}

/// Keys only: no value of ours is a name. (But for the kinds of events, which are told apart by
/// `kind`.)
fn rename(value: &mut Value) {
    match value {
        Value::Object(object) => {
            *object = std::mem::take(object)
                .into_iter()
                .map(|(key, mut value)| {
                    rename(&mut value);
                    if key == "kind"
                        && let Value::String(kind) = &mut value
                    {
                        *kind = kebab(kind);
                    }
                    (kebab(&key), value)
                })
                .collect();
        }
        Value::Array(array) => array.iter_mut().for_each(rename),
        _ => {}
    }
}

fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_but_no_other_value() {
        let answer = serde_json::json!({
            "lastLogin": {"user": "aliceB", "kind": "notPublished"},
            "all": [{"caughtUp": true}, "camelCase"],
        });
        let expected = serde_json::json!({
            "last-login": {"user": "aliceB", "kind": "not-published"},
            "all": [{"caught-up": true}, "camelCase"],
        });
        assert_eq!(of(&answer).unwrap(), expected);
    }
}
