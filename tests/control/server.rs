//! Peers of all kinds on a real socket; the loop's part is played here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc};

use pop_before_smtp::control::protocol::{ClientInfo, Event, EventKind, LogLevel};
use pop_before_smtp::control::server::serve;
use pop_before_smtp::control::{Checked, Page, Peer, Question};

/// A server on a socket of its own, and its owner's ears.
struct Served {
    directory: tempfile::TempDir,
    questions: mpsc::Receiver<Question>,
}

impl Served {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("control")).unwrap();
        let (sender, questions) = mpsc::channel(16);
        tokio::spawn(serve(listener, sender));
        Served {
            directory,
            questions,
        }
    }

    async fn connect(&self) -> UnixStream {
        let path = self.directory.path().join("control");
        UnixStream::connect(path).await.unwrap()
    }

    /// Answers as a loop would, with pages of clients without end.
    fn answers(mut self) -> (tempfile::TempDir, Arc<AtomicUsize>) {
        let pages = Arc::new(AtomicUsize::new(0));
        let counted = pages.clone();
        tokio::spawn(async move {
            while let Some(question) = self.questions.recv().await {
                match question {
                    Question::Check(_, answer) => {
                        let _ = answer.send(Ok(Checked {
                            may_relay: false,
                            reason: CHECKED.to_owned(),
                            listing: None,
                            grant: None,
                            map: None,
                        }));
                    }
                    Question::SetLogLevel(_, peer, answer) => {
                        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
                        assert_eq!(peer.pid, i32::try_from(std::process::id()).ok());
                        let _ = answer.send(Ok(LogLevel::Info));
                    }
                    Question::Clients { answer, .. } => {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let _ = answer.send(Ok(page(100)));
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        (self.directory, pages)
    }
}

fn page(clients: u8) -> Page {
    let info = |n: u8| ClientInfo {
        client: std::net::IpAddr::from([192, 0, 2, n]).into(),
        user: Some("u".repeat(1000)),
        server: "dovecot".to_owned(),
        since: jiff::Timestamp::UNIX_EPOCH,
        last_login: None,
        until: None,
        sessions: 1,
        source: None,
    };
    let clients: Vec<_> = (0..clients).map(info).collect();
    Page {
        last: clients.last().map(|info| info.client),
        clients,
    }
}

async fn say(stream: &mut UnixStream, call: &Value) {
    let bytes = [call.to_string().as_bytes(), b"\0"].concat();
    stream.write_all(&bytes).await.unwrap();
}

/// The next message; None at the end.
async fn hear(stream: &mut UnixStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        match stream.read_u8().await {
            Ok(0) => return Some(serde_json::from_slice(&bytes).unwrap()),
            Ok(byte) => bytes.push(byte),
            Err(_) => {
                assert!(bytes.is_empty(), "half a message: {}", bytes.escape_ascii());
                return None;
            }
        }
    }
}

async fn ask(stream: &mut UnixStream, call: Value) -> Value {
    say(stream, &call).await;
    hear(stream).await.unwrap()
}

/// A call that anybody may make, and its answer.
fn check() -> Value {
    json!({"method": "org.pop-before-smtp.Check", "parameters": {"client": "192.0.2.1"}})
}

const CHECKED: &str = "of a test";

#[tokio::test]
async fn a_service_tells_of_itself() {
    let (directory, _) = Served::new().answers();
    let mut peer = UnixStream::connect(directory.path().join("control"))
        .await
        .unwrap();
    let info = ask(&mut peer, json!({"method": "org.varlink.service.GetInfo"})).await;
    assert_eq!(
        info["parameters"]["interfaces"],
        json!(["org.varlink.service", "org.pop-before-smtp"])
    );
    let description = ask(
        &mut peer,
        json!({
            "method": "org.varlink.service.GetInterfaceDescription",
            "parameters": {"interface": "org.pop-before-smtp"}
        }),
    )
    .await;
    let text = description["parameters"]["description"].as_str().unwrap();
    assert!(text.contains("\ninterface org.pop-before-smtp\n"), "{text}");
}

#[tokio::test]
async fn what_is_wrong_has_the_name_that_varlink_gives_it() {
    let (directory, _) = Served::new().answers();
    let mut peer = UnixStream::connect(directory.path().join("control"))
        .await
        .unwrap();
    for (call, error, parameters) in [
        (
            json!({"method": "org.example.Get"}),
            "InterfaceNotFound",
            json!({"interface": "org.example"}),
        ),
        (
            json!({"method": "org.pop-before-smtp.Get"}),
            "MethodNotFound",
            json!({"method": "org.pop-before-smtp.Get"}),
        ),
        (
            json!({"method": "org.pop-before-smtp.ListClients"}),
            "ExpectedMore",
            json!({}),
        ),
        (
            json!({"method": "org.pop-before-smtp.Monitor", "parameters": {}}),
            "ExpectedMore",
            json!({}),
        ),
        (
            json!({"method": "org.pop-before-smtp.Check", "parameters": {"client": "192.0.2"}}),
            "InvalidParameter",
            json!({"parameter": "client"}),
        ),
        (
            json!({"method": "org.pop-before-smtp.SetLogLevel", "parameters": {"level": "all"}}),
            "InvalidParameter",
            json!({"parameter": "level"}),
        ),
        (
            json!({"method": "org.pop-before-smtp.GetStatus", "parameters": {"of": 1}}),
            "InvalidParameter",
            json!({"parameter": "of"}),
        ),
        (
            json!({
                "method": "org.varlink.service.GetInterfaceDescription",
                "parameters": {"interface": "org.example"}
            }),
            "InterfaceNotFound",
            json!({"interface": "org.example"}),
        ),
    ] {
        let reply = ask(&mut peer, call.clone()).await;
        let expected = json!({
            "error": format!("org.varlink.service.{error}"), "parameters": parameters
        });
        assert_eq!(reply, expected, "{call}");
    }
    // And the connection is as good as before.
    assert_eq!(
        ask(&mut peer, check()).await,
        json!({"parameters": {
            "mayRelay": false, "reason": CHECKED, "listing": null, "grant": null, "map": null
        }})
    );
}

#[tokio::test]
async fn calls_are_answered_in_order_and_oneway_ones_never() {
    let (directory, pages) = Served::new().answers();
    let mut peer = UnixStream::connect(directory.path().join("control"))
        .await
        .unwrap();
    let mut silent = check();
    silent["oneway"] = true.into();
    for method in ["org.example.Get", "org.pop-before-smtp.ListClients"] {
        say(
            &mut peer,
            &json!({"method": method, "oneway": true, "more": true}),
        )
        .await;
    }
    say(&mut peer, &silent).await;
    say(&mut peer, &json!({"method": "org.example.Get"})).await;
    let reply = ask(&mut peer, check()).await;
    assert_eq!(reply["error"], "org.varlink.service.InterfaceNotFound");
    let reply = hear(&mut peer).await.unwrap();
    assert_eq!(reply["parameters"]["reason"], CHECKED);
    assert_eq!(pages.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_list_comes_page_by_page_until_the_last() {
    let mut served = Served::new();
    let mut peer = served.connect().await;
    let call = json!({
        "method": "org.pop-before-smtp.ListClients", "more": true,
        "parameters": {"network": "192.0.2.0/24", "user": null}
    });
    say(&mut peer, &call).await;
    let mut expected_after = None;
    // The second has nothing for this filter, and is no answer.
    for clients in [3, 0, 2] {
        let Some(Question::Clients {
            filter,
            after,
            answer,
        }) = served.questions.recv().await
        else {
            panic!("no question");
        };
        assert_eq!(filter.network, Some("192.0.2.0/24".parse().unwrap()));
        assert_eq!(after, expected_after);
        let mut page = page(clients);
        if clients == 0 {
            page.last = expected_after;
        }
        if clients == 2 {
            page.last = None;
        }
        expected_after = page.last;
        answer.send(Ok(page)).unwrap();
    }
    let first = hear(&mut peer).await.unwrap();
    assert_eq!(first["parameters"]["clients"].as_array().unwrap().len(), 3);
    assert_eq!(first["continues"], true);
    let last = hear(&mut peer).await.unwrap();
    assert_eq!(last["parameters"]["clients"].as_array().unwrap().len(), 2);
    assert_eq!(last.get("continues"), None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_left_in_time() {
    let (directory, _) = Served::new().answers();
    let path = directory.path().join("control");
    let mut silent = UnixStream::connect(&path).await.unwrap();
    let mut half = UnixStream::connect(&path).await.unwrap();
    half.write_all(b"{\"method\":\"org.varl").await.unwrap();
    let start = tokio::time::Instant::now();
    assert_eq!(hear(&mut silent).await, None);
    assert_eq!(hear(&mut half).await, None);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_megabyte_of_junk_is_not_read_to_its_end() {
    let (directory, _) = Served::new().answers();
    let path = directory.path().join("control");
    let mut junk = UnixStream::connect(&path).await.unwrap();
    // It is left before it has said all.
    let sent = junk.write_all(&vec![b'['; 1024 * 1024]).await;
    assert!(sent.is_err());
    let mut peer = UnixStream::connect(&path).await.unwrap();
    assert_eq!(
        ask(&mut peer, check()).await["parameters"]["reason"],
        CHECKED
    );
    for junk in [b"\0".as_slice(), b"nonsense\0", b"\xff\xfe\0", b"{}\0"] {
        let mut peer = UnixStream::connect(&path).await.unwrap();
        peer.write_all(junk).await.unwrap();
        let reply = hear(&mut peer).await.unwrap();
        assert_eq!(reply["error"], "org.varlink.service.InvalidParameter");
        assert_eq!(hear(&mut peer).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_left_and_holds_up_nobody() {
    let (directory, pages) = Served::new().answers();
    let path = directory.path().join("control");
    let mut deaf = Vec::new();
    for _ in 0..10 {
        let mut peer = UnixStream::connect(&path).await.unwrap();
        let call = json!({"method": "org.pop-before-smtp.ListClients", "more": true});
        say(&mut peer, &call).await;
        deaf.push(peer);
    }
    let mut peer = UnixStream::connect(&path).await.unwrap();
    assert_eq!(
        ask(&mut peer, check()).await["parameters"]["reason"],
        CHECKED
    );
    // A page has a hundred kilobytes: so many fit into a socket, and no more is asked for.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = pages.load(Ordering::Relaxed);
    assert!(asked < 10 * 10, "{asked} pages for peers that do not read");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(pages.load(Ordering::Relaxed), asked);
    for peer in &mut deaf {
        let mut all = Vec::new();
        // What had been sent, and then the end.
        peer.read_to_end(&mut all).await.unwrap();
        assert!(!all.is_empty());
    }
}

fn event(n: i64) -> Arc<Event> {
    let time = jiff::Timestamp::from_second(n).unwrap();
    Arc::new(Event::new(time, EventKind::Reloaded))
}

/// Lets a peer watch what is sent.
async fn watch(served: &mut Served, sender: &broadcast::Sender<Arc<Event>>) -> UnixStream {
    let mut peer = served.connect().await;
    say(
        &mut peer,
        &json!({"method": "org.pop-before-smtp.Monitor", "more": true}),
    )
    .await;
    let Some(Question::Watch(answer)) = served.questions.recv().await else {
        panic!("no question");
    };
    answer.send(Ok(sender.subscribe())).unwrap();
    assert_eq!(
        hear(&mut peer).await.unwrap(),
        json!({"parameters": {"events": [], "missed": 0}, "continues": true})
    );
    peer
}

#[tokio::test]
async fn a_watcher_that_is_too_slow_learns_how_much_it_has_missed() {
    let mut served = Served::new();
    let sender = broadcast::channel(8).0;
    let mut peer = watch(&mut served, &sender).await;
    let mut next = 0;
    let mut missed = 0;
    let mut seen = Vec::new();
    while seen.last() != Some(&99) {
        // The server's task has no turn meanwhile.
        while next < 100 && sender.send(event(next)).is_ok() {
            next += 1;
        }
        let reply = hear(&mut peer).await.unwrap();
        assert_eq!(reply["continues"], true);
        missed += reply["parameters"]["missed"].as_i64().unwrap();
        for event in reply["parameters"]["events"].as_array().unwrap() {
            let time: jiff::Timestamp = event["time"].as_str().unwrap().parse().unwrap();
            // Each gap is told of before the events behind it.
            assert_eq!(
                time.as_second(),
                i64::try_from(seen.len()).unwrap() + missed,
                "{reply}"
            );
            seen.push(time.as_second());
        }
    }
    assert_eq!(missed, 92);
}

#[tokio::test]
async fn a_watcher_that_leaves_is_forgotten() {
    let mut served = Served::new();
    let sender = broadcast::channel(8).0;
    let quiet = watch(&mut served, &sender).await;
    let mut talkative = watch(&mut served, &sender).await;
    assert_eq!(sender.receiver_count(), 2);
    drop(quiet);
    say(&mut talkative, &check()).await;
    assert_eq!(hear(&mut talkative).await, None);
    // Nobody has sent anything: it is their leaving that is noticed.
    while sender.receiver_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_does_not_read_is_left() {
    let mut served = Served::new();
    let sender = broadcast::channel(64).0;
    let _deaf = watch(&mut served, &sender).await;
    let start = tokio::time::Instant::now();
    let long = Arc::new(Event {
        reason: Some("x".repeat(10_000)),
        ..Event::clone(&event(0))
    });
    while sender.receiver_count() > 0 {
        // It may fail between the two lines, as nobody is left.
        let _ = sender.send(long.clone());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    // A socket's fill, a queue's, an answer's: no more was kept for it than that.
    assert!(Arc::strong_count(&long) <= 64 + 100 + 1);
}

#[tokio::test]
async fn who_asks_is_known_by_the_kernel() {
    let (directory, _) = Served::new().answers();
    let path = directory.path().join("control");
    let mut peer = UnixStream::connect(path).await.unwrap();
    let reply = ask(
        &mut peer,
        json!({"method": "org.pop-before-smtp.SetLogLevel", "parameters": {"level": "debug"}}),
    )
    .await;
    if rustix::process::geteuid().is_root() {
        assert_eq!(reply, json!({"parameters": {"former": "info"}}));
    } else {
        assert_eq!(reply["error"], "org.varlink.service.PermissionDenied");
    }
}

#[test]
fn root_alone_may_change_something() {
    let peer = |uid| Peer { uid, pid: None };
    assert!(peer(0).may_change());
    assert!(!peer(1).may_change());
    assert!(!peer(65534).may_change());
}
