//! Renames: a file or a directory with everything in it gets another path. Each path that this changes is announced first.

use agent_core::effect::{EffectRequest, FileOperation};
use rustix::fs::{FileType, RenameFlags};
use rustix::io::Errno;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::effects::Permit;
use crate::hosts::fs::FileError;
use crate::hosts::fs::change::{Changes, Intent};
use crate::hosts::fs::look::look_at;
use crate::hosts::fs::marks::Place;
use crate::hosts::fs::subtree::{KEPT_ENTRIES_MAX, SEEN_ENTRIES_MAX, Tree};
use crate::hosts::fs::tree::can_lose_its_name;
use crate::hosts::fs::walk::{LastLink, Spot};
use crate::state::CallState;

impl CallState {
    pub(super) async fn rename(
        &mut self,
        fd: &Resource<Descriptor>,
        path: &str,
        to_fd: &Resource<Descriptor>,
        to_path: &str,
    ) -> FsResult<()> {
        let operation = FileOperation::Rename;
        let (base, to_base) = (self.directory(fd)?, self.directory(to_fd)?);
        let from = self.find(&base, path, LastLink::KeepName, operation)?;
        let to = self.find(&to_base, to_path, LastLink::KeepName, operation)?;
        let request: EffectRequest = self.two_paths(operation, (base.mount, &from), (to_base.mount, &to));
        let permit = self.may_change(request, &[(base.mount, &from), (to_base.mount, &to)]).await?;
        let done = self.rename_now(&permit, (base.mount, &from), (to_base.mount, &to)).await;
        self.conclude(permit, done).await
    }

    async fn rename_now(
        &mut self,
        permit: &Permit,
        (mount, from): (usize, &Spot),
        (to_mount, to): (usize, &Spot),
    ) -> Result<(), FileError> {
        fits(from, to)?;
        can_lose_its_name(from)?;
        can_lose_its_name(to)?;
        let changes = self.files.changes.clone();
        if !changes.recover_alike(mount, to_mount) {
            return Err(ErrorCode::CrossDevice.into());
        }
        if are_one_thing(&changes, (mount, from), (to_mount, to))? {
            // The system does nothing either.
            return Ok(());
        }
        changes.may_lose_a_name(to_mount, to)?;
        let entries_max = if changes.are_undone(mount) { KEPT_ENTRIES_MAX } else { SEEN_ENTRIES_MAX };
        let tree = {
            // Charged where each is announced; but the call's time may be over long before.
            let may_go_on = || self.may_go_on().map_err(FileError::from);
            Tree::walk(changes.walls(mount), from, &to.path, entries_max, &may_go_on)?
        };
        self.announce_move(permit, (mount, &tree), (to_mount, to)).await?;
        if let Err(errno) = move_there(from, to) {
            say_stayed(&changes, (mount, &tree), (to_mount, to))?;
            return Err(errno.into());
        }
        changes.renames.add((mount, from.path.clone()), (to_mount, to.path.clone()));
        changes.left_nothing(&places(mount, &tree))?;
        changes.arrived(to_mount, &tree, to)
    }

    /// Announces everything that a move changes, in an order whose reverse works: what is at the new paths goes from the
    /// leaves up, what was at the old ones comes back from the root down.
    async fn announce_move(
        &mut self,
        permit: &Permit,
        (mount, tree): (usize, &Tree),
        (to_mount, to): (usize, &Spot),
    ) -> Result<(), FileError> {
        let changes = self.files.changes.clone();
        let mut intent = Intent::default();
        let walls = changes.walls(mount);
        let coming =
            |spot: &Spot| Ok::<_, FileError>(look_at(changes.mount(mount), spot)?.ok_or(ErrorCode::NoEntry)?.to_come());
        if let (Some(_), Some(root)) = (to.found, tree.entries().first()) {
            let coming = coming(&tree.at(walls, root)?)?;
            changes.take_spot(&mut intent, to_mount, to, coming)?;
        }
        for entry in tree.entries().iter().rev() {
            // Each is work of its own, for which the call has its time.
            self.pay()?;
            changes.take_again(&mut intent, mount, &tree.at(walls, entry)?)?;
            if changes.is_full(&intent) {
                changes.announce(permit.number, permit.request.clone(), std::mem::take(&mut intent)).await?;
            }
        }
        // Where nothing is undone, nobody needs to know what comes where.
        let arrivals = if changes.are_undone(mount) { tree.entries() } else { &[] };
        for entry in arrivals.iter().skip(usize::from(to.found.is_some())) {
            self.may_go_on()?;
            let coming = coming(&tree.at(walls, entry)?)?;
            changes.take_arrival(&mut intent, (to_mount, &entry.to), coming)?;
        }
        changes.announce(permit.number, permit.request.clone(), intent).await
    }
}

/// Whether there is something to rename, and a directory wherever only one will do.
fn fits(from: &Spot, to: &Spot) -> Result<(), ErrorCode> {
    let directory = Some(FileType::Directory);
    match (from.found, to.found) {
        (None, _) => Err(ErrorCode::NoEntry),
        (from_found, _) if from_found != directory && (from.directory_only || to.directory_only) => {
            Err(ErrorCode::NotDirectory)
        }
        (_, Some(to_found)) if to.directory_only && Some(to_found) != directory => Err(ErrorCode::NotDirectory),
        (Some(_), _) => Ok(()),
    }
}

/// Nothing was moved: what is at the new paths now is somebody else's.
fn say_stayed(
    changes: &Changes,
    (mount, tree): (usize, &Tree),
    (to_mount, to): (usize, &Spot),
) -> Result<(), FileError> {
    if to.found.is_none() {
        let arrivals: Vec<Place> = tree.entries().iter().map(|entry| (to_mount, entry.to.clone())).collect();
        changes.left_nothing(&arrivals)?;
    }
    if !changes.are_undone(mount) {
        return Ok(());
    }
    tree.entries().iter().try_for_each(|entry| changes.stayed_at(mount, &tree.at(changes.walls(mount), entry)?))
}

/// Whether both names are of one thing already.
fn are_one_thing(
    changes: &Changes,
    (mount, from): (usize, &Spot),
    (to_mount, to): (usize, &Spot),
) -> Result<bool, FileError> {
    let thing = |mount, spot| look_at(changes.mount(mount), spot).map(|now| now.map(|now| now.thing));
    Ok(to.found.is_some() && thing(mount, from)? == thing(to_mount, to)?)
}

/// Where nothing was a moment ago, nothing is replaced: what came since is not what was announced.
fn move_there(from: &Spot, to: &Spot) -> Result<(), Errno> {
    let (name, to_name) = (from.name.as_str(), to.name.as_str());
    if to.found.is_some() {
        return rustix::fs::renameat(&from.dir, name, &to.dir, to_name);
    }
    match rustix::fs::renameat_with(&from.dir, name, &to.dir, to_name, RenameFlags::NOREPLACE) {
        // A file system that cannot promise it: what is there is looked at once more, as late as can be.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match rustix::fs::statat(&to.dir, to_name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(_) => rustix::fs::renameat(&from.dir, name, &to.dir, to_name),
            }
        }
        renamed => renamed,
    }
}

fn places(mount: usize, tree: &Tree) -> Vec<Place> {
    tree.entries().iter().map(|entry| (mount, entry.path.clone())).collect()
}
