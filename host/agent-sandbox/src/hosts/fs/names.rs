//! Names in a mount that are not a guest's to use, whatever was granted: this host's own, which are hidden, and those of files
//! that run by themselves, which stay as they are. Asked wherever a path is resolved, listed, changed or mounted.

/// The folder with this host's own records. No guest can see or name it.
const OWN_FOLDER: &str = ".agent-host";

/// Letters that a short name of FAT keeps of the long one.
const SHORT_NAME_START: usize = 6;

/// The name under which an undo writes content before it takes its place. Not a guest's either.
pub(crate) const UNDO_FILE: &str = ".agent-host.undo";

/// Names that stay as they are inside a write mount, at any depth: what is in them runs later, outside of any sandbox.
pub(crate) const PROTECTED: [&str; 34] = [
    ".git",
    ".hg",
    ".svn",
    ".ssh",
    ".gitconfig",
    ".gitmodules",
    ".husky",
    ".envrc",
    ".direnv",
    ".bashrc",
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".cshrc",
    ".kshrc",
    ".login",
    ".logout",
    ".npmrc",
    ".pam_environment",
    ".profile",
    ".tcshrc",
    ".vscode",
    ".idea",
    ".xinitrc",
    ".xprofile",
    ".xsession",
    ".xsessionrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".zlogin",
    ".zlogout",
    ".zprofile",
    ".zshenv",
    ".zshrc",
];

/// Whether guests do not see an entry of this name.
pub(crate) fn is_hidden(name: &str) -> bool {
    is_spelling_of(name, OWN_FOLDER) || is_spelling_of(name, UNDO_FILE)
}

/// Whether some file system takes `name` for `own`, which begins with a dot: many ignore case, some also letters that only
/// look odd, characters that nobody sees, or dots and spaces at the end; and FAT has a short name beside the long one.
pub(crate) fn is_spelling_of(name: &str, own: &str) -> bool {
    let unseen = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let plain = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    // NTFS reads `.git::$INDEX_ALLOCATION` as `.git`.
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    let seen = name.trim_end_matches(['.', ' ']).chars().filter(|c| !unseen(c)).map(plain);
    seen.eq(own.chars()) || is_short_name(name, own)
}

/// `GIT~1` for `.git`.
fn is_short_name(name: &str, own: &str) -> bool {
    let Some((start, number)) = name.split_once('~') else { return false };
    let own = own.trim_start_matches('.');
    !start.is_empty()
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit())
        && own.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start))
        && start.len() >= own.len().min(SHORT_NAME_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_every_spelling_that_leads_to_it() {
        for (name, is) in [
            (".git", true),
            (".GIT", true),
            (".git.", true),
            (".git . ", true),
            (".g\u{200c}it", true),
            ("git~1", true),
            (".git::$INDEX_ALLOCATION", true),
            (".git :x", true),
            ("GIT~12", true),
            (".gitignore", false),
            ("git", false),
            ("gi~1", false),
            ("git~", false),
            (".git-old", false),
        ] {
            assert_eq!(is_spelling_of(name, ".git"), is, "{name}");
        }
        assert!(is_spelling_of(".\u{17f}\u{17f}h", ".ssh") && is_hidden("AGENT-~1") && is_hidden(".agent-ho\u{17f}t"));
    }
}
