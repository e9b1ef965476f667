//! Names in a mount that are not a guest's to use, whatever was granted: this host's own, which are hidden, and those of files
//! that run by themselves, which stay as they are. Asked wherever a path is resolved, listed, changed or mounted.

/// The folder with this host's own records. No guest can see or name it.
const OWN_FOLDER: &str = ".agent-host";

/// Letters that a short name of FAT keeps of the long one.
const SHORT_NAME_START: usize = 6;

/// The name under which an undo writes content before it takes its place. Not a guest's either.
pub(crate) const UNDO_FILE: &str = ".agent-host.undo";

/// Names that stay as they are inside a write mount, at any depth: what is in them runs later, outside of any sandbox, or is the
/// key to something. In small letters: others are compared with them so.
const PROTECTED: [&str; 73] = [
    ".aws",
    ".bash_aliases",
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".cargo",
    ".claude",
    ".codex",
    ".config",
    ".cshrc",
    ".cursor",
    ".devcontainer",
    ".direnv",
    ".docker",
    ".emacs",
    ".emacs.d",
    ".envrc",
    ".exrc",
    ".gdbinit",
    ".gemini",
    ".git",
    ".git-credentials",
    ".gitconfig",
    ".gitmodules",
    ".gnupg",
    ".gradle",
    ".hg",
    ".husky",
    ".idea",
    ".irbrc",
    ".kshrc",
    ".kube",
    ".lldbinit",
    ".local",
    ".login",
    ".logout",
    ".mcp.json",
    ".mvn",
    ".netrc",
    ".npmrc",
    ".nvim.lua",
    ".nvimrc",
    ".pam_environment",
    ".pdbrc",
    ".pnpmfile.cjs",
    ".profile",
    ".pryrc",
    ".pypirc",
    ".renviron",
    ".rprofile",
    ".screenrc",
    ".ssh",
    ".svn",
    ".tcshrc",
    ".tmux.conf",
    ".vim",
    ".vimrc",
    ".vscode",
    ".windsurf",
    ".xinitrc",
    ".xprofile",
    ".xsession",
    ".xsessionrc",
    ".yarn",
    ".yarnrc",
    ".yarnrc.yml",
    ".zed",
    ".zlogin",
    ".zlogout",
    ".zprofile",
    ".zshenv",
    ".zshrc",
];

/// Characters of the longest of these names, and more.
const OWN_CHARS_MAX: usize = 32;

/// Whether guests do not see an entry of this name.
pub(crate) fn is_hidden(name: &str) -> bool {
    is_spelling_of(name, &[OWN_FOLDER, UNDO_FILE])
}

/// Whether guests may not change an entry of this name.
pub(crate) fn is_protected(name: &str) -> bool {
    is_spelling_of(name, &PROTECTED)
}

/// Whether some file system takes `name` for `own`, which is ASCII: see [`is_spelling_of`].
pub(crate) fn is_name_of(name: &str, own: &str) -> bool {
    let long = without_stream(name);
    all_folded(visible(long)).eq_ignore_ascii_case(own) || is_short_name(long, own)
}

/// Whether some file system takes `name` for one of `own`, which begin with a dot: many ignore case, some also letters that only
/// look odd, characters that nobody sees, or dots and spaces at the end; and FAT has a short name beside the long one.
fn is_spelling_of(name: &str, own: &[&str]) -> bool {
    let long = without_stream(name);
    let mut seen = visible(long).peekable();
    let is_long_name = seen.peek() == Some(&'.') && own.contains(&all_folded(seen).as_str());
    is_long_name || own.iter().any(|own| is_short_name(long, own))
}

/// NTFS reads `.git::$INDEX_ALLOCATION` as `.git`.
fn without_stream(name: &str) -> &str {
    name.split_once(':').map_or(name, |(name, _)| name)
}

fn visible(name: &str) -> impl Iterator<Item = char> {
    name.trim_end_matches(['.', ' ']).chars().filter(|c| !is_ignored(*c))
}

fn all_folded(name: impl Iterator<Item = char>) -> String {
    name.take(OWN_CHARS_MAX).fold(String::new(), folded)
}

/// `name` and one more character, as names are compared where case does not count (Unicode's full case folding, as far as it
/// leads to ASCII).
fn folded(mut name: String, c: char) -> String {
    match c {
        'ß' | 'ẞ' => name.push_str("ss"),
        'ﬀ' => name.push_str("ff"),
        'ﬁ' => name.push_str("fi"),
        'ﬂ' => name.push_str("fl"),
        'ﬃ' => name.push_str("ffi"),
        'ﬄ' => name.push_str("ffl"),
        'ﬅ' | 'ﬆ' => name.push_str("st"),
        '\u{17f}' => name.push('s'),
        '\u{212a}' => name.push('k'),
        c => name.push(c.to_ascii_lowercase()),
    }
    name
}

/// Characters that file systems which fold case leave out (Unicode's `Default_Ignorable_Code_Point`), and others that nobody
/// sees.
fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
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
            assert_eq!(is_spelling_of(name, &[".git"]), is, "{name}");
        }
        for (name, own) in [
            (".ßh", ".ssh"),
            (".ẞH", ".ssh"),
            (".proﬁle", ".profile"),
            (".g\u{ad}it", ".git"),
            (".g\u{2060}it", ".git"),
            (".git\u{fe0f}", ".git"),
            (".\u{e0041}git", ".git"),
        ] {
            assert!(is_spelling_of(name, &[own]), "{name}");
        }
        assert!(
            is_protected(".Rprofile") && is_protected(".nvim.lua") && is_protected(".AWS") && !is_protected(".aws2")
        );
        assert!(PROTECTED.iter().all(|name| is_protected(name) && name.len() < OWN_CHARS_MAX));
        assert!(is_hidden(".agent-hoﬆ") && is_hidden(".agent-ho\u{180b}st") && !is_protected(".vimrc2"));
        assert!(
            is_spelling_of(".\u{17f}\u{17f}h", &[".ssh"]) && is_hidden("AGENT-~1") && is_hidden(".agent-ho\u{17f}t")
        );
    }
}
