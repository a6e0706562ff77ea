//! Answers that go on, and what can become of them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use tokio::time::Sleep;

/// The body up to the middle of its first piece; then the connection breaks.
pub(super) fn broken(body: Body) -> Body {
    Body::new(Broken { body, over: false })
}

/// The body, each piece so much later.
pub(super) fn slow(body: Body, pause: Duration) -> Body {
    Body::new(Slow { body, pause, held: None })
}

type Piece = Option<Result<Frame<Bytes>, std::io::Error>>;

fn lost() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset)
}

struct Broken {
    body: Body,
    over: bool,
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        if self.over {
            return Poll::Ready(Some(Err(lost())));
        }
        Pin::new(&mut self.body).poll_frame(context).map(|piece| {
            self.over = true;
            let data = piece.and_then(|frame| frame.ok()?.into_data().ok())?;
            Some(Ok(Frame::data(data.slice(..data.len() / 2))))
        })
    }
}

struct Slow {
    body: Body,
    pause: Duration,
    /// A piece on its way.
    held: Option<(Piece, Pin<Box<Sleep>>)>,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        if self.held.is_none() {
            let Poll::Ready(piece) = Pin::new(&mut self.body).poll_frame(context) else { return Poll::Pending };
            let pause = Box::pin(tokio::time::sleep(self.pause));
            self.held = Some((piece.map(|piece| piece.map_err(|_| lost())), pause));
        }
        let Some((_, pause)) = &mut self.held else { return Poll::Pending };
        if pause.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.held.take().and_then(|(piece, _)| piece))
    }
}
