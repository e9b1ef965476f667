//! Values between JSON and WIT: there and back without a change, and never something else than the text said.

/// Makes a type and a value of the input, and reads the rest of it as JSON of that type.
pub(crate) fn run(bytes: &[u8]) {
    agent_sandbox::fuzzing::value::there_and_back(bytes);
}
