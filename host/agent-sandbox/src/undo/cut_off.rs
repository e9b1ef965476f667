//! Files in the middle of whose change a host was killed, or of whose undo: whether what is there is that change, made or half
//! made, and nothing of anybody else's. Asked before anything is restored.

use std::io::Read;
use std::os::unix::fs::FileExt;

use agent_core::digest::Digest;
use agent_core::effect::Before;
use agent_core::open_file::{Doing, OpenFile};
use agent_core::path_state::PathKind;
use rustix::fs::OFlags;

use super::{Place, Plan, Undoing, content};
use crate::hosts::fs::look::{Looked, look_at, look_behind};
use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::stream::CHUNK_BYTES_MAX;
use crate::hosts::fs::walk::Spot;
use crate::mount::Mount;

/// How long after it was said a change is taken for the one that was said: it is one system call. What came later is somebody else's,
/// of the same length say.
const DONE_WITHIN_NS: i64 = 5_000_000_000;

impl Undoing<'_, '_> {
    /// Finds out of each file in the middle of whose change the host was killed whether the change was made.
    pub(super) fn look_into_open(&mut self) {
        let mut done = Vec::new();
        for plan in &self.plans {
            for thing in self.ledger.things_at(&plan.key) {
                let Some(file) = self.ledger.doing(thing) else { continue };
                let Ok(Place::Spot(spot)) = plan.place() else { continue };
                let Ok(Some(now)) = look_at(plan.mount, &spot) else { continue };
                if now.thing == thing && is_done(plan.mount, &spot, file) {
                    done.push(now);
                }
            }
        }
        done.iter().for_each(|now| self.ledger.done(now));
    }

    /// Whether an undo was killed while it wrote back where the file is, and left a beginning of what was there before.
    pub(super) fn is_on_its_way(&self, plan: &Plan<'_>, spot: &Spot, now: Option<&Looked>) -> bool {
        let Some(now) = now.filter(|now| plan.home() == Some(now.thing) && self.ledger.is_returning(now.thing)) else {
            return false;
        };
        let Before::Content { digest, .. } = &plan.whole.before else { return false };
        let Ok(before) = content(digest, self.contents) else { return false };
        let length = usize::try_from(now.stamp.size.0).unwrap_or(usize::MAX);
        let Some(beginning) = before.get(..length) else { return false };
        let Ok(Pinned::Regular(file)) = open_regular(&spot.dir, &spot.name, OFlags::RDONLY) else { return false };
        let mut found = Vec::with_capacity(length);
        file.take(now.stamp.size.0 + 1).read_to_end(&mut found).is_ok() && found == beginning
    }
}

/// Whether a file is what it becomes by what was being done to it.
fn is_done(mount: &Mount, spot: &Spot, open: &OpenFile) -> bool {
    let Ok(Pinned::Regular(file)) = open_regular(&spot.dir, &spot.name, OFlags::RDONLY) else { return false };
    let Ok(now) = look_behind(mount, &file) else { return false };
    let is_later = now.stamp.changed_ns > open.said_ns.saturating_add(DONE_WITHIN_NS);
    if now.stamp.kind != PathKind::File || is_later || !open.may_have_length(now.stamp.size) {
        return false;
    }
    match &open.doing {
        Some(Doing::Write { offset, bytes, digest }) => {
            // No more is written at once.
            let length = usize::try_from(bytes.0).unwrap_or(usize::MAX).min(CHUNK_BYTES_MAX);
            let mut found = vec![0; length];
            file.read_exact_at(&mut found, *offset).is_ok() && Digest::of(&found) == *digest
        }
        Some(Doing::Length(_) | Doing::Times) => true,
        None => false,
    }
}
