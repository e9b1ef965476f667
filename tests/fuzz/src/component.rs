//! A component's bytes, as far as the host reads them itself: the first look, the documentation inside, the types of what it
//! exports. Code is made where everything before accepts the bytes, which a fuzzer rarely achieves.

/// Looks at one component.
pub(crate) fn run(bytes: &[u8]) {
    agent_sandbox::fuzzing::component::look(bytes);
}
