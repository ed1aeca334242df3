//! A store and a relay that are joined, set up as the README says.

use crate::host::Host;

/// What the README has for a relay and a store: `store add`, and what that prints.
pub fn add_store(relay: &Host, name: &str, store: &Host, address: &str) {
    let key = store.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    let add = |fingerprint| {
        let add = ["pop-before-smtp", "store", "add", name, "--host", address];
        relay.try_run(&[&add[..], &["--fingerprint", fingerprint]].concat())
    };
    // A key that is not the store's is not taken.
    let fingerprint = key.split(' ').nth(1).unwrap();
    let wrong = add("SHA256:x");
    assert_eq!(wrong.code, Some(1), "{}", wrong.transcript());
    assert!(wrong.stderr.contains(fingerprint), "{}", wrong.transcript());
    let added = add(fingerprint);
    assert!(added.succeeded(), "{}", added.transcript());
    let (there, here) = added.stdout.split_once("\n\n").unwrap();
    store.sh(&format!("set -e\n{there}"));
    relay.sh(&format!("set -e\n{here}"));
}
