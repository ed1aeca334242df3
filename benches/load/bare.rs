//! What the machine and the load itself allow: a socket whose server knows nothing and answers DUNNO
//! to whatever looks like the end of a request.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use rustix::event::epoll;

/// Serves `socket` from a thread of its own until the process ends.
pub fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let listens = epoll::EventData::new_u64(u64::MAX);
        epoll::add(&poll, listener.as_fd(), listens, epoll::EventFlags::IN).unwrap();
        let mut peers: Vec<Option<Peer>> = Vec::new();
        let mut events = Vec::with_capacity(1024);
        loop {
            events.clear();
            epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None).unwrap();
            for event in &events {
                let number = event.data.u64();
                if number == u64::MAX {
                    let (stream, _) = listener.accept().unwrap();
                    let data = epoll::EventData::new_u64(peers.len() as u64);
                    epoll::add(&poll, stream.as_fd(), data, epoll::EventFlags::IN).unwrap();
                    peers.push(Some(Peer { stream, last: 0 }));
                } else if let Some(peer) = &mut peers[number as usize]
                    && !answer(peer)
                {
                    peers[number as usize] = None;
                }
            }
        }
    });
}

/// A connection, and the last byte that came over it: the end of a request may be cut in two.
struct Peer {
    stream: UnixStream,
    last: u8,
}

/// Answers what has come; false when the peer has gone.
fn answer(peer: &mut Peer) -> bool {
    let mut requests = [0; 1 << 16];
    requests[0] = peer.last;
    let Ok(length @ 1..) = peer.stream.read(&mut requests[1..]) else {
        return false;
    };
    peer.last = requests[length];
    let ends = requests[..=length]
        .windows(2)
        .filter(|pair| pair == b"\n\n")
        .count();
    let answers = b"action=DUNNO\n\n".repeat(ends);
    peer.stream.write_all(&answers).is_ok()
}
