//! `echo`, as bash has it: backslashes are text unless `-e` says otherwise.

use crate::commands::escapes::{self, Escapes};
use crate::run::Call;
use crate::stop::Outcome;

pub(super) async fn echo(call: &mut Call<'_>) -> Outcome<u8> {
    let (mut ends_line, mut has_escapes) = (true, false);
    let is_option =
        |word: &&String| word.len() > 1 && word.starts_with('-') && word[1..].chars().all(|c| "neE".contains(c));
    let options = call.arguments.iter().take_while(is_option).count();
    for letter in call.arguments[..options].iter().flat_map(|word| word[1..].chars()) {
        match letter {
            'n' => ends_line = false,
            'e' => has_escapes = true,
            _ => has_escapes = false,
        }
    }
    let text = call.arguments[options..].join(" ");
    if !has_escapes {
        call.out.put(text).await?;
    } else {
        let (bytes, goes_on) = escapes::replaced(&text, Escapes::Echo);
        call.out.put(bytes).await?;
        ends_line &= goes_on;
    }
    if ends_line {
        call.out.put("\n").await?;
    }
    Ok(0)
}
