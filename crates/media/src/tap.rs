//! Listening in on a call's legs: copies of their frames, for recognition and the like.
//!
//! The shard never waits for whoever listens: a frame that finds the ring full is dropped. Frames are numbered, so that
//! the other end knows what is missing.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use strowger_media_core::FRAME;

/// What one leg said in 20 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapFrame {
    /// The leg.
    pub leg: u16,
    /// Number of the frame among the call's; a gap means frames that were dropped, or that the leg did not have yet.
    pub index: u64,
    /// 8 kHz.
    pub samples: [i16; FRAME],
}

/// The shard's end of a tap, for [`Command::Tap`](crate::Command::Tap).
#[derive(Clone, Debug)]
pub struct Tap {
    ring: SyncSender<TapFrame>,
    next: u64,
}

/// The listener's end of a tap. Dropping it ends the tap.
pub struct TapReader(Receiver<TapFrame>);

/// A tap with room for so many frames of all legs together.
pub fn tap(frames: usize) -> (Tap, TapReader) {
    let (ring, reader) = sync_channel(frames.max(1));
    (Tap { ring, next: 0 }, TapReader(reader))
}

impl Tap {
    /// Hands over what the legs said in one frame. False: nobody listens any more.
    pub(crate) fn frame<'a>(&mut self, legs: impl Iterator<Item = (u16, &'a [i16; FRAME])>) -> bool {
        let index = self.next;
        self.next += 1;
        for (leg, samples) in legs {
            let frame = TapFrame {
                leg,
                index,
                samples: *samples,
            };
            if let Err(TrySendError::Disconnected(_)) = self.ring.try_send(frame) {
                return false;
            }
        }
        true
    }

    /// Keeps the numbers of frames when some were left out.
    pub(crate) fn skipped(&mut self, frames: u64) {
        self.next += frames;
    }
}

impl TapReader {
    /// Hands out what has come. False: the call has ended, or another tap took this one's place, and this was all.
    pub fn drain(&self, mut each: impl FnMut(TapFrame)) -> bool {
        loop {
            match self.0.try_recv() {
                Ok(frame) => each(frame),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }
}
