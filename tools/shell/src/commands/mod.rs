//! The commands of this shell, one file each. They read and write through their `Call`, never the process's own streams, and end by
//! what they return: that is why the uutils crates do not serve here, whose commands print to standard output and exit.

mod basename;
mod cat;
mod characters;
mod comm;
mod copy;
mod cut;
mod date;
mod destination;
mod diff;
mod env;
pub(crate) mod escapes;
mod expr;
mod find;
mod grep;
mod head;
mod lines;
mod ls;
mod made;
mod make;
mod move_files;
mod nl;
pub(crate) mod options;
mod part;
mod paste;
pub(crate) mod regular;
mod remove;
mod rev;
mod sed;
mod seq;
mod sh;
mod sort;
mod tail;
mod tee;
mod touch;
mod tr;
mod tree;
mod uniq;
mod wc;
mod xargs;

use crate::builtins::programs;
use crate::run::{Call, Program, Running};

programs! {
    "basename" => basename::basename,
    "cat" => cat::cat,
    "cmp" => diff::cmp,
    "comm" => comm::comm,
    "cp" => copy::cp,
    "cut" => cut::cut,
    "date" => date::date,
    "diff" => diff::diff,
    "dirname" => basename::dirname,
    "egrep" | "fgrep" | "grep" => grep::grep,
    "env" | "printenv" => env::env,
    "expr" => expr::expr,
    "find" => find::find,
    "head" => head::head,
    "ls" => ls::ls,
    "mkdir" => make::mkdir,
    "mv" => move_files::mv,
    "nl" => nl::nl,
    "paste" => paste::paste,
    "rev" => rev::rev,
    "rm" => remove::rm,
    "rmdir" => make::rmdir,
    "sed" => sed::sed,
    "seq" => seq::seq,
    "sh" | "bash" | "dash" => sh::sh,
    "sleep" => date::sleep,
    "sort" => sort::sort,
    "tac" => rev::tac,
    "tail" => tail::tail,
    "tee" => tee::tee,
    "touch" => touch::touch,
    "tr" => tr::tr,
    "uniq" => uniq::uniq,
    "wc" => wc::wc,
    "xargs" => xargs::xargs,
    "yes" => seq::yes,
}
