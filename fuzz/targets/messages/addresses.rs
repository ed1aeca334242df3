//! The addresses in a text, found by looking for them.
//!
//! Must never find one that is a part of another: `92.0.2.1` is not in `192.0.2.10`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pop_before_smtp::client::Client;

/// The longest address in text, with an IPv4 address at its end.
const LONGEST: usize = 45;

/// All addresses that stand in `text` by themselves.
pub fn addresses(text: &[u8]) -> BTreeSet<Client> {
    let is_of_address = |byte: &u8| byte.is_ascii_hexdigit() || b".:".contains(byte);
    let runs = text.split(|byte| !is_of_address(byte));
    runs.flat_map(of_run).collect()
}

/// The addresses in a run of the characters that addresses are of. Others may stand before or behind
/// them at a colon (`user:192.0.2.1`, `192.0.2.1:25`), and a full stop behind.
fn of_run(run: &[u8]) -> impl Iterator<Item = Client> {
    let begins = move |at: &usize| *at == 0 || run[*at - 1] == b':';
    let ends = move |at: &usize| *at == run.len() || matches!(run[*at], b':' | b'.');
    (0..run.len()).filter(begins).flat_map(move |from| {
        let longest = run.len().min(from + LONGEST);
        (from + 2..=longest).filter(ends).filter_map(move |to| {
            let text = std::str::from_utf8(&run[from..to]).ok()?;
            let is_cut = run.get(to) == Some(&b'.') && run.len() > to + 1;
            let address: IpAddr = text.parse().ok()?;
            (!is_cut).then(|| Client::from(address))
        })
    })
}
