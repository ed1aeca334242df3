//! A store and a relay that are joined, set up as the README says.

use crate::host::Host;
use crate::image::{Release, Servers};

/// Where the store and the relay are reached in their own network.
pub const STORE: &str = "198.18.0.1";
pub const RELAY: &str = "198.18.0.2";
/// Where the store's policy service listens there.
pub const PORT: u16 = 10040;

/// A store with nothing of ours, and a relay with the package and these settings.
pub fn store_and_relay(release: Release, settings: &str) -> (Host, Host) {
    let store = Host::boot_with(release, Servers::Ssh);
    let relay = Host::with_service_and(release, Servers::Ssh, settings);
    store.join(STORE, &[(&relay, &[RELAY])]);
    (store, relay)
}

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

/// The settings of a store that answers the relay's questions.
pub fn answers() -> String {
    format!("publish = [\"policy\"]\npolicy.relays = [\"{RELAY}\"]\n")
}

/// What the README has for a store that is asked: its service listens in the network of the relays.
pub fn listen(store: &Host) {
    store.write_file(
        "/etc/systemd/system/pop-before-smtp-policy-inet.socket.d/address.conf",
        &format!("[Socket]\nListenStream=\nListenStream={STORE}:{PORT}\n"),
    );
    store.sh("systemctl daemon-reload
         systemctl enable pop-before-smtp-policy-inet.socket
         systemctl restart pop-before-smtp");
}
