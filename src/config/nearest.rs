//! The known key that somebody may have meant.

use strsim::osa_distance;

/// A key that is not known, and those that are.
pub(super) fn nearest<'k>(
    table: &str,
    key: &str,
    known: impl Iterator<Item = &'k str>,
) -> Option<&'k str> {
    let wanted = normal(key);
    let tolerance = (wanted.chars().count() / 3).max(1);
    known
        .map(|candidate| {
            let (its_table, its_key) = candidate.rsplit_once('.').unwrap_or(("", candidate));
            let elsewhere = its_table != table;
            (osa_distance(&wanted, its_key), elsewhere, candidate)
        })
        .filter(|(distance, ..)| *distance <= tolerance)
        .min()
        .map(|(.., candidate)| candidate)
}

/// Kebab-case, as all our keys are.
fn normal(key: &str) -> String {
    key.chars()
        .take(64)
        .flat_map(char::to_lowercase)
        .map(|c| if c == '_' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_meant_is_found() {
        let known = [
            "grace",
            "max-session",
            "limits",
            "limits.clients",
            "map",
            "map.debounce",
        ];
        for (table, key, meant) in [
            ("", "grcae", Some("grace")),
            ("", "max_session", Some("max-session")),
            ("", "MaxSession", Some("max-session")),
            ("", "limit", Some("limits")),
            ("", "debounce", Some("map.debounce")),
            ("map", "debouncing", Some("map.debounce")),
            ("map", "grace", Some("grace")),
            ("limits", "client", Some("limits.clients")),
            ("", "colour", None),
            ("", "", None),
            ("", "Größe", None),
        ] {
            assert_eq!(
                nearest(table, key, known.into_iter()),
                meant,
                "{table} {key}"
            );
        }
    }
}
