//! Stores and relays: from a login at a store to a relay's policy, by both ways; many journals caught
//! up with at once; and stores from which nothing comes.

use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::Bench;
use crate::clients::among_clients;
use crate::host::{Host, wait_until};
use crate::image::{Release, Servers};
use crate::joined::{PORT, RELAY, STORE, add_store, answers, listen};
use crate::journal::{Contents, Ends};
use crate::live::{PAUSE, add_addresses, logins_written, microseconds, now, unlimited_journal};
use crate::load::{Question, Questioner};
use crate::process::Setup;
use crate::service::SOON;
use crate::table::{Row, in_turn, median, seconds, share, thousands};

/// Asks whether a client may relay.
type Ask<'a> = &'a mut (dyn FnMut(&Question) -> bool + Send);

/// From a login at a store until a relay's Postfix would be told that the client may relay.
pub fn both_ways(bench: &Bench) -> Vec<Row> {
    let samples = if bench.options.quick { 3 } else { 100 };
    let release = Release::any();
    let store = Host::with_service_and(release, Servers::Ssh, &answers());
    let relay = Host::with_service_and(release, Servers::Ssh, "");
    store.join(STORE, &[(&relay, &[RELAY])]);
    unlimited_journal(&store);
    add_addresses(&store);
    listen(&store);
    add_store(&relay, "store1", &store, STORE);
    wait_until("the store is connected", SOON, || {
        relay.status().problems.is_empty().then_some(())
    });

    let mut at_relay =
        Questioner::connect(&relay.path("/var/spool/postfix/pop-before-smtp/policy"));
    let journal = latencies(&store, 11, samples, &mut |question| {
        at_relay.grants(question)
    });
    let network = relay.network();
    let connect = |_: &_| TcpStream::connect((STORE, PORT)).unwrap();
    let mut at_store = Questioner::over(among_clients(&network, connect));
    let question = latencies(&store, 131, samples, &mut |question| {
        at_store.grants(question)
    });
    let row = |what: &str, took: &[Duration]| Row {
        what: format!("login at a store, until a relay is told OK ({samples} logins): {what}"),
        measured: format!(
            "p50 {}, p99 {}",
            seconds(median(took)),
            seconds(share(took, 0.99))
        ),
        ..Row::default()
    };
    let soon = Duration::from_secs(1);
    vec![
        Row {
            peer: "journald there tells its readers up to 250 ms late".to_owned(),
            goal: format!("p99 below {}", seconds(soon)),
            holds: Some(share(&journal, 0.99) < soon),
            ..row("the journal comes to the relay", &journal)
        },
        Row {
            goal: format!("p99 below {}", seconds(Duration::from_millis(10))),
            holds: Some(share(&question, 0.99) < Duration::from_millis(10)),
            ..row("the question goes to the store", &question)
        },
        cost_of_carrier(&store, &relay),
    ]
}

/// What a carrier takes at the relay: its processes, and bytes of each entry on the wire.
fn cost_of_carrier(store: &Host, relay: &Host) -> Row {
    let kilobytes = relay.sh(
        "group=$(systemctl show --property ControlGroup --value pop-before-smtp-store@store1)
         for process in $(cat /sys/fs/cgroup$group/cgroup.procs); do
             sed -n 's/^RssAnon:\\s*\\([0-9]*\\) kB/\\1/p' /proc/$process/status
         done",
    );
    let processes: Vec<u64> = kilobytes.lines().map(|kb| kb.parse().unwrap()).collect();
    let bytes = store.sh("journalctl --quiet --identifier=dovecot --output=export | wc --bytes");
    let entries = store.sh("journalctl --quiet --identifier=dovecot --output=cat | wc --lines");
    let a_piece = bytes.parse::<u64>().unwrap() / entries.parse::<u64>().unwrap();
    Row {
        what: "carrier of one store at the relay: processes, their anonymous memory; bytes of an \
               entry on the wire"
            .to_owned(),
        measured: format!(
            "{} processes, {:.1} MB; {a_piece} bytes an entry",
            processes.len(),
            processes.iter().sum::<u64>() as f64 * 1024.0 / 1e6
        ),
        ..Row::default()
    }
}

/// How long it takes from each login's line at the store until the answer is OK.
fn latencies(store: &Host, first: u8, samples: u8, ask: Ask<'_>) -> Vec<Duration> {
    let network = store.clients_network();
    let granted: Vec<(IpAddr, u64)> = among_clients(&network, |clients| {
        let one = |n| {
            let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, first + n));
            let question = Question::about(client, true);
            assert!(!ask(&question), "{client} has not logged in");
            let login = clients.begin_login(client);
            let patience = Instant::now() + SOON;
            while !ask(&question) {
                assert!(Instant::now() < patience, "{client} may not relay");
                std::thread::sleep(PAUSE);
            }
            let granted = now();
            login.finish();
            (client, granted)
        };
        (0..samples).map(one).collect()
    });
    let written = logins_written(store);
    granted
        .iter()
        .map(|(client, granted)| microseconds(written[client], *granted))
        .collect()
}

/// Two stores caught up with at once, against one journal with as many entries.
pub fn caught_up_at_once(bench: &Bench) -> Vec<Row> {
    let clients: u32 = if bench.options.quick { 500 } else { 50_000 };
    let of = |sessions: u32, clients: u32| Contents {
        sessions,
        clients,
        ends: Ends::Theirs,
        noise: 0,
    };
    // Each is another journal, so that the one has a client less.
    let (half, rest) = (of(5 * clients, clients), of(5 * clients, clients - 1));
    let one = of(10 * clients, clients);
    let empty = of(1, 1);
    let journals = bench.journals(&[half, rest, one, empty]);
    let [half_path, rest_path, one_path, empty_path] = [0, 1, 2, 3].map(|n| journals[n].path());
    let both = format!(
        "sources.store1.directory = {half_path:?}\nsources.store2.directory = {rest_path:?}"
    );
    let two = Setup::new(empty_path, &both);
    let single = Setup::new(one_path, "");
    let catch_up = |setup: &Setup| {
        setup.forget();
        setup.once()
    };
    for setup in [&two, &single] {
        catch_up(setup);
        assert_eq!(setup.clients_in_map(), clients as usize);
    }
    let (ours, theirs) = in_turn(bench.options.runs, || catch_up(&two), || catch_up(&single));
    vec![Row::at_most(
        format!(
            "catch up with two stores of {} entries each, {} clients, until the map is published",
            thousands(half.dovecot().into()),
            thousands(clients.into())
        ),
        ours,
        (
            &format!(
                "one journal with {} entries",
                thousands(one.dovecot().into())
            ),
            theirs,
        ),
        1.2,
    )]
}

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(20);

/// Eight stores from which nothing comes, against none: how often the service wakes, and its memory.
pub fn idle(bench: &Bench) -> Vec<Row> {
    let contents = |clients| Contents {
        sessions: 1000,
        clients,
        ends: Ends::Theirs,
        noise: 0,
    };
    // Each is another journal.
    let wanted: Vec<Contents> = (0..9).map(|n| contents(1000 - n)).collect();
    let journals = bench.journals(&wanted);
    let sources: Vec<String> = (1..9)
        .map(|n| format!("sources.store{n}.directory = {:?}", journals[n].path()))
        .collect();
    let window = if bench.options.quick { IDLE / 20 } else { IDLE };
    let measure = |settings: &str| {
        let setup = Setup::new(journals[0].path(), settings);
        let running = setup.start();
        // It looks for more for ten seconds after it has read something.
        std::thread::sleep(window.min(Duration::from_secs(12)));
        let before = running.wakings();
        std::thread::sleep(window);
        let woken = running.wakings() - before;
        let memory = running.anonymous_memory();
        running.stop();
        assert_eq!(setup.clients_in_map(), 1000);
        (woken as f64 / window.as_secs_f64(), memory)
    };
    let (eight, none) = (measure(&sources.join("\n")), measure(""));
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let of_each = (eight.1.saturating_sub(none.1)) as f64 / 8e6;
    vec![
        Row {
            what: "eight stores from which nothing comes: how often the service wakes".to_owned(),
            measured: format!("{:.1} a second", eight.0),
            peer: format!("without a store: {:.1}", none.0),
            goal: "below 2 a second".to_owned(),
            holds: Some(eight.0 < 2.0),
            ..Row::default()
        },
        Row {
            what: "the same, and 1,000 clients: anonymous memory".to_owned(),
            measured: format!("{:.1} MB", megabytes(eight.1)),
            peer: format!("without a store: {:.1} MB", megabytes(none.1)),
            ratio: format!("{of_each:.2} MB a store"),
            goal: "below 1 MB a store".to_owned(),
            holds: Some(of_each < 1.0),
        },
    ]
}
