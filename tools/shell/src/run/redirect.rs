//! Redirections: which stream each number stands for while a command runs.

use crate::expand;
use crate::files::Opening;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::streams::{Input, Stream};
use crate::syntax::{Redirection, Target};

/// Highest number of a stream. More would not be a script but a mistake.
const NUMBER_MAX: u32 = 99;

/// Changes the shell's streams. The caller puts the earlier ones back.
pub(crate) async fn apply(shell: &mut Shell, redirections: &[Redirection]) -> Outcome<()> {
    for redirection in redirections {
        if redirection.number > NUMBER_MAX {
            return Err(Stop::failed(format!("{}: streams have numbers up to {NUMBER_MAX}", redirection.number)));
        }
        one(shell, redirection).await?;
    }
    Ok(())
}

async fn one(shell: &mut Shell, redirection: &Redirection) -> Outcome<()> {
    let stream = match &redirection.target {
        Target::Read(word) => {
            let name = expand::text(shell, word).await?;
            Stream::In(shell.open_input(if name == "-" { "./-" } else { &name })?)
        }
        Target::Write(word) => {
            let how = if shell.options.noclobber { Opening::New } else { Opening::Truncated };
            let name = expand::text(shell, word).await?;
            Stream::Out(shell.open_output(&name, how)?)
        }
        Target::Overwrite(word) => {
            let name = expand::text(shell, word).await?;
            Stream::Out(shell.open_output(&name, Opening::Truncated)?)
        }
        Target::Append(word) => {
            let name = expand::text(shell, word).await?;
            Stream::Out(shell.open_output(&name, Opening::Appended)?)
        }
        Target::ReadWrite(word) => {
            let name = expand::text(shell, word).await?;
            shell.open_both(&name)?
        }
        Target::Duplicate(word) => {
            let number = expand::text(shell, word).await?;
            return duplicate(shell, redirection.number, &number);
        }
        Target::BothInto { word, is_appended } => {
            let name = expand::text(shell, word).await?;
            let how = match (is_appended, shell.options.noclobber) {
                (true, _) => Opening::Appended,
                (false, true) => Opening::New,
                (false, false) => Opening::Truncated,
            };
            let output = shell.open_output(&name, how)?;
            shell.streams.set(2, Stream::Out(output.clone()));
            Stream::Out(output)
        }
        Target::Document(slot) => {
            let text = match slot.get() {
                Some(word) => expand::text(shell, word).await?,
                None => String::new(),
            };
            Stream::In(Input::text(text.into_bytes()))
        }
        Target::Text(word) => {
            let text = expand::text(shell, word).await?;
            Stream::In(Input::text(format!("{text}\n").into_bytes()))
        }
    };
    shell.streams.set(redirection.number, stream);
    Ok(())
}

/// `2>&1`: what 1 stands for now. `2>&-` closes.
fn duplicate(shell: &mut Shell, number: u32, of: &str) -> Outcome<()> {
    if of == "-" {
        shell.streams.close(number);
        return Ok(());
    }
    let stream = of.parse().ok().and_then(|of| shell.streams.get(of)).cloned();
    let Some(stream) = stream else { return Err(Stop::failed(format!("{of}: Bad file descriptor"))) };
    shell.streams.set(number, stream);
    Ok(())
}
