//! What an operator lists and revokes by hand.

use super::model::Kept;
use super::*;
use std::net::IpAddr;

#[test]
fn a_client_is_listed_until_the_later_of_hand_and_login() {
    let mut whitelist = Whitelist::new(rules());
    let generation = whitelist.generation();
    whitelist.allow(client(10), grant(0, 100)).unwrap();
    assert!(whitelist.generation() > generation);
    assert_eq!(whitelist.len(), 1);
    assert_eq!(next_end(&whitelist), Some(at(100)));
    apply(&mut whitelist, &login(50, 10, Some("a")));
    assert!(whitelist.expire_manual(at(100)).is_empty());
    apply(&mut whitelist, &logout(200, "a"));
    // A logout takes nothing from what the hand has given, nor a new grant from the login.
    whitelist
        .allow(client(10), grant(200, 200 + 2 * GRACE))
        .unwrap();
    apply(&mut whitelist, &login(300, 10, Some("b")));
    apply(&mut whitelist, &logout(301, "b"));
    assert_eq!(expire(&mut whitelist, at(301 + GRACE)).len(), 1);
    assert_eq!(listed(&whitelist), ["192.0.2.10"]);
    let may = |second| whitelist.may_relay(client(10), 128, at(second)).is_some();
    assert!(may(199 + 2 * GRACE));
    assert!(!may(200 + 2 * GRACE));
    assert_eq!(whitelist.expire_manual(at(200 + 2 * GRACE)).len(), 1);
    assert!(whitelist.is_empty());
    assert_eq!(whitelist.next_deadline(), None);
}

#[test]
fn whom_the_hand_may_not_list() {
    let limits = Limits {
        clients: 2,
        ..rules().limits
    };
    let mut whitelist = Whitelist::new(Rules { limits, ..rules() });
    let longest = LONGEST_GRANT.as_secs();
    for (address, until, why) in [
        ("192.0.2.201", 60, NotAllowed::Rules(Refusal::Permitted)),
        ("192.0.2.100", 60, NotAllowed::Rules(Refusal::Never)),
        ("127.0.0.1", 60, NotAllowed::Rules(Refusal::NotARemoteHost)),
        ("::", 60, NotAllowed::Rules(Refusal::NotARemoteHost)),
        ("ff02::1", 60, NotAllowed::Rules(Refusal::NotARemoteHost)),
        ("192.0.2.10", 0, NotAllowed::Past),
        ("192.0.2.10", longest + 1, NotAllowed::TooLong),
    ] {
        let refused = whitelist.allow(address.parse().unwrap(), grant(0, until));
        assert_eq!(refused.unwrap_err(), why, "{address}");
    }
    assert!(whitelist.take_manual_change().is_none());
    whitelist.allow(client(10), grant(0, longest)).unwrap();
    apply(&mut whitelist, &login(0, 11, None));
    assert_eq!(
        whitelist.allow(client(12), grant(0, 60)).unwrap_err(),
        NotAllowed::Rules(Refusal::TooManyClients)
    );
    // Who is listed already takes no more room.
    whitelist.allow(client(11), grant(0, 60)).unwrap();
    whitelist.allow(client(10), grant(0, 60)).unwrap();
    assert_eq!(next_end(&whitelist), Some(at(60)));
}

#[test]
fn other_rules_take_from_the_hand_too() {
    let mut whitelist = Whitelist::new(rules());
    whitelist.allow(client(10), grant(0, 60)).unwrap();
    whitelist.take_manual_change();
    let never = Networks::from(vec!["192.0.2.10/32".parse().unwrap()]);
    let refused = whitelist.set_rules(Rules { never, ..rules() });
    assert_eq!(refused, [(client(10), Refusal::Never)]);
    assert!(whitelist.is_empty());
    assert!(whitelist.take_manual_change().unwrap().grants.is_empty());
}

#[test]
fn a_network_is_revoked_from_its_first_address_to_its_last() {
    let inside = ["192.0.2.8", "192.0.2.15", "2001:db8::", "2001:db8:0:ff::1"];
    let outside = [
        "192.0.2.7",
        "192.0.2.16",
        "2001:db7:ffff::",
        "2001:db8:0:100::",
    ];
    let mut whitelist = Whitelist::new(rules());
    for address in inside.iter().chain(&outside) {
        whitelist
            .allow(address.parse().unwrap(), grant(0, 60))
            .unwrap();
    }
    for (network, found) in [
        ("192.0.2.8/29", 2),
        ("2001:db8::/56", 2),
        ("2001:db8::/56", 0),
    ] {
        let scope = network.parse().unwrap();
        assert_eq!(whitelist.revoke(&scope, 0, at(1)).unwrap().len(), found);
    }
    assert_eq!(listed(&whitelist), outside);
    let everybody = "0.0.0.0/0".parse().unwrap();
    assert_eq!(whitelist.revoke(&everybody, 0, at(2)).unwrap().len(), 2);
    assert_eq!(listed(&whitelist), outside[2..]);
}

#[test]
fn what_is_revoked_does_not_come_back_by_itself() {
    let mut whitelist = Whitelist::new(rules());
    let before = [login(0, 10, Some("a")), login(5, 10, None)];
    for event in &before {
        apply(&mut whitelist, event);
    }
    apply(&mut whitelist, &login(6, 11, Some("b")));
    let removed = whitelist.revoke(&client(10).into(), 0, at(10)).unwrap();
    assert_eq!(removed, [client(10)]);
    assert_eq!(whitelist.open_sessions(), 1);
    // The session was open: its logout starts no grace; and its login may be read again.
    for event in before.iter().chain([&logout(20, "a")]) {
        whitelist.apply(event, at(20));
    }
    let late = whitelist.apply(&login(10, 10, Some("c")), at(20));
    assert_eq!(late, Outcome::Refused(client(10), Refusal::Revoked));
    assert_eq!(listed(&whitelist), ["192.0.2.11"]);
    assert_eq!(
        apply(&mut whitelist, &login(21, 10, None)),
        Outcome::Added(client(10))
    );
    // Once no login can be old enough, it is forgotten.
    whitelist.expire_manual(at(9 + MAX_SESSION + GRACE));
    assert_eq!(whitelist.manual().revocations.len(), 1);
    whitelist.expire_manual(at(10 + MAX_SESSION + GRACE));
    assert_eq!(whitelist.manual().revocations, []);
}

#[test]
fn a_revocation_counts_for_a_store_that_has_not_heard_of_it() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("a")));
    apply(&mut whitelist, &login(0, 11, None));
    let mut kept = Kept::default();
    kept.take(&whitelist.take_delta(usize::MAX));
    let revoked = whitelist.revoke(&client(10).into(), 0, at(1)).unwrap();
    let mut restored = kept.restored(rules());
    assert_eq!(restored.set_manual(whitelist.manual().clone()), revoked);
    assert_eq!(listed(&restored), ["192.0.2.11"]);
    assert_eq!(restored.open_sessions(), 0);
}

#[test]
fn revocations_are_bounded_and_everybody_takes_the_place_of_all() {
    let mut whitelist = Whitelist::new(rules());
    let of = |n: u32| Scope::from(Client::from(IpAddr::from(n.to_be_bytes())));
    for n in 0..1000 {
        whitelist.revoke(&of(n), 0, at(0)).unwrap();
    }
    assert_eq!(
        whitelist.revoke(&of(1000), 0, at(1)),
        Err(TooManyRevocations)
    );
    whitelist.revoke(&of(7), 0, at(1)).unwrap();
    whitelist
        .revoke(&"0.0.0.0/23".parse().unwrap(), 0, at(2))
        .unwrap();
    assert_eq!(whitelist.manual().revocations.len(), 1000 - 512 + 1);
    whitelist.revoke(&Scope::All, 0, at(3)).unwrap();
    assert_eq!(whitelist.manual().revocations.len(), 1);
    let outcome = whitelist.apply(&login(3, 10, None), at(4));
    assert_eq!(outcome, Outcome::Refused(client(10), Refusal::Revoked));
}

#[test]
fn a_clock_set_back_lends_the_hand_no_time() {
    let mut whitelist = Whitelist::new(rules());
    whitelist.allow(client(10), grant(7200, 7260)).unwrap();
    whitelist.revoke(&client(11).into(), 0, at(7200)).unwrap();
    whitelist.clock_set(at(0));
    assert_eq!(next_end(&whitelist), Some(at(60)));
    assert_eq!(
        apply(&mut whitelist, &login(1, 11, None)),
        Outcome::Added(client(11))
    );
}

#[test]
fn what_is_revoked_does_not_come_back_with_the_clock() {
    let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(..));
    // By seconds, by minutes, and more than once.
    for (revoked, set_back) in [(40, &[10][..]), (400, &[100]), (400, &[200, 100])] {
        let mut whitelist = Whitelist::new(rules());
        let before = login(revoked - 10, 10, Some("a"));
        apply(&mut whitelist, &before);
        let user = Scope::User("alice".to_owned());
        whitelist.revoke(&user, 0, at(revoked)).unwrap();
        for time in set_back {
            whitelist.clock_set(at(*time));
        }
        let now = set_back[set_back.len() - 1];
        // Revoked once more: that gives nothing back.
        whitelist.revoke(&user, 0, at(now)).unwrap();
        // It is read again: when it seems to be in the future, and when it does so no longer.
        for now in [now, now + 2, revoked - 12, revoked + 1, revoked + 300] {
            assert!(is_refused(&whitelist.apply(&before, at(now))), "{now}");
            let mut restarted = Whitelist::new(rules());
            restarted.set_manual(whitelist.manual().clone());
            restarted.clock_set(at(now));
            assert!(is_refused(&restarted.apply(&before, at(now))), "{now}");
        }
        // Who logs in again is listed: at once, unless the clock was set by seconds.
        let is_far = revoked - now > 60;
        apply(&mut whitelist, &login(now + 5, 10, Some("b")));
        assert_eq!(!whitelist.is_empty(), is_far);
        apply(&mut whitelist, &login(revoked + 1, 10, Some("c")));
        assert_eq!(listed(&whitelist), ["192.0.2.10"]);
    }
}

#[test]
fn scopes_are_read_and_shown() {
    for (text, shown) in [
        ("192.0.2.10", "192.0.2.10"),
        ("::ffff:192.0.2.10", "192.0.2.10"),
        ("[2001:db8::10]", "2001:db8::10"),
        ("192.0.2.10/32", "192.0.2.10"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("2001:db8::/64", "2001:db8::/64"),
    ] {
        assert_eq!(text.parse::<Scope>().unwrap().to_string(), shown, "{text}");
    }
    for text in ["", "alice", "192.0.2", "192.0.2.0/33", "192.0.2.0/24 "] {
        assert!(text.parse::<Scope>().is_err(), "{text}");
    }
}
