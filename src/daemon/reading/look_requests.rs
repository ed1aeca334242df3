//! Looks at the journals for those who can't wait until journald tells its readers: it does so up to
//! a quarter of a second after it has written an entry, which can be read at once.
//!
//! Whoever asks before a look begins shares it with all the others, so that there is never more
//! than one under way and one to come, however many ask. Must never keep anybody waiting for long:
//! a journal that can't be read, or is only being caught up with, has an answer as well.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::journal::wait::Bell;

/// How long one waits for a look: less than Postfix waits for us, by far.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many looks have been asked for: the reader's end. A look that begins when there were so many
/// is one for all of them.
#[derive(Debug, Clone, Default)]
pub struct Asked(Arc<AtomicU64>);

impl Asked {
    /// So many, by now.
    pub fn number(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Those who ask for looks, and the readers.
#[derive(Debug)]
pub struct LookRequests {
    asked: Asked,
    /// How many of those who asked have had their look.
    done: watch::Sender<u64>,
    readers: RefCell<Vec<Bell>>,
    /// Whether no journal can be read for now.
    blind: Cell<bool>,
}

impl LookRequests {
    /// There are no readers yet.
    pub fn new() -> Self {
        LookRequests {
            asked: Asked::default(),
            done: watch::channel(0).0,
            readers: RefCell::default(),
            blind: Cell::new(false),
        }
    }

    /// What a reader is to look at.
    pub fn asked(&self) -> Asked {
        self.asked.clone()
    }

    /// These wake the readers from now on.
    pub fn wake(&self, readers: Vec<Bell>) {
        self.readers.replace(readers);
    }

    /// Has the journals looked at. When it returns, whatever was written before the call is known;
    /// unless a journal can't be read, or has so much to be read that it takes too long.
    pub async fn look(&self) {
        if self.blind.get() {
            return;
        }
        let number = self.asked.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.readers.borrow().iter().for_each(Bell::ring);
        let mut done = self.done.subscribe();
        // Whoever is not served in time goes on with what is known.
        let _ = timeout(PATIENCE, done.wait_for(|done| *done >= number)).await;
    }

    /// All journals that can be read have been read to their ends, as they were when there were
    /// `number` who asked. None can be, if there is no number: nobody is kept waiting for that.
    pub fn served(&self, number: Option<u64>) {
        self.blind.set(number.is_none());
        let number = number.unwrap_or_else(|| self.asked.number());
        self.done.send_if_modified(|done| {
            let is_more = number > *done;
            *done = number.max(*done);
            is_more
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::wait::Wait;
    use std::rc::Rc;
    use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
    use tokio::time::Instant;

    fn ask(looks: &Rc<LookRequests>) -> JoinHandle<()> {
        let looks = looks.clone();
        spawn_local(async move { looks.look().await })
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn who_asks_before_a_look_begins_shares_it_and_who_asks_later_does_not() {
        run(async {
            let looks = Rc::new(LookRequests::new());
            let (_wait, bell) = Wait::new().unwrap();
            looks.wake(vec![bell]);
            let early = [ask(&looks), ask(&looks)];
            yield_now().await;
            let begun = looks.asked().number();
            let late = ask(&looks);
            yield_now().await;
            let begin = Instant::now();
            looks.served(Some(begun));
            for early in early {
                early.await.unwrap();
            }
            assert_eq!(begin.elapsed(), Duration::ZERO);
            assert!(!late.is_finished());
            looks.served(Some(looks.asked().number()));
            late.await.unwrap();
            assert_eq!(begin.elapsed(), Duration::ZERO);
        });
    }

    #[test]
    fn nobody_waits_for_long_and_not_at_all_for_a_journal_that_can_not_be_read() {
        run(async {
            let looks = Rc::new(LookRequests::new());
            let begin = Instant::now();
            ask(&looks).await.unwrap();
            assert_eq!(begin.elapsed(), PATIENCE);
            let waiting = ask(&looks);
            yield_now().await;
            looks.served(None);
            waiting.await.unwrap();
            ask(&looks).await.unwrap();
            assert_eq!(begin.elapsed(), PATIENCE);
            looks.served(Some(0));
            ask(&looks).await.unwrap();
            assert_eq!(begin.elapsed(), 2 * PATIENCE);
        });
    }
}
