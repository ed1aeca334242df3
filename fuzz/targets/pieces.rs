//! Bytes that come in pieces, as from a pipe or a socket.

use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// The bytes, and how long each piece is; the last length holds for the rest.
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    rest: &'a [u8],
    lengths: &'a [u8],
    /// What is left of the piece that has come.
    here: usize,
}

impl<'a> Pieces<'a> {
    /// Takes the lengths out of the beginning of `data`: their number, and then they.
    #[must_use]
    pub fn of(data: &'a [u8]) -> Self {
        let (number, data) = data.split_first().unwrap_or((&0, &[]));
        let (lengths, rest) = data.split_at(data.len().min(usize::from(number % 8)));
        Pieces {
            rest,
            lengths,
            here: 0,
        }
    }

    /// All that has not been read yet.
    #[must_use]
    pub fn whole(&self) -> &'a [u8] {
        self.rest
    }

    fn piece(&mut self) -> &'a [u8] {
        if self.here == 0 {
            let length = match self.lengths {
                [] => self.rest.len(),
                [last] => usize::from(*last) + 1,
                [first, others @ ..] => {
                    self.lengths = others;
                    usize::from(*first) + 1
                }
            };
            self.here = length.min(self.rest.len());
        }
        &self.rest[..self.here]
    }

    fn pass(&mut self, length: usize) {
        self.rest = &self.rest[length..];
        self.here -= length;
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let piece = self.piece();
        self.pass(piece.len());
        (!piece.is_empty()).then_some(piece)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = self.piece().read(to)?;
        self.pass(length);
        Ok(length)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.piece())
    }

    fn consume(&mut self, length: usize) {
        self.pass(length);
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.piece();
        let length = piece.len().min(to.remaining());
        to.put_slice(&piece[..length]);
        self.pass(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Pieces<'_> {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(Ok(self.get_mut().piece()))
    }

    fn consume(mut self: Pin<&mut Self>, length: usize) {
        self.pass(length);
    }
}
