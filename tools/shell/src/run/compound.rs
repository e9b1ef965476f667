//! Runs compound commands: groups, conditions, loops, `case`, functions being defined.

use std::rc::Rc;

use super::{Running, command, end_of_shell, list, test};
use crate::expand;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::syntax::{AfterArm, Arithmetic, Arm, Command, GoesOn, Kind, List, Word};

pub(super) async fn run(shell: &mut Shell, kind: &Kind) -> Outcome<u8> {
    match kind {
        // A simple command is run where its redirections are known.
        Kind::Simple { .. } => Ok(0),
        Kind::Group(body) => list(shell, body).await,
        Kind::Subshell(body) => {
            let mut subshell = shell.subshell()?;
            let ended = list(&mut subshell, body).await;
            end_of_shell(&mut subshell, ended).await
        }
        Kind::If { branches, otherwise } => conditional(shell, branches, otherwise.as_ref()).await,
        Kind::Loop { goes_on, condition, body } => repeated(shell, *goes_on, condition, body).await,
        Kind::For { name, words, body } => for_each(shell, name, words.as_deref(), body).await,
        Kind::Counting { start, condition, step, body } => counting(shell, [start, condition, step], body).await,
        Kind::Case { word, arms } => case(shell, word, arms).await,
        Kind::Arithmetic(expression) => Ok(u8::from(expand::arithmetic(shell, expression).await? == 0)),
        Kind::Test(condition) => Ok(u8::from(!test::holds(shell, condition).await?)),
        Kind::Function { name, body } => {
            Rc::make_mut(&mut shell.functions).insert(name.clone(), Rc::clone(body));
            Ok(0)
        }
    }
}

/// Runs commands whose end decides something: `set -e` does not look at it.
async fn holds(shell: &mut Shell, condition: &List) -> Outcome<bool> {
    shell.looked_at += 1;
    let ended = list(shell, condition).await;
    shell.looked_at -= 1;
    Ok(ended? == 0)
}

async fn conditional(shell: &mut Shell, branches: &[(List, List)], otherwise: Option<&List>) -> Outcome<u8> {
    for (condition, body) in branches {
        if holds(shell, condition).await? {
            return list(shell, body).await;
        }
    }
    match otherwise {
        Some(body) => list(shell, body).await,
        None => Ok(0),
    }
}

/// What a turn of a loop means for the loop.
enum Turn {
    Next(u8),
    Last,
}

/// One turn: `break` and `continue` for this loop end here, those for an outer one go on outwards.
async fn turn(shell: &mut Shell, body: &List) -> Outcome<Turn> {
    match list(shell, body).await {
        Ok(status) => Ok(Turn::Next(status)),
        Err(Stop::Break(0 | 1)) => Ok(Turn::Last),
        Err(Stop::Continue(0 | 1)) => Ok(Turn::Next(0)),
        Err(Stop::Break(loops)) => Err(Stop::Break(loops - 1)),
        Err(Stop::Continue(loops)) => Err(Stop::Continue(loops - 1)),
        Err(other) => Err(other),
    }
}

async fn repeated(shell: &mut Shell, goes_on: GoesOn, condition: &List, body: &List) -> Outcome<u8> {
    shell.loops += 1;
    let ended = turns(shell, goes_on, condition, body).await;
    shell.loops -= 1;
    ended
}

async fn turns(shell: &mut Shell, goes_on: GoesOn, condition: &List, body: &List) -> Outcome<u8> {
    let mut status = 0;
    // Ends by its condition; else by the bound on commands, which counts those of each turn.
    loop {
        let goes = match holds(shell, condition).await {
            Ok(holds) => holds == (goes_on == GoesOn::WhileTrue),
            Err(Stop::Break(0 | 1)) => false,
            Err(Stop::Continue(0 | 1)) => continue,
            Err(Stop::Break(loops)) => return Err(Stop::Break(loops - 1)),
            Err(Stop::Continue(loops)) => return Err(Stop::Continue(loops - 1)),
            Err(other) => return Err(other),
        };
        if !goes {
            return Ok(status);
        }
        match turn(shell, body).await? {
            Turn::Next(ended) => status = ended,
            Turn::Last => return Ok(0),
        }
    }
}

async fn for_each(shell: &mut Shell, name: &str, words: Option<&[Word]>, body: &List) -> Outcome<u8> {
    let values = match words {
        Some(words) => expand::words(shell, words).await?,
        None => shell.positional.to_vec(),
    };
    let mut status = 0;
    for value in values {
        shell.assign(name, &value)?;
        shell.loops += 1;
        let ended = turn(shell, body).await;
        shell.loops -= 1;
        match ended? {
            Turn::Next(ended) => status = ended,
            Turn::Last => return Ok(0),
        }
    }
    Ok(status)
}

async fn counting(shell: &mut Shell, [start, condition, step]: [&Arithmetic; 3], body: &List) -> Outcome<u8> {
    let mut status = 0;
    expand::arithmetic(shell, start).await?;
    while expand::arithmetic(shell, condition).await? != 0 {
        shell.loops += 1;
        let ended = turn(shell, body).await;
        shell.loops -= 1;
        match ended? {
            Turn::Next(ended) => status = ended,
            Turn::Last => return Ok(0),
        }
        expand::arithmetic(shell, step).await?;
    }
    Ok(status)
}

async fn case(shell: &mut Shell, word: &Word, arms: &[Arm]) -> Outcome<u8> {
    let value = expand::text(shell, word).await?;
    let mut status = 0;
    let mut falls_through = false;
    for arm in arms {
        if !falls_through && !matches_arm(shell, arm, &value).await? {
            continue;
        }
        status = list(shell, &arm.body).await?;
        match arm.then {
            AfterArm::End => return Ok(status),
            AfterArm::FallThrough => falls_through = true,
            AfterArm::TryOthers => falls_through = false,
        }
    }
    Ok(status)
}

async fn matches_arm(shell: &mut Shell, arm: &Arm, value: &str) -> Outcome<bool> {
    for pattern in &arm.patterns {
        if expand::pattern(shell, pattern).await?.matches(value) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Calls a function: its arguments take the place of the script's while it runs.
pub(super) async fn call_function(shell: &mut Shell, body: Rc<Command>, arguments: &[String]) -> Outcome<u8> {
    let positional = std::mem::replace(&mut shell.positional, Rc::new(arguments.to_vec()));
    let loops = std::mem::take(&mut shell.loops);
    shell.hidden.push(Vec::new());
    let running: Running<'_> = Box::pin(command(shell, &body));
    let ended = running.await;
    for (name, variable) in shell.hidden.pop().unwrap_or_default().into_iter().rev() {
        shell.variables.put_back(&name, variable);
    }
    shell.positional = positional;
    shell.loops = loops;
    match ended {
        Err(Stop::Return(status)) => Ok(status),
        other => other,
    }
}
