//! What `async` functions wait for: answers of the host that have not come yet. `task::block_on` comes here when nothing else is
//! to be done.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::task::Waker;

use wasip2::io::poll::{Pollable, poll};

thread_local! {
    /// Weak: whoever gives up waiting drops the pollable, which must be gone before what it is about.
    static WAITING: RefCell<Vec<(Weak<Pollable>, Waker)>> = const { RefCell::new(Vec::new()) };
}

/// Has `waker` called once `pollable` is ready. Whoever asks again takes its own place: a future is asked whenever another one
/// that it waits beside is ready.
pub(super) fn until(pollable: &Rc<Pollable>, waker: &Waker) {
    let pollable = Rc::downgrade(pollable);
    WAITING.with_borrow_mut(|waiting| {
        waiting.retain(|(known, _)| !known.ptr_eq(&pollable));
        waiting.push((pollable, waker.clone()));
    });
}

/// Waits until one is ready, and wakes whoever waits for it. False where nobody waits for anything.
pub(crate) fn wait() -> bool {
    let waiting = WAITING.take();
    let live: Vec<_> = waiting.into_iter().filter_map(|(pollable, waker)| Some((pollable.upgrade()?, waker))).collect();
    if live.is_empty() {
        return false;
    }
    let pollables: Vec<&Pollable> = live.iter().map(|(pollable, _)| &**pollable).collect();
    let ready = poll(&pollables);
    for (index, (pollable, waker)) in live.iter().enumerate() {
        if ready.iter().any(|ready| *ready as usize == index) {
            waker.wake_by_ref();
        } else {
            until(pollable, waker);
        }
    }
    true
}
