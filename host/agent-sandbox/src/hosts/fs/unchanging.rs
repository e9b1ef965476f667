//! What stays as it is inside a write grant: what this host loads tools from and reads its rules from. A grant names it by paths.
//! Here it is known by them, in every spelling that a file system may take for them, and by what it is, so that neither another name
//! nor a move of a folder around it leads there. Of a folder through which the host goes on its way to one of these, only that it stays
//! where it is is kept. Asked before each change, like the names that are protected.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;

use agent_core::effect::FileOperation;
use agent_core::grant::FsGrant;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::names::is_name_of;
use crate::hosts::fs::walk::Spot;
use crate::hosts::fs::walls::{see, see_open};
use crate::mount::Identity;

/// How deep files are looked for in a folder that stays as it is: what is loaded from a folder of tools lies in it or in a folder
/// right in it.
const DEPTH_MAX: usize = 2;

/// Most entries that are looked at for it, as many as `--tools` looks at.
const ENTRIES_MAX: usize = 10_000;

/// What of one mount stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Unchanging {
    places: Vec<Place>,
    /// Files outside of the mount, or in it, that may have names in it.
    elsewhere: Vec<Identity>,
    /// The files in these places that have other names. Looked for once a guest would change a file that has several.
    linked: OnceLock<Option<Vec<Identity>>>,
}

/// A file or folder that stays as it is, or only where it is.
#[derive(Debug)]
struct Place {
    kept: Kept,
    /// Its path below the mount.
    names: Vec<String>,
    /// Which folders it is in, below the mount.
    around: Vec<Identity>,
    /// Which file or folder it is, if there was one.
    itself: Option<Identity>,
}

/// What of a place is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It and all that is in it.
    Whole,
    /// That it is there: what is in it may change.
    There,
}

/// How a path lies to one of these places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// It is the place, or lies in it, and all of that is kept.
    Within,
    /// The place lies in it, or is it and is only kept where it is.
    Around,
}

impl Unchanging {
    /// What of the directory `host`, which is open, stays as it is. Paths outside of it are nobody's to reach here.
    pub(crate) fn below(dir: impl AsFd, host: &Path, grant: &FsGrant) -> Result<Self, Errno> {
        let paths = grant.unchanging.iter().map(|path| (path, Kept::Whole));
        let paths = paths.chain(grant.unmoved.iter().map(|path| (path, Kept::There)));
        let below = paths.filter_map(|(path, kept)| Some((Path::new(path).strip_prefix(host).ok()?.to_str()?, kept)));
        let place = |(path, kept): (&str, Kept)| {
            let names = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            Place::find(dir.as_fd(), names, kept)
        };
        let places = below.map(place).collect::<Result<_, _>>()?;
        let elsewhere = grant.linked.iter().copied().map(Identity::from).collect();
        Ok(Self { places, elsewhere, linked: OnceLock::new() })
    }

    /// Why what is at a spot may not be changed in this way; `None` where it may. `root` is the mount's directory.
    pub(crate) fn why_not(
        &self,
        root: impl AsFd,
        spot: &Spot,
        operation: FileOperation,
    ) -> Result<Option<String>, Errno> {
        if self.places.is_empty() && self.elsewhere.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = spot.path.names().collect();
        let by_path = self.closest(|place| place.relation(&names));
        let related = match by_path {
            Some((_, Relation::Within)) => by_path,
            Some((_, Relation::Around)) if takes_the_name(operation) => by_path,
            Some((_, Relation::Around)) | None => self.by_thing(root.as_fd(), spot)?.or(by_path),
        };
        let Some((place, relation)) = related else {
            return if writes(operation) { self.by_other_name(root.as_fd(), spot) } else { Ok(None) };
        };
        let shown = place.names.join("/");
        Ok(match relation {
            Relation::Within => {
                Some(format!("`{shown}` is read-only inside a write grant: this host reads tools or rules from there"))
            }
            // Whatever else came to the folder's name would come to that of the place.
            Relation::Around if takes_the_name(operation) => Some(match place.kept {
                Kept::Whole => {
                    format!("it holds `{shown}`, which this host reads tools or rules from, and stays where it is")
                }
                Kept::There => {
                    format!("`{shown}` stays where it is: this host reads tools or rules by a path through it")
                }
            }),
            Relation::Around => None,
        })
    }

    /// The first place that something lies in, else the first that lies in it.
    fn closest(&self, relation: impl Fn(&Place) -> Option<Relation>) -> Option<(&Place, Relation)> {
        let related = || self.places.iter().filter_map(|place| Some((place, relation(place)?)));
        related().find(|(_, relation)| *relation == Relation::Within).or_else(|| related().next())
    }

    /// By what is passed on the way, and by what is there: a file system may know a folder by other names than these.
    fn by_thing(&self, root: impl AsFd, spot: &Spot) -> Result<Option<(&Place, Relation)>, Errno> {
        let last = spot.see()?.map(Identity::of);
        let mut passed = vec![Identity::of(see_open(&spot.dir)?)];
        // First what needs no look at the way: it may not be there any more.
        let direct = self.closest(|place| place.relation_of(&passed, last));
        if let Some((_, Relation::Within)) = direct {
            return Ok(direct);
        }
        let mut here = open_directory(root, ".", Handle::Pass)?;
        for name in spot.path.parent().names() {
            here = open_directory(&here, name, Handle::Pass)?;
            passed.push(Identity::of(see_open(&here)?));
        }
        Ok(self.closest(|place| place.relation_of(&passed, last)))
    }

    /// Why a file may not be changed that has a second name in one of these places.
    fn by_other_name(&self, root: impl AsFd, spot: &Spot) -> Result<Option<String>, Errno> {
        if spot.found != Some(FileType::RegularFile) {
            return Ok(None);
        }
        let stat = match spot.name.as_str() {
            "." => rustix::fs::fstat(&spot.dir)?,
            name => rustix::fs::statat(&spot.dir, name, AtFlags::SYMLINK_NOFOLLOW)?,
        };
        if stat.st_nlink < 2 {
            return Ok(None);
        }
        let itself = spot.see()?.map(Identity::of);
        let is_among = |linked: &Vec<Identity>| itself.is_some_and(|itself| linked.contains(&itself));
        let another = || Some("it is another name of a file that this host reads tools or rules from".to_owned());
        if is_among(&self.elsewhere) {
            return Ok(another());
        }
        Ok(match self.linked.get_or_init(|| self.find_linked(root)) {
            Some(linked) if !is_among(linked) => None,
            Some(_) => another(),
            None => {
                Some("nobody can tell whether it is another name of a file that this host reads tools from".to_owned())
            }
        })
    }

    /// The files in these places that have several names. `None` where they cannot all be looked at.
    fn find_linked(&self, root: impl AsFd) -> Option<Vec<Identity>> {
        let mut search = Search { linked: Vec::new(), entries: ENTRIES_MAX };
        for place in self.places.iter().filter(|place| place.kept == Kept::Whole) {
            let (name, folders) = place.names.split_last()?;
            let opened =
                folders.iter().try_fold(open_directory(root.as_fd(), ".", Handle::Pass).ok()?, |here, name| {
                    open_directory(&here, name.as_str(), Handle::Pass).ok()
                });
            // What is not there has no files.
            if let Some(dir) = opened {
                search.look(&dir, name, DEPTH_MAX)?;
            }
        }
        Some(search.linked)
    }
}

/// Operations after which a name stands for something else. What makes a new folder or opens a file is about what is in it.
fn takes_the_name(operation: FileOperation) -> bool {
    match operation {
        FileOperation::Rename | FileOperation::Remove | FileOperation::Link => true,
        FileOperation::Read
        | FileOperation::Stat
        | FileOperation::Write
        | FileOperation::CreateDirectory
        | FileOperation::SetTimes => false,
    }
}

/// Operations that change a file under all of its names.
fn writes(operation: FileOperation) -> bool {
    match operation {
        FileOperation::Write | FileOperation::SetTimes => true,
        FileOperation::Read
        | FileOperation::Stat
        | FileOperation::CreateDirectory
        | FileOperation::Remove
        | FileOperation::Rename
        | FileOperation::Link => false,
    }
}

impl Place {
    /// Finds out what is at a path, and in which folders that is. What is not there now may come to be there.
    fn find(dir: impl AsFd, names: Vec<String>, kept: Kept) -> Result<Self, Errno> {
        let mut place = Self { kept, names, around: Vec::new(), itself: None };
        let mut here = open_directory(dir, ".", Handle::Pass)?;
        for (number, name) in place.names.iter().enumerate() {
            let Some(seen) = see(&here, name.as_str())? else { break };
            if number + 1 == place.names.len() {
                place.itself = Some(Identity::of(seen));
            } else if seen.file_type == FileType::Directory {
                here = open_directory(&here, name.as_str(), Handle::Pass)?;
                place.around.push(Identity::of(seen));
            } else {
                break;
            }
        }
        Ok(place)
    }

    fn relation(&self, path: &[&str]) -> Option<Relation> {
        let is_same = |(own, name): (&String, &&str)| own == name || is_name_of(name, own);
        if path.is_empty() || !self.names.iter().zip(path).all(is_same) {
            return None;
        }
        if path.len() < self.names.len() {
            return Some(Relation::Around);
        }
        match self.kept {
            Kept::Whole => Some(Relation::Within),
            Kept::There => (path.len() == self.names.len()).then_some(Relation::Around),
        }
    }

    /// The same of what is reached through these folders.
    fn relation_of(&self, passed: &[Identity], last: Option<Identity>) -> Option<Relation> {
        let is_it = |thing: &Identity| self.itself == Some(*thing);
        if self.kept == Kept::Whole && passed.iter().chain(&last).any(is_it) {
            return Some(Relation::Within);
        }
        last.filter(|last| self.around.contains(last) || is_it(last)).map(|_| Relation::Around)
    }
}

/// A search for files with several names.
struct Search {
    linked: Vec<Identity>,
    /// How many entries may still be looked at.
    entries: usize,
}

impl Search {
    /// Looks at what has this name, and at what is in it down to a depth. `None` where something cannot be looked at.
    fn look(&mut self, dir: &File, name: &str, depth: usize) -> Option<()> {
        self.entries = self.entries.checked_sub(1)?;
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Some(()),
            Err(_) => return None,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if stat.st_nlink > 1 => {
                self.linked.extend(see(dir, name).ok()?.map(Identity::of));
            }
            FileType::Directory if depth > 0 => {
                let inner = open_directory(dir, name, Handle::Read).ok()?;
                for entry in rustix::fs::Dir::read_from(&inner).ok()? {
                    let entry = entry.ok()?;
                    // A name that is no text is none that a tool is loaded by.
                    let Ok(name) = entry.file_name().to_str() else { continue };
                    if !matches!(name, "." | "..") {
                        self.look(&inner, name, depth - 1)?;
                    }
                }
            }
            _ => {}
        }
        Some(())
    }
}
