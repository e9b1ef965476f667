//! A command as a tool: a component that exports `wasi:cli/run`. Arguments and standard input go in; what it printed and the code
//! that it ended with come out. `exports` finds it, `invoke` runs it, `report` tells what came of it.

use agent_core::limits::Limits;
use agent_core::outcome::{Content, ResourceBody, ToolOutcome};
use agent_core::units::Bytes;
use wasmtime::Store;
use wasmtime::component::{Func, Val};

use crate::base64;
use crate::hosts::cli::Printed;
use crate::state::CallState;
use crate::value::json::Json;
use crate::value::lower::lower_fields;
use crate::value::shape::{Field, Shape};
use crate::value::{Mismatch, Path};

/// The interface of commands, in every version of WASI 0.2.
const INTERFACE: &str = "wasi:cli/run@0.2.";

/// What is said of a command that says nothing itself.
pub(crate) const DESCRIPTION: &str =
    "Run this command-line program with arguments and standard input. Its standard output is the result.";

/// What the arguments are, for the model.
const ARGS: &str =
    "The command line, without the program's own name: one element for each argument. Nothing is expanded.";
const STDIN: &str = "What the program reads from its standard input.";

/// Whether an export makes a command.
pub(crate) fn is_run(interface: Option<&str>, function: &str) -> bool {
    function == "run" && interface.is_some_and(|interface| interface.starts_with(INTERFACE))
}

/// What the tool takes.
pub(crate) fn fields() -> Vec<Field> {
    let option = |shape: Shape| Shape::Option(Box::new(shape));
    vec![
        Field { name: "args".to_owned(), shape: option(Shape::List(Box::new(Shape::String))) },
        Field { name: "stdin".to_owned(), shape: option(Shape::String) },
    ]
}

/// What is said of these.
pub(crate) fn notes() -> crate::describe::schema::Notes {
    [("args".to_owned(), ARGS.to_owned()), ("stdin".to_owned(), STDIN.to_owned())].into()
}

/// What one run of a command is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) args: Vec<String>,
    pub(crate) stdin: String,
}

impl CommandLine {
    /// From the tool's arguments.
    pub(crate) fn lower(json: &Json<'_>, fields: &[Field], path: &Path<'_>) -> Result<Self, Mismatch> {
        let mut line = Self::default();
        for (_, val) in lower_fields(json, fields, path)? {
            let Val::Option(Some(val)) = val else { continue };
            match *val {
                Val::String(stdin) => line.stdin = stdin,
                Val::List(args) => line.args = args.into_iter().filter_map(text).collect(),
                _ => unreachable!("a command takes texts"),
            }
        }
        if line.args.iter().any(|arg| arg.contains('\0')) {
            return Err(path.field("args").mismatch("an argument holds a zero byte, which no command line can carry"));
        }
        Ok(line)
    }
}

fn text(val: Val) -> Option<String> {
    if let Val::String(text) = val { Some(text) } else { None }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

/// Runs the command. One that exits does so by a trap of our own, which `invoke` knows.
///
/// # Errors
/// What stopped the guest.
pub(crate) async fn run(store: &mut Store<CallState>, run: Func) -> wasmtime::Result<Exit> {
    let run = run.typed::<(), (Result<(), ()>,)>(&mut *store)?;
    let (result,) = run.call_async(store, ()).await?;
    Ok(Exit(u8::from(result.is_err())))
}

/// What the command printed and ended with, as an outcome. What it printed is then told there and nowhere else.
pub(crate) fn outcome(Exit(code): Exit, printed: &mut Printed, limits: &Limits) -> ToolOutcome {
    let (stdout, stderr) = (std::mem::take(&mut printed.stdout), std::mem::take(&mut printed.stderr));
    let dropped = (printed.dropped != Bytes(0)).then(|| {
        let (dropped, kept) = (printed.dropped, limits.output_bytes);
        format!(
            "({dropped} more were printed than the {kept} that are kept; ask for less, or raise `limits.output_bytes`)"
        )
    });
    if code != 0 {
        let parts = [("standard error", &stderr), ("standard output", &stdout)];
        let parts = parts.iter().filter(|(_, bytes)| !bytes.is_empty());
        let parts = parts.map(|(name, bytes)| format!("{name}:\n{}", String::from_utf8_lossy(bytes).trim_end()));
        let lines = std::iter::once(format!("the command ended with exit code {code}")).chain(parts).chain(dropped);
        return ToolOutcome::Failed { message: lines.collect::<Vec<_>>().join("\n") };
    }
    let mut content = vec![shown(stdout)];
    if !stderr.is_empty() {
        content.push(Content::Text(format!("standard error:\n{}", String::from_utf8_lossy(&stderr))));
    }
    content.extend(dropped.map(Content::Text));
    ToolOutcome::Returned { content }
}

/// What the bytes are called that a command printed: a URI, as clients expect one.
const STDOUT: &str = "agent-host:stdout";

/// Text where it is text.
fn shown(stdout: Vec<u8>) -> Content {
    String::from_utf8(stdout).map_or_else(
        |error| Content::Resource {
            uri: STDOUT.to_owned(),
            mime_type: Some("application/octet-stream".to_owned()),
            body: ResourceBody::Base64(base64::encode(error.as_bytes())),
        },
        Content::Text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(stdout: &[u8], stderr: &[u8], dropped: u64) -> Printed {
        Printed { stdout: stdout.to_vec(), stderr: stderr.to_vec(), dropped: Bytes(dropped) }
    }

    fn told(code: u8, mut printed: Printed) -> ToolOutcome {
        outcome(Exit(code), &mut printed, &Limits::STANDARD)
    }

    #[test]
    fn a_code_decides_and_what_was_printed_is_told() {
        let returned = |texts: &[&str]| ToolOutcome::Returned {
            content: texts.iter().map(|text| Content::Text((*text).to_owned())).collect(),
        };
        assert_eq!(told(0, printed(b"out\n", b"", 0)), returned(&["out\n"]));
        let dropped =
            "(7 B more were printed than the 256 KiB that are kept; ask for less, or raise `limits.output_bytes`)";
        assert_eq!(told(0, printed(b"", b"careful\n", 7)), returned(&["", "standard error:\ncareful\n", dropped]));
        let failed = "the command ended with exit code 3\nstandard error:\nno\nstandard output:\nhalf";
        assert_eq!(told(3, printed(b"half", b"no\n", 0)), ToolOutcome::Failed { message: failed.to_owned() });
        let ToolOutcome::Returned { content } = told(0, printed(&[0xff], b"", 0)) else { panic!("it returned") };
        assert!(matches!(&content[0], Content::Resource { uri, .. } if url::Url::parse(uri).is_ok()));
    }

    #[test]
    fn a_command_line_is_made_of_texts() -> Result<(), Mismatch> {
        let line = |text: &str| {
            let json = Json::parse(text, "arguments")?;
            CommandLine::lower(&json, &fields(), &Path::root("arguments"))
        };
        let expected = CommandLine { args: vec!["-n".to_owned(), String::new()], stdin: "a\nb".to_owned() };
        assert_eq!(line(r#"{"args":["-n",""],"stdin":"a\nb"}"#)?, expected);
        assert_eq!(line(r#"{"args":null}"#)?, CommandLine::default());
        let said = |text: &str| line(text).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(said(r#"{"args":"-n"}"#), "arguments.args: expected an array, found the string `-n`");
        assert!(said(r#"{"args":["\u0000"]}"#).contains("zero byte"));
        Ok(())
    }
}
