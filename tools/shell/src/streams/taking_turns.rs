//! How stages of a pipeline run without threads: each is a future, and they are polled one after the other, first to last, until all
//! have ended. A stage gives its turn away only where it waits for a pipe.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::Progress;
use crate::stop::{Outcome, Stop};

/// A stage that goes on, or what it gave.
enum Stage<'a, T> {
    Going(Pin<Box<dyn Future<Output = T> + 'a>>),
    Done(T),
}

/// Runs all stages to their end, and gives what they give in their order.
pub(crate) async fn all_stages<'a, T>(
    progress: &Progress,
    stages: Vec<Pin<Box<dyn Future<Output = T> + 'a>>>,
) -> Vec<T> {
    let mut stages: Vec<Stage<'a, T>> = stages.into_iter().map(Stage::Going).collect();
    poll_fn(|context| {
        loop {
            let before = progress.so_far();
            let mut going = 0_usize;
            for stage in &mut stages {
                let Stage::Going(future) = stage else { continue };
                match future.as_mut().poll(context) {
                    // The future goes at once, and with it its ends of pipes: its neighbours learn that it has ended.
                    Poll::Ready(value) => {
                        *stage = Stage::Done(value);
                        progress.note();
                    }
                    Poll::Pending => going += 1,
                }
            }
            if going == 0 {
                return Poll::Ready(());
            }
            if progress.so_far() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    let value_of = |stage| match stage {
        Stage::Done(value) => Some(value),
        Stage::Going(_) => None,
    };
    stages.into_iter().filter_map(value_of).collect()
}

/// Runs the whole script. Nothing outside can wake it, so that what waits where nothing moves would wait for ever.
pub(crate) fn drive<T>(progress: &Progress, script: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let mut context = Context::from_waker(Waker::noop());
    let mut script = pin!(script);
    loop {
        let before = progress.so_far();
        if let Poll::Ready(outcome) = script.as_mut().poll(&mut context) {
            return outcome;
        }
        if progress.so_far() == before {
            return Err(Stop::Limit("a pipeline waits for itself: a stage reads what only it writes".to_owned()));
        }
    }
}
