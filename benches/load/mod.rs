//! Load on a policy socket, in Postfix's protocol (SMTPD_POLICY_README): as fast as the answers come
//! on one connection or on many, or at a given rate.
//!
//! Every answer is compared with the one that is due. One thread, as the service has one: two
//! processors are enough for both.

pub mod bare;

use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll;

/// By how much a wait may be longer than was asked for (prctl(2), PR_SET_TIMERSLACK), and some more.
const SLACK: Duration = Duration::from_micros(100);

const OK: &[u8] = b"action=OK\n\n";
const DUNNO: &[u8] = b"action=DUNNO\n\n";

/// A question, and the answer that is due.
#[derive(Debug, Clone)]
pub struct Question {
    request: Vec<u8>,
    answer: &'static [u8],
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Load {
    /// How many questions were answered.
    pub answered: usize,
    /// In how long a time.
    pub took: Duration,
    /// How long each answer took, from when its question was due.
    pub latencies: Vec<Duration>,
}

impl Load {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }
}

impl Question {
    /// What Postfix 3.7 asks at RCPT TO about this client.
    pub fn about(client: IpAddr, listed: bool) -> Question {
        let request = format!(
            "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n\
             client_address={client}\nclient_name=unknown\nclient_port=51822\n\
             reverse_client_name=unknown\nserver_address=192.0.2.1\nserver_port=25\n\
             helo_name=client.example.net\nsender=user{port}@example.org\n\
             recipient=friend@example.com\nrecipient_count=0\nqueue_id=\n\
             instance=1b3.65621cb4.{port:x}.0\nsize=4312\netrn_domain=\nstress=\nsasl_method=\n\
             sasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\n\
             ccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n\
             encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\npolicy_context=\n\n",
            port = match client {
                IpAddr::V4(address) => address.to_bits(),
                IpAddr::V6(address) => address.to_bits() as u32,
            }
        );
        Question {
            request: request.into_bytes(),
            answer: if listed { OK } else { DUNNO },
        }
    }
}

/// One connection that asks now and then.
pub struct Questioner<S = UnixStream> {
    stream: S,
}

impl Questioner {
    /// Connects to the policy socket.
    pub fn connect(socket: &Path) -> Questioner {
        Questioner::over(UnixStream::connect(socket).unwrap())
    }
}

impl<S: Read + Write> Questioner<S> {
    /// Asks over this connection.
    pub fn over(stream: S) -> Self {
        Questioner { stream }
    }

    /// Whether the answer is OK.
    pub fn grants(&mut self, question: &Question) -> bool {
        self.stream.write_all(&question.request).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n\n") {
            let mut more = [0; 64];
            let length = self.stream.read(&mut more).unwrap();
            assert!(length > 0, "the service has hung up");
            answer.extend_from_slice(&more[..length]);
        }
        assert!(answer == OK || answer == DUNNO);
        answer == OK
    }
}

/// Asks `count` questions on one connection, each when the one before it is answered, as smtpd does.
pub fn one_by_one(socket: &Path, questions: &[Question], count: usize) -> Load {
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut latencies = Vec::with_capacity(count);
    let mut answer = [0; 64];
    let start = Instant::now();
    for question in questions.iter().cycle().take(count) {
        let asked = Instant::now();
        stream.write_all(&question.request).unwrap();
        stream
            .read_exact(&mut answer[..question.answer.len()])
            .unwrap();
        latencies.push(asked.elapsed());
        assert_eq!(&answer[..question.answer.len()], question.answer);
    }
    Load {
        answered: count,
        took: start.elapsed(),
        latencies,
    }
}

/// Asks `count` questions on one connection without waiting for answers.
pub fn pipelined(socket: &Path, questions: &[Question], count: usize) -> Load {
    let asked = UnixStream::connect(socket).unwrap();
    let mut answered = asked.try_clone().unwrap();
    let rounds = count / questions.len();
    let requests: Vec<u8> = questions.iter().flat_map(|q| q.request.clone()).collect();
    let due: Vec<u8> = questions.iter().flat_map(|q| q.answer).copied().collect();
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut asked = &asked;
            (0..rounds).for_each(|_| asked.write_all(&requests).unwrap());
        });
        let mut answers = vec![0; due.len()];
        for _ in 0..rounds {
            answered.read_exact(&mut answers).unwrap();
            assert_eq!(answers, due);
        }
    });
    Load {
        answered: rounds * questions.len(),
        took: start.elapsed(),
        latencies: Vec::new(),
    }
}

/// One connection of many.
struct Peer {
    stream: UnixStream,
    /// When its open question was due.
    due: Option<Instant>,
    question: usize,
    received: usize,
}

/// Asks on `connections` connections at once for about `duration`, one question at a time on each:
/// the next as soon as one is answered, or so many a second on all of them together.
pub fn at_once(
    socket: &Path,
    questions: &[Question],
    connections: usize,
    rate: Option<f64>,
    duration: Duration,
) -> Load {
    let start = Instant::now();
    at_once_while(socket, questions, connections, rate, &|| {
        start.elapsed() < duration
    })
}

/// The same for as long as `goes_on` says so. At a rate, all that was to be asked by then is asked,
/// and answered: who is held up counts, however long it takes.
pub fn at_once_while(
    socket: &Path,
    questions: &[Question],
    connections: usize,
    rate: Option<f64>,
    goes_on: &dyn Fn() -> bool,
) -> Load {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut peers: Vec<Peer> = (0..connections)
        .map(|number| {
            let stream = UnixStream::connect(socket).unwrap();
            stream.set_nonblocking(true).unwrap();
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&poll, stream.as_fd(), data, epoll::EventFlags::IN).unwrap();
            Peer {
                stream,
                due: None,
                // Each begins elsewhere.
                question: number % questions.len(),
                received: 0,
            }
        })
        .collect();
    let mut latencies = Vec::new();
    let start = Instant::now();
    let mut asked = 0_u64;
    if rate.is_none() {
        peers.iter_mut().for_each(|peer| peer.ask(questions, start));
    }
    let mut events = Vec::with_capacity(connections);
    let mut end = None;
    loop {
        if end.is_none() && !goes_on() {
            end = Some(Instant::now());
        }
        let last = end.unwrap_or_else(Instant::now);
        let is_asked = rate.is_none_or(|rate| {
            let due = start + Duration::from_secs_f64(asked as f64 / rate);
            due > last && peers.iter().all(|peer| peer.due.is_none())
        });
        if end.is_some() && is_asked {
            break;
        }
        if let Some(rate) = rate {
            // What is due by now, in turn; a peer that still waits is asked late, and that counts.
            loop {
                let due = start + Duration::from_secs_f64(asked as f64 / rate);
                let peer = &mut peers[asked as usize % connections];
                if due > last || peer.due.is_some() {
                    break;
                }
                peer.ask(questions, due);
                asked += 1;
            }
        }
        // Where the next question is far off, whom we measure by has the processor until then.
        let patience = match rate {
            None => Duration::from_millis(100),
            Some(rate) => {
                let due = start + Duration::from_secs_f64(asked as f64 / rate);
                let far_off = due.saturating_duration_since(Instant::now());
                far_off.saturating_sub(SLACK)
            }
        };
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: patience.subsec_nanos().into(),
        };
        events.clear();
        epoll::wait(
            &poll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&patience),
        )
        .unwrap();
        for event in &events {
            let peer = &mut peers[event.data.u64() as usize];
            if let Some(latency) = peer.hear(questions) {
                latencies.push(latency);
                if rate.is_none() {
                    peer.ask(questions, Instant::now());
                }
            }
        }
    }
    Load {
        answered: latencies.len(),
        took: start.elapsed(),
        latencies,
    }
}

impl Peer {
    fn ask(&mut self, questions: &[Question], due: Instant) {
        self.question = (self.question + 1) % questions.len();
        let request = &questions[self.question].request;
        // A socket's buffer takes more than one question.
        let written = self.stream.write(request).unwrap();
        assert_eq!(written, request.len());
        self.due = Some(due);
        self.received = 0;
    }

    /// How long the answer took, if it is complete now.
    fn hear(&mut self, questions: &[Question]) -> Option<Duration> {
        let due = questions[self.question].answer;
        let mut answer = [0; 64];
        match self.stream.read(&mut answer) {
            Ok(0) => panic!("the service has hung up"),
            Ok(length) => {
                let expected = due.get(self.received..self.received + length);
                assert_eq!(Some(&answer[..length]), expected);
                self.received += length;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        (self.received == due.len())
            .then(|| self.due.take())
            .flatten()
            .map(|due| due.elapsed())
    }
}
