//! Waiting, for tools that are written with `async`. A call is one thread and ends when its function does, so there is nothing to
//! spawn: [`all`] waits for several things at once.
//!
//! ```
//! use agent_host_tool::{args, task, tool};
//!
//! #[args]
//! struct Words {
//!     /// Texts, each of which is measured.
//!     texts: Vec<String>,
//! }
//!
//! async fn length(text: String) -> String {
//!     text.chars().count().to_string()
//! }
//!
//! /// Measures texts, all of them at once.
//! #[tool]
//! async fn lengths(words: Words) -> String {
//!     task::all(words.texts.into_iter().map(length)).await.join(", ")
//! }
//!
//! agent_host_tool::export!(lengths);
//!
//! # fn main() {
//! # use agent_host_tool::{Operation, Part};
//! // In a test, wait for it yourself, or call it as the host does.
//! let words = Words { texts: vec!["one".to_owned(), "three".to_owned()] };
//! assert_eq!(task::block_on(lengths(words)), "3, 5");
//! assert_eq!(lengths::call(r#"{"texts": ["four"]}"#), Ok(vec![Part::Text("4".to_owned())]));
//! # }
//! ```

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Waits for a future. `#[tool]` does this for an `async` function.
///
/// # Panics
/// In a component, where it waits for something that nothing here can bring about: no thread, timer or runtime does.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        woken.wait();
    }
}

/// Waits for all of them at once, and gives what they give, in their order.
pub async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut slots: Vec<_> = futures.into_iter().map(|future| Slot::Going(Box::pin(future))).collect();
    poll_fn(|context| {
        let going = slots.iter_mut().map(|slot| slot.is_going_after(context)).filter(|is_going| *is_going).count();
        if going == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    slots.into_iter().filter_map(Slot::output).collect()
}

/// One of several that are waited for.
enum Slot<F: Future> {
    Going(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Slot<F> {
    /// Goes on with it, and says whether that was not yet the end.
    fn is_going_after(&mut self, context: &mut Context<'_>) -> bool {
        let Self::Going(future) = self else { return false };
        match future.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(output) => {
                *self = Self::Done(output);
                false
            }
        }
    }

    fn output(self) -> Option<F::Output> {
        match self {
            Self::Going(_) => None,
            Self::Done(output) => Some(output),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
use native::Woken;
#[cfg(target_family = "wasm")]
use wasm::Woken;

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::task::Wake;

    /// Whether there is something to go on with, told by any thread.
    #[derive(Default)]
    pub(super) struct Woken {
        is_set: Mutex<bool>,
        set: Condvar,
    }

    impl Woken {
        pub(super) fn wait(&self) {
            let mut is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
            while !*is_set {
                is_set = self.set.wait(is_set).unwrap_or_else(PoisonError::into_inner);
            }
            *is_set = false;
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.set.notify_one();
        }
    }
}

#[cfg(target_family = "wasm")]
mod wasm {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    /// Whether there is something to go on with.
    #[derive(Default)]
    pub(super) struct Woken(AtomicBool);

    impl Woken {
        pub(super) fn wait(&self) {
            while !self.0.swap(false, Ordering::Relaxed) {
                // There is one thread, and it is here: only what the host does can still wake it.
                #[cfg(feature = "http")]
                let came = crate::http::waiting::wait();
                #[cfg(not(feature = "http"))]
                let came = false;
                assert!(came, "the tool waits for something that nothing here can bring about");
            }
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Wakes once before it is done.
    async fn later<T>(value: T) -> T {
        let mut first = true;
        poll_fn(|context| {
            if std::mem::take(&mut first) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        value
    }

    #[test]
    fn several_are_waited_for_at_once_and_keep_their_order() {
        let futures: Vec<Pin<Box<dyn Future<Output = u8>>>> =
            vec![Box::pin(later(1)), Box::pin(async { 2 }), Box::pin(async { later(later(3).await).await })];
        assert_eq!(block_on(all(futures)), [1, 2, 3]);
        assert_eq!(block_on(all(Vec::<std::future::Ready<u8>>::new())), [0_u8; 0]);
    }

    #[test]
    fn another_thread_may_wake_it() {
        let mut asked = false;
        let slow = poll_fn(|context| {
            if asked {
                return Poll::Ready("done");
            }
            asked = true;
            let waker = context.waker().clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                waker.wake();
            });
            Poll::Pending
        });
        assert_eq!(block_on(slow), "done");
    }
}
