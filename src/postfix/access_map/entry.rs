//! What an access map may say of a client.
//!
//! Checked when the configuration is read: a word that Postfix does not know makes it answer 451
//! to the very clients that should relay. Must never take a value that could end the line of the
//! source, and begin another.

/// Restrictions that permit without naming a table (postconf(5), smtpd_relay_restrictions).
const PERMITTING: [&str; 7] = [
    "permit_auth_destination",
    "permit_inet_interfaces",
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "permit_tls_all_clientcerts",
    "permit_tls_clientcerts",
    "permit",
];

/// Checks the value of the map: what Postfix says of a listed client (access(5)).
///
/// # Errors
/// Says what is wrong with it, and what to write.
pub fn validate_value(value: &str) -> Result<(), String> {
    const WRITE: &str = "write \"OK\" (the client may relay)";
    let refused = |why: String| Err(format!("{why}; {WRITE}"));
    if value.trim().is_empty() {
        return refused("an empty value lists nobody".to_owned());
    }
    if value != value.trim() {
        return refused(format!("{value:?} begins or ends with a space"));
    }
    if !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        return refused(format!(
            "{value:?} contains a character that is not plain text"
        ));
    }
    if value.len() > 200 {
        return refused("a value of more than 200 characters".to_owned());
    }
    if value.contains(':') {
        return refused(format!(
            "because of the colon, Postfix takes {value:?} for a lookup table and answers 451"
        ));
    }
    let (word, text) = value.split_once(' ').unwrap_or((value, ""));
    let is = |what: &str| word.eq_ignore_ascii_case(what);
    if ["OK", "RELAY", "DUNNO"].into_iter().any(is) {
        return Ok(());
    }
    if PERMITTING.into_iter().any(is) {
        return if text.is_empty() {
            Ok(())
        } else {
            refused(format!(
                "Postfix takes each word after {word:?} for another restriction"
            ))
        };
    }
    if value.bytes().all(|b| b.is_ascii_digit()) {
        let reply = value.len() == 3 && (value.starts_with('4') || value.starts_with('5'));
        return if reply {
            refused(format!("{value} looks like a refusal"))
        } else {
            Ok(())
        };
    }
    let refusals = ["REJECT", "DEFER", "DISCARD", "HOLD"];
    if refusals
        .iter()
        .any(|r| word.to_ascii_uppercase().starts_with(r))
    {
        return refused(format!(
            "{word:?} refuses mail: the map lists whom to let in"
        ));
    }
    refused(format!("{word:?} is not a word that lets a client relay"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_let_a_client_relay_are_taken() {
        for value in [
            "OK",
            "ok",
            "Relay",
            "permit",
            "DUNNO",
            "permit_auth_destination",
            "permit_sasl_authenticated",
            "1732440000",
            "1",
            "OK pop-before-smtp",
        ] {
            assert_eq!(validate_value(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn values_that_do_not_are_refused_with_the_one_to_write() {
        for (value, culprit) in [
            ("", "empty"),
            ("  ", "empty"),
            (" OK", "space"),
            ("OK\n", "space"),
            ("OK\n192 OK", "plain text"),
            ("OK\tx", "plain text"),
            ("ÖK", "plain text"),
            ("OK see http://x", "colon"),
            ("REJECT", "refuses"),
            ("reject_unauth_destination", "refuses"),
            ("DEFER_IF_PERMIT", "refuses"),
            ("450", "like a refusal"),
            ("554", "like a refusal"),
            ("permit, reject", "not a word"),
            ("permit reject", "another restriction"),
            ("yes", "not a word"),
            ("O", "not a word"),
            ("550 no", "not a word"),
        ] {
            let error = validate_value(value).unwrap_err();
            assert!(error.contains(culprit), "{value:?}: {error}");
            assert!(error.contains("write \"OK\""), "{value:?}: {error}");
        }
    }
}
