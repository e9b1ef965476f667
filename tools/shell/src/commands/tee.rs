//! `tee`: input into files and to the output.

use super::options::Options;
use crate::files::Opening;
use crate::run::Call;
use crate::stop::Outcome;

const OPTIONS: Options = Options::new("ai", "", &[("append", 'a')]);

pub(super) async fn tee(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let how = if given.has('a') { Opening::Appended } else { Opening::Truncated };
    let (mut outputs, mut status) = (Vec::new(), 0);
    for name in &given.operands {
        match call.shell.open_output(name, how) {
            Ok(output) => outputs.push(output),
            Err(stop) => status = call.tell(stop).await?,
        }
    }
    let input = call.shell.streams.input();
    while let Some(chunk) = input.chunk().await? {
        for output in &outputs {
            output.write(&chunk).await?;
        }
        call.out.put(chunk).await?;
    }
    Ok(status)
}
