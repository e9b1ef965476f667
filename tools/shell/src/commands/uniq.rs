//! `uniq`: lines that follow each other and are the same.

use super::lines::Lines;
use super::options::{Given, Options};
use crate::files::Opening;
use crate::identity;
use crate::run::Call;
use crate::stop::{Outcome, Stop};
use crate::streams::Written;

const OPTIONS: Options = Options::new(
    "cdui",
    "fsw",
    &[
        ("count", 'c'),
        ("repeated", 'd'),
        ("unique", 'u'),
        ("ignore-case", 'i'),
        ("skip-fields", 'f'),
        ("skip-chars", 's'),
        ("check-chars", 'w'),
    ],
);

/// Which part of a line is compared.
struct Compared {
    fields: usize,
    skipped: usize,
    length: usize,
    ignores_case: bool,
}

pub(super) async fn uniq(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let count = |option, usual| {
        given.number(option).map(|number| number.map_or(usual, |number| usize::try_from(number).unwrap_or(usize::MAX)))
    };
    let compared = Compared {
        fields: count('f', 0)?,
        skipped: count('s', 0)?,
        length: count('w', usize::MAX)?,
        ignores_case: given.has('i'),
    };
    let (input, output) = match &given.operands[..] {
        [] => ("-", None),
        [input] => (input.as_str(), None),
        [input, output] => (input.as_str(), Some(output)),
        [_, _, extra, ..] => return Err(Stop::failed(format!("`{extra}` is too much"))),
    };
    if let Some(output) = output {
        // What cannot be read must not cost what is in the other file.
        drop(call.shell.open_input(input)?);
        if let (Ok(from), Ok(into)) = (call.shell.place(input), call.shell.place(output))
            && identity::are_same(&from, &into)
        {
            return Err(Stop::failed(format!("'{input}' and '{output}' are the same file")));
        }
        call.out = Written::to(call.shell.open_output(output, Opening::Truncated)?);
    }
    let mut lines = Lines::new(&[input.to_owned()]);
    let (mut line, mut before, mut times) = (Vec::new(), None::<Vec<u8>>, 0_u64);
    while lines.next(call, &mut line).await? {
        match &mut before {
            Some(first) if compared.part(first) == compared.part(&line) => times += 1,
            _ => {
                group(call, &given, before.replace(std::mem::take(&mut line)), times).await?;
                times = 1;
            }
        }
    }
    group(call, &given, before, times).await?;
    Ok(lines.inputs.status)
}

async fn group(call: &mut Call<'_>, given: &Given, line: Option<Vec<u8>>, times: u64) -> Outcome<()> {
    let Some(line) = line else { return Ok(()) };
    let is_left_out = (given.has('d') && times < 2) || (given.has('u') && times > 1);
    if is_left_out {
        return Ok(());
    }
    if given.has('c') {
        call.out.put(format!("{times:>7} ")).await?;
    }
    call.out.line(line).await
}

impl Compared {
    fn part(&self, line: &[u8]) -> Vec<u8> {
        let mut rest = line;
        for _ in 0..self.fields {
            let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let letters = rest[blanks..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
            rest = &rest[blanks + letters..];
        }
        rest = &rest[self.skipped.min(rest.len())..];
        rest = &rest[..self.length.min(rest.len())];
        if self.ignores_case { rest.to_ascii_lowercase() } else { rest.to_vec() }
    }
}
