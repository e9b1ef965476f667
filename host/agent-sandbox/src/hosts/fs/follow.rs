//! Keeps up with a file that a call changes, so that an undo knows the call's own work although the host was killed in the middle
//! of it: how the file stands and what is about to be done to it, then how it stands. Called around each change of what a file
//! contains, and of its times.

use std::time::SystemTime;

use agent_core::open_file::{Doing, OpenFile};
use rustix::io::Errno;

use crate::hosts::fs::FileError;
use crate::hosts::fs::change::Changes;
use crate::hosts::fs::look::{Looked, look_at, look_behind};
use crate::hosts::fs::node::Node;
use crate::hosts::fs::walk::Spot;
use crate::stop::Stop;

impl Changes {
    /// Does something to an open file whose change was announced.
    pub(crate) fn follow<T, E>(
        &self,
        node: &Node,
        doing: impl FnOnce() -> Doing,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, FileError>
    where
        FileError: From<E>,
    {
        let look = || look_behind(self.mount(node.mount), &node.file).map(Some);
        self.follow_by((node.mount, &look), doing, act)
    }

    /// Does something to what is at a spot and was announced.
    pub(crate) fn follow_at<T, E>(
        &self,
        (mount, spot): (usize, &Spot),
        doing: impl FnOnce() -> Doing,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, FileError>
    where
        FileError: From<E>,
    {
        let look = || look_at(self.mount(mount), spot);
        self.follow_by((mount, &look), doing, act)
    }

    fn follow_by<T, E>(
        &self,
        (mount, look): (usize, &dyn Fn() -> Result<Option<Looked>, Errno>),
        doing: impl FnOnce() -> Doing,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, FileError>
    where
        FileError: From<E>,
    {
        if !self.are_undone(mount) || !self.keep(look, Some(doing))? {
            return Ok(act()?);
        }
        let done = act();
        self.keep(look, None::<fn() -> Doing>)?;
        Ok(done?)
    }

    /// Says how a file stands; whether there was anything to say.
    fn keep(
        &self,
        look: &dyn Fn() -> Result<Option<Looked>, Errno>,
        doing: Option<impl FnOnce() -> Doing>,
    ) -> Result<bool, FileError> {
        let Some(now) = look()? else { return Ok(false) };
        let Some((entry, turn)) = self.turn(now.thing) else { return Ok(false) };
        let doing = doing.map(|doing| doing());
        let file = OpenFile { entry, turn, said_ns: now_ns(), left: now.stamp, doing };
        self.effects().follow(&file).map_err(Stop::from)?;
        Ok(true)
    }
}

/// The time of the host, by which file systems of this machine go, too.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
